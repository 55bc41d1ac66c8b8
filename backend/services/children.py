"""Runs that wait for the checkpoint of another: they are queued with its success, or skipped when it ends otherwise."""

from sqlmodel import Session, col, select

from backend.services import lifecycle
from backend.services.apart import apart
from backend.services.descent import older_parent
from backend.store.models import Checkpoint, Run
from memgen.contract.pipeline import STEPS, StepName
from memgen.contract.problem import Problem
from memgen.contract.status import CAUSE_TEXT, RUN_FELL, RUN_LIVE, Cause, RunStatus


def settle(session: Session, *, at: float, actor: str, parent: Run | None = None) -> None:
    """Queue waiting runs whose parent has succeeded; skip those whose parent has ended otherwise.

    Args:
        session: the transaction.
        at: seconds since 1970.
        actor: who does it, for the history.
        parent: look only at runs that start from the checkpoint of this one.
    """
    waiting = select(Run).where(col(Run.status) == RunStatus.WAITING).order_by(col(Run.id))
    if parent is not None:
        waiting = waiting.where(col(Run.parent_id) == parent.id)
    for run in session.exec(waiting).all():  # parents have lower ids: one pass settles chains
        with apart(session, f"settling run {run.id}"):
            _settle_one(session, run, at=at, actor=actor)


def _settle_one(session: Session, run: Run, *, at: float, actor: str) -> None:
    parent = session.get(Run, run.parent_id) if run.parent_id is not None else None
    if parent is None:
        _skip(session, run, f"run {run.parent_id}, whose checkpoint it needs, was deleted", at, actor)
    elif parent.status in RUN_FELL:
        _skip(session, run, blame(session, parent), at, actor)
    elif parent.status == RunStatus.SUCCEEDED:
        if session.get(Checkpoint, parent.id) is None:  # lost under a version that took such an end
            _skip(session, run, f"{name_of(parent)} has succeeded, but its checkpoint is not there", at, actor)
            return
        detail = f"{name_of(parent)} has succeeded"
        lifecycle.change_run(session, run, RunStatus.QUEUED, actor=actor, at=at, detail=detail)
        lifecycle.add_attempt(session, run, at=at)


def name_of(run: Run) -> str:
    """`Weaver SFT (run 12)`."""
    step: StepName | None = run.step  # type: ignore[assignment]
    label = STEPS[step].label if step in STEPS else f"{run.stage} {run.setting}".strip()
    return f"{label} (run {run.id})"


def blame(session: Session, parent: Run) -> str:
    """Whose fault it is that a run can't start: the nearest ancestor that was not itself skipped."""
    seen = parent
    while seen.status == RunStatus.SKIPPED and (parent_id := older_parent(seen)) is not None:
        above = session.get(Run, parent_id)
        if above is None:
            return f"run {seen.parent_id} was deleted"
        seen = above
    cause = Cause(seen.cause) if seen.cause else None
    words = {RunStatus.FAILED: "failed", RunStatus.CANCELLED: "was stopped"}.get(RunStatus(seen.status), seen.status)
    return f"{name_of(seen)} {words}" + (f": {CAUSE_TEXT[cause]}" if cause and words == "failed" else "")


def why_waiting(session: Session, run: Run) -> str:
    """What a waiting run waits for."""
    parent = session.get(Run, run.parent_id) if run.parent_id is not None else None
    if parent is None:
        return f"Run {run.parent_id}, whose checkpoint it needs, is gone."
    return f"{name_of(parent)}, whose checkpoint it needs, is {parent.status}."


def living(session: Session, run_id: int) -> list[Run]:
    """Runs that start from this one's checkpoint and have not ended."""
    query = select(Run).where(col(Run.parent_id) == run_id, col(Run.status).in_(RUN_LIVE))
    return list(session.exec(query))


def _skip(session: Session, run: Run, why: str, at: float, actor: str) -> None:
    lifecycle.change_run(session, run, RunStatus.SKIPPED, actor=actor, at=at, cause=Cause.PARENT, detail=why)
    run.failure = Problem(code="parent_failed", message=why, way_out="Continue the pipeline once the cause is mended.")
    session.add(run)
