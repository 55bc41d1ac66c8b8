"""The one place where a status changes: a compare-and-set along the contract's tables, written into the history."""

from collections.abc import Iterable

from sqlalchemy import and_, update
from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from backend.errors import Conflict
from backend.services import notices
from backend.store.models import Attempt, Pipeline, Run, RunEvent
from backend.store.prepared import IDS, among
from memgen.contract.status import (
    ATTEMPT_ENDED,
    ATTEMPT_TRANSITIONS,
    RUN_ENDED,
    RUN_TRANSITIONS,
    AttemptStatus,
    Cause,
    RunStatus,
)

MOST_WARNINGS = 20  # that are shown of a run; its history has all


def change_run(
    session: Session,
    run: Run,
    to: RunStatus,
    *,
    actor: str,
    at: float,
    cause: Cause | None = None,
    detail: str = "",
) -> None:
    """Move a run to another status.

    Raises:
        Conflict: `wrong_status`, if the contract knows no such step or the run has moved meanwhile.
    """
    before = RunStatus(run.status)
    if to not in RUN_TRANSITIONS[before]:
        raise Conflict(
            "wrong_status",
            f"run {run.id} is {before} and can't become {to}",
            field="status",
            value=before,
            way_out="Look at the run again.",
        )
    values: dict[str, object] = {"status": to, "cause": cause}
    if to is RunStatus.QUEUED:
        values |= {"ended_at": None, "failure": None, "traceback": None, "exit_code": None}
        if before is not RunStatus.RUNNING:  # a lost run keeps its place
            values["queued_at"] = at
    if to is RunStatus.WAITING:
        values |= {"ended_at": None, "failure": None}
    if to is RunStatus.RUNNING and run.started_at is None:
        values["started_at"] = at
    if to in RUN_ENDED:
        values["ended_at"] = at
    else:
        _leave_archive(session, run, values)
    done = session.execute(
        update(Run).where(col(Run.id) == run.id, col(Run.status) == before).values(**values),
        execution_options={"synchronize_session": False},
    )
    if done.rowcount != 1:  # type: ignore[attr-defined]
        raise Conflict("wrong_status", f"run {run.id} has moved on", way_out="Look at the run again.")
    session.refresh(run)
    note(session, run, "run", before, to, cause=cause, actor=actor, at=at, detail=detail)
    if to in RUN_ENDED:
        notices.run_ended(session, run, at=at, detail=detail)


def _leave_archive(session: Session, run: Run, values: dict[str, object]) -> None:
    """What starts again is shown again, and its pipeline with it."""
    values["archived_at"] = None
    pipeline = session.get(Pipeline, run.pipeline_id) if run.pipeline_id is not None else None
    if pipeline is not None and pipeline.archived_at is not None:
        pipeline.archived_at = None
        session.add(pipeline)


def change_attempt(
    session: Session,
    attempt: Attempt,
    to: AttemptStatus,
    *,
    actor: str,
    at: float,
    cause: Cause | None = None,
    detail: str = "",
) -> None:
    """Move an attempt to another status; an end is final.

    Raises:
        Conflict: `wrong_status`, as `change_run`.
    """
    before = AttemptStatus(attempt.status)
    if to not in ATTEMPT_TRANSITIONS[before]:
        raise Conflict(
            "wrong_status", f"attempt {attempt.number} is {before} and can't become {to}", field="status", value=before
        )
    values: dict[str, object] = {"status": to, "cause": cause}
    if to in ATTEMPT_ENDED:
        values |= {"ended_at": at, "lease_until": None}
    done = session.execute(
        update(Attempt).where(col(Attempt.id) == attempt.id, col(Attempt.status) == before).values(**values),
        execution_options={"synchronize_session": False},
    )
    if done.rowcount != 1:  # type: ignore[attr-defined]
        raise Conflict("wrong_status", f"attempt {attempt.number} of run {attempt.run_id} has moved on")
    session.refresh(attempt)
    run = session.get_one(Run, attempt.run_id)
    note(session, run, "attempt", before, to, cause=cause, actor=actor, at=at, detail=detail, attempt=attempt.number)


def add_attempt(
    session: Session, run: Run, *, at: float, resumes: int | None = None, not_before: float = 0.0
) -> Attempt:
    """Queue the next attempt of a run."""
    number = len(attempts_of(session, run.id)) + 1
    attempt = Attempt(run_id=run.id, number=number, created_at=at, resumes=resumes, not_before=not_before)
    session.add(attempt)
    if resumes is None:
        run.summary = {}  # of what starts anew nothing is known yet
        session.add(run)
    session.flush()
    return attempt


def attempts_of(session: Session, run_id: int) -> list[Attempt]:
    """All attempts of a run, first to last."""
    query = select(Attempt).where(col(Attempt.run_id) == run_id).order_by(col(Attempt.number))
    return list(session.exec(query))


def newest_attempts(session: Session, run_ids: Iterable[int]) -> dict[int, Attempt]:
    """The newest attempt of each of these runs that has any, by its run; one query for all."""
    return {one.run_id: one for one in session.exec(_NEWEST_ATTEMPTS, params=among(run_ids))}


def _newest_attempts() -> SelectOfScalar[Attempt]:
    number = func.max(Attempt.number).label("number")
    last = (
        select(col(Attempt.run_id).label("run_id"), number)
        .where(col(Attempt.run_id).in_(IDS))
        .group_by(col(Attempt.run_id))
        .subquery()
    )
    is_last = and_(col(Attempt.run_id) == last.c.run_id, col(Attempt.number) == last.c.number)
    return select(Attempt).join(last, is_last)


_NEWEST_ATTEMPTS = _newest_attempts()


def start_of(session: Session, run_id: int) -> int:
    """The newest attempt that started from nothing; what others left before it is no part of the run's result."""
    fresh = select(func.max(Attempt.number)).where(
        col(Attempt.run_id) == run_id, col(Attempt.resumes).is_(None), col(Attempt.claimed_at).is_not(None)
    )
    return session.exec(fresh).one() or 1


def start_among(attempts: Iterable[Attempt]) -> int:
    """As `start_of`, of all attempts of a run."""
    fresh = (one.number for one in attempts if one.resumes is None and one.claimed_at is not None)
    return max(fresh, default=1)


def warnings_of(session: Session, run_id: int, since: int | None = None) -> list[str]:
    """What the trainers of a run's result warned of, each once, in the order in which it was first said.

    Args:
        session: a transaction.
        run_id: of the run.
        since: its `start_of`, where that is known already.
    """
    query = (
        select(RunEvent.detail)
        .where(col(RunEvent.run_id) == run_id, RunEvent.kind == "warning")
        .where(col(RunEvent.attempt) >= (start_of(session, run_id) if since is None else since))
        .group_by(col(RunEvent.detail))
        .order_by(func.min(RunEvent.id))
        .limit(MOST_WARNINGS)
    )
    return list(session.exec(query))


def note(
    session: Session,
    run: Run,
    kind: str,
    before: str | None,
    after: str | None,
    *,
    actor: str,
    at: float,
    cause: Cause | None = None,
    detail: str = "",
    attempt: int | None = None,
) -> None:
    """Append a line to a run's history."""
    session.add(
        RunEvent(
            run_id=run.id,
            attempt=attempt,
            time=at,
            kind=kind,
            from_status=before,
            to_status=after,
            cause=cause,
            actor=actor,
            detail=detail[:1000],
        )
    )
