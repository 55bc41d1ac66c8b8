"""What is done with many runs, as the API shows it."""

from collections.abc import Mapping, Sequence

from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.errors import ServiceError, no_such_run
from backend.services.bulk_stop import Outcome
from backend.services.tags import Outcome as Change
from backend.store.models import Run
from memgen.contract.status import RunStatus

DELETED = "goes with its files"


def stop_items(outcomes: Mapping[int, Outcome]) -> list[s.BulkItem]:
    """What becomes of each run that is to be stopped."""
    return [_item(run_id, status, words, error) for run_id, (status, words, error) in outcomes.items()]


def stop_consequences(num_skipped: int) -> list[str]:
    """What else a stop does."""
    if not num_skipped:
        return []
    what = "run that waits for their checkpoints is" if num_skipped == 1 else "runs that wait for their checkpoints are"
    return [f"{num_skipped} more {what} skipped."]


def deletion_items(
    run_ids: Sequence[int], statuses: Mapping[int, RunStatus], refused: Mapping[int, ServiceError]
) -> list[s.BulkItem]:
    """What becomes of each run that is to be deleted."""
    errors = {run_id: no_such_run(run_id) for run_id in run_ids if run_id not in statuses} | dict(refused)
    return [
        _item(run_id, statuses.get(run_id), "" if run_id in errors else DELETED, errors.get(run_id))
        for run_id in run_ids
    ]


def deletion_consequences(num_checkpoints: int) -> list[str]:
    """What else a deletion does."""
    if not num_checkpoints:
        return []
    what = "1 checkpoint goes" if num_checkpoints == 1 else f"{num_checkpoints} checkpoints go"
    return [f"{what} with them: nothing can start from there any more."]


def _item(run_id: int, status: RunStatus | None, words: str, error: ServiceError | None) -> s.BulkItem:
    return s.BulkItem(run_id=run_id, status=status, outcome=words, problem=error.problem if error else None)


def changed_runs(session: Session, outcomes: Mapping[int, Change], *, confirmed: bool) -> s.BulkOut:
    """What becomes of runs whose tags or place change."""
    statuses = dict(session.execute(select(Run.id, Run.status).where(col(Run.id).in_(outcomes))).all())
    items = [
        _item(run_id, RunStatus(statuses[run_id]) if run_id in statuses else None, words, error)
        for run_id, (words, error) in outcomes.items()
    ]
    return s.BulkOut(confirmed=confirmed, items=items)


def changed_pipelines(outcomes: Mapping[int, Change], *, confirmed: bool) -> s.PipelinesOut:
    """What becomes of pipelines whose tags or place change."""
    items = [
        s.PipelineItem(pipeline_id=number, outcome=words, problem=error.problem if error else None)
        for number, (words, error) in outcomes.items()
    ]
    return s.PipelinesOut(confirmed=confirmed, items=items)
