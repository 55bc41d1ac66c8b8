"""Another attempt by itself: of a run that was lost, or that its card or a lack of memory ended.

How often is bounded by the run's retries. Memory that runs out twice running is an end: the run is too large.
"""

from collections.abc import Callable

from sqlmodel import Session

from backend.api.schemas import FinishRequest
from backend.services import lifecycle
from backend.services.runs import resume_source
from backend.store.models import Attempt, Run
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
    return before.status == AttemptStatus.LOST or before.cause in TRIED_AGAIN


def _ran_out_before(session: Session, attempt: Attempt, request: FinishRequest) -> bool:
    if request.cause is not Cause.OUT_OF_MEMORY or attempt.number == 1:
        return False
    return _before(session, attempt).cause == Cause.OUT_OF_MEMORY


def _before(session: Session, attempt: Attempt) -> Attempt:
    return lifecycle.attempts_of(session, attempt.run_id)[attempt.number - 2]
