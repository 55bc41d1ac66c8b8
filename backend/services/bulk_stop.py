"""Stopping many runs at once, in one transaction."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from backend.errors import ServiceError
from backend.services import runs
from backend.store.models import Run
from memgen.contract.status import RunStatus, StopMode

Outcome = tuple[RunStatus | None, str, ServiceError | None]
"""Of one run: its status before, what becomes of it in a few words, and why nothing does."""


def stop_all(
    session: Session, run_ids: Sequence[int], mode: StopMode, *, confirm: bool, at: float
) -> dict[int, Outcome]:
    """Stop those that have not ended.

    Args:
        session: a transaction.
        run_ids: of the runs.
        mode: how.
        confirm: whether it is done; else it is only told what would be.
        at: seconds since 1970.
    """
    outcomes: dict[int, Outcome] = {}
    for run_id in run_ids:
        status = None
        try:
            run = runs.get(session, run_id)
            status = RunStatus(run.status)
            runs.check_stoppable(run)
            words = runs.outcome_of_stop(session, run, mode)
            if confirm:
                runs.stop(session, run, mode, at=at)
            outcomes[run_id] = status, words, None
        except ServiceError as error:
            outcomes[run_id] = status, "", error
    return outcomes


def left_without_parent(session: Session, stopped: Sequence[int]) -> int:
    """How many runs wait, directly or not, for the checkpoints of runs that are stopped, and are not stopped too."""
    skipped: set[int] = set()
    generation = set(stopped)
    while generation:
        children = select(Run.id).where(col(Run.parent_id).in_(generation), col(Run.status) == RunStatus.WAITING)
        generation = set(session.exec(children)) - skipped - set(stopped)
        skipped |= generation
    return len(skipped)
