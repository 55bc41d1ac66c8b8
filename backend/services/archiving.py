"""The archive: runs and pipelines that lists, totals and offers leave out unless they are asked for.

What is in it stays what it was: its lineage, its comparisons, its checkpoint. What starts again leaves it by itself
(`services/lifecycle.py`).
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from backend.api.schemas import Shown
from backend.errors import Conflict, ServiceError
from backend.services import lifecycle, pipelines, runs
from backend.services.tags import Outcome
from backend.store.models import Pipeline, Run
from memgen.contract.status import RUN_ENDED


def shows(table: type[Run] | type[Pipeline], shown: Shown) -> ColumnElement[bool] | None:
    """The condition for what a list shows; None shows everything."""
    archived: ColumnElement[bool] = col(table.archived_at).is_not(None)
    return {"no": ~archived, "also": None, "only": archived}[shown]


def archive_runs(
    session: Session, run_ids: Sequence[int], *, archived: bool, confirm: bool, at: float, actor: str = "user"
) -> dict[int, Outcome]:
    """Put runs that have ended into the archive, or take runs out of it.

    Args:
        session: a transaction.
        run_ids: of the runs.
        archived: whether they are to be in it.
        confirm: whether it is done; else it is only told what would be.
        at: seconds since 1970.
        actor: who does it, for the history.
    """
    outcomes: dict[int, Outcome] = {}
    for run_id in run_ids:
        try:
            run = runs.get(session, run_id)
            if archived:
                _check_ended(run)
        except ServiceError as error:
            outcomes[run_id] = "", error
            continue
        changes = archived != (run.archived_at is not None)
        outcomes[run_id] = _words(archived, changes), None
        if confirm and changes:
            _move(session, run, archived, at, actor)
    return outcomes


def archive_pipelines(
    session: Session, pipeline_ids: Sequence[int], *, archived: bool, confirm: bool, at: float, actor: str = "user"
) -> dict[int, Outcome]:
    """The same with pipelines; the runs that each has submitted go with it."""
    outcomes: dict[int, Outcome] = {}
    for number in pipeline_ids:
        try:
            pipeline = pipelines.get(session, number)
            submitted = list(session.exec(select(Run).where(col(Run.pipeline_id) == number)))
            if archived:
                for run in submitted:
                    _check_ended(run)
        except ServiceError as error:
            outcomes[number] = "", error
            continue
        moved = [run for run in submitted if archived != (run.archived_at is not None)]
        changes = archived != (pipeline.archived_at is not None) or bool(moved)
        outcomes[number] = _words(archived, changes), None
        if confirm and changes:
            pipeline.archived_at = at if archived else None
            session.add(pipeline)
            for run in moved:
                _move(session, run, archived, at, actor)
    return outcomes


def _move(session: Session, run: Run, archived: bool, at: float, actor: str) -> None:
    run.archived_at = at if archived else None
    session.add(run)
    detail = "put into the archive" if archived else "taken out of the archive"
    lifecycle.note(session, run, "archive", None, None, actor=actor, at=at, detail=detail)


def _words(archived: bool, changes: bool) -> str:
    if archived:
        return "goes into the archive" if changes else "is in the archive already"
    return "comes out of the archive" if changes else "is not in the archive"


def _check_ended(run: Run) -> None:
    if run.status not in RUN_ENDED:
        raise Conflict(
            "run_not_ended",
            f"run {run.id} is {run.status}",
            field="run_id",
            value=run.id,
            way_out="Stop it first, or wait until it has ended: the archive is for what has ended.",
        )
