"""The list of checkpoints, each with the best of its evaluations, in the order of a column, page by page."""

from pathlib import Path

from sqlalchemy import ColumnElement
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, func, select

from backend.api import schemas as s
from backend.services.gains import Gains
from backend.services.origin import OUTSIDE
from backend.services.scoring import newest_scores
from backend.services.sorting import Columns, sorted_page
from backend.services.surroundings import Surroundings
from backend.store.models import AddedCheckpoint, Checkpoint, Run
from backend.views.checkpoints import by_themselves, sources_of
from backend.views.results import results
from memgen.contract.stages import evaluation_names
from memgen.contract.status import RunStatus


def list_checkpoints(
    session: Session,
    home: Path,
    gains: Gains,
    around: Surroundings,
    *,
    archived: s.Shown = "no",
    sort: str | None,
    cursor: str | None,
    limit: int,
) -> s.CheckpointResults:
    """A page of checkpoints.

    Args:
        session: a transaction.
        home: folder of everything.
        gains: of evaluations against their bases.
        around: what the reply depends on beside the database.
        archived: what becomes of those of trainings in the archive.
        sort: one of `COLUMNS`, after `-` the highest first; None is newest first.
        cursor: where the page before ended.
        limit: most checkpoints of a page.

    Raises:
        ServiceError: `unknown_sort` or `bad_cursor`.
    """
    query = select(Checkpoint).outerjoin(Run, col(Run.id) == col(Checkpoint.run_id))
    query = query.outerjoin(AddedCheckpoint, col(AddedCheckpoint.id) == col(Checkpoint.id))
    if archived != "also":
        in_archive = func.coalesce(col(Checkpoint.run_id).in_(_ARCHIVED), False)  # what came from outside has no run
        query = query.where(in_archive if archived == "only" else ~in_archive)
    page = sorted_page(session, Checkpoint, query, COLUMNS, sort=sort, cursor=cursor, limit=limit)
    evaluations = _evaluations(session, [one.id for one in page.rows])
    scores = newest_scores(session, [run for group in evaluations.values() for run in group])
    best = {
        number: max(group, key=lambda run: scores[run.id].summary.get("accuracy", -1.0))
        for number, group in evaluations.items()
    }
    shown = {result.run.id: result for result in results(session, list(best.values()), gains, around)}
    items = [
        s.CheckpointResult(
            checkpoint=checkpoint,
            best=shown[best[checkpoint.id].id] if checkpoint.id in best else None,
            num_evaluations=len(evaluations.get(checkpoint.id, [])),
        )
        for checkpoint in by_themselves(session, sources_of(session, page.rows), home)
    ]
    return s.CheckpointResults(items=items, next_cursor=page.next_cursor, total=page.total)


def _evaluations(session: Session, numbers: list[int]) -> dict[int, list[Run]]:
    """Finished evaluations by the checkpoint that they start from."""
    query = select(Run).where(
        col(Run.parent_id).in_(numbers),
        col(Run.status) == RunStatus.SUCCEEDED,
        col(Run.stage).in_(evaluation_names()),
    )
    groups: dict[int, list[Run]] = {}
    for run in session.exec(query.order_by(col(Run.id).desc())):
        groups.setdefault(run.parent_id or 0, []).append(run)
    return groups


_ARCHIVED = select(Run.id).where(col(Run.archived_at).is_not(None))


def _best_accuracy() -> ColumnElement[float]:
    child = aliased(Run)
    best = select(func.max(child.accuracy)).where(
        col(child.parent_id) == col(Checkpoint.id),
        col(child.status) == RunStatus.SUCCEEDED,
        col(child.stage).in_(evaluation_names()),
    )
    return best.scalar_subquery()


COLUMNS: Columns = {
    "checkpoint": col(Checkpoint.id),
    "stage": func.coalesce(Run.stage, OUTSIDE),
    "model": func.coalesce(Run.preset, AddedCheckpoint.preset).collate("NOCASE"),
    "data": func.nullif(func.coalesce(Run.data, AddedCheckpoint.data).collate("NOCASE"), ""),
    "accuracy": _best_accuracy(),
    "step": func.json_extract(Checkpoint.manifest, "$.step"),
    "size": col(Checkpoint.size_bytes),
    "parent": col(Run.parent_id),
    "note": func.nullif(func.coalesce(Run.note, AddedCheckpoint.note).collate("NOCASE"), ""),
}
"""What the list can be sorted by; `accuracy` is that of the best evaluation."""
