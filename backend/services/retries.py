"""Another attempt by itself: of a run that was lost, that its card or a lack of memory ended, or that lost its machine.

How often is bounded by the run's retries. Memory that runs out twice running is an end: the run is too large.
"""

from collections.abc import Callable

from sqlmodel import Session

from backend.api.schemas import FinishRequest
from backend.services import lifecycle
from backend.services.runs import resume_source
from backend.store.models import Attempt, Run
from memgen.contract.problem import Problem
from memgen.contract.status import AttemptStatus, Cause, RunStatus

TRIED_AGAIN = frozenset({Cause.CARD, Cause.OUT_OF_MEMORY})
"""Failures after which the next attempt may well end otherwise."""


def try_again(session: Session, run: Run, cause: Cause, *, at: float, actor: str, pause: float, why: str = "") -> None:
    """Queue the next attempt of a run under way whose attempt has ended; it goes on from where that got.

    Args:
        session: the transaction.
        run: that still has retries.
        cause: why its attempt ended.
        at: seconds since 1970.
        actor: who does it, for the history.
        pause: seconds until it may be handed out.
        why: what the history adds.
    """
    run.retries_left -= 1
    session.add(run)
    session.flush()
    resumes, _ = resume_source(lifecycle.attempts_of(session, run.id))
    detail = f"tried again in {pause:.0f} s" + (f": {why}" if why else "")
    lifecycle.change_run(session, run, RunStatus.QUEUED, actor=actor, at=at, cause=cause, detail=detail)
    lifecycle.add_attempt(session, run, at=at, resumes=resumes, not_before=at + pause)


def go_on(session: Session, run: Run, attempt: Attempt, *, at: float, actor: str) -> None:
    """Queue the next attempt of a run whose machine was taken away, as at the end of a job's time.

    That is free as long as each attempt gets further than the one that it went on from; one that did not costs a retry.
    """
    attempts = lifecycle.attempts_of(session, run.id)
    before = attempts[attempt.resumes - 1] if attempt.resumes is not None else None
    if _reached(attempt) <= _reached(before):
        if run.retries_left == 0:
            _give_up(session, run, at=at, actor=actor)
            return
        run.retries_left -= 1
        session.add(run)
        session.flush()
    resumes, _ = resume_source(attempts)
    detail = "goes on in another job"
    lifecycle.change_run(session, run, RunStatus.QUEUED, actor=actor, at=at, cause=Cause.INTERRUPTED, detail=detail)
    lifecycle.add_attempt(session, run, at=at, resumes=resumes)


def _reached(attempt: Attempt | None) -> tuple[int, int]:
    """How far an attempt has got: its last saved step, its answers."""
    return (0, 0) if attempt is None else (attempt.checkpoint_step or 0, attempt.num_answers)


def _give_up(session: Session, run: Run, *, at: float, actor: str) -> None:
    run.failure = Problem(
        code="no_progress",
        message="Its machine was taken away again and again before it had got any further.",
        way_out="Give it more time in the site's flags, or let it save more often, then retry.",
    )
    session.add(run)
    session.flush()
    lifecycle.change_run(
        session, run, RunStatus.FAILED, actor=actor, at=at, cause=Cause.INTERRUPTED, detail=run.failure.message
    )


def is_tried_again(session: Session, run: Run, attempt: Attempt, request: FinishRequest) -> bool:
    """Whether a failed attempt of a run is followed by another one without anybody asking."""
    if request.outcome != "failed" or request.cause not in TRIED_AGAIN or run.status != RunStatus.RUNNING:
        return False
    return run.retries_left > 0 and not _ran_out_before(session, attempt, request)


def pause_after(run: Run, cause: Cause, retry_pause: Callable[[int], float]) -> float:
    """Seconds until the next attempt: none after a card, whose slot takes itself out; memory may be free later."""
    return 0.0 if cause is Cause.CARD else retry_pause(run.retries_left)


def last_word(session: Session, attempt: Attempt, request: FinishRequest) -> FinishRequest:
    """The end as the run keeps it: that memory ran out twice says that the run is too large."""
    if request.failure is None or not _ran_out_before(session, attempt, request):
        return request
    message = f"Memory ran out in two attempts running. The last said: {request.failure.message}"
    return request.model_copy(update={"failure": request.failure.model_copy(update={"message": message})})


def started_by_itself(session: Session, attempt: Attempt) -> bool:
    """Whether nobody asked for this attempt: the one before it was lost, or ended through its card or memory."""
    if attempt.number == 1:
        return False
    before = _before(session, attempt)
    return before.status == AttemptStatus.LOST or before.cause in TRIED_AGAIN | {Cause.INTERRUPTED}


def _ran_out_before(session: Session, attempt: Attempt, request: FinishRequest) -> bool:
    if request.cause is not Cause.OUT_OF_MEMORY or attempt.number == 1:
        return False
    return _before(session, attempt).cause == Cause.OUT_OF_MEMORY


def _before(session: Session, attempt: Attempt) -> Attempt:
    return lifecycle.attempts_of(session, attempt.run_id)[attempt.number - 2]
