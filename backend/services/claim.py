"""Handing out work: which queued attempt a slot gets."""

import hashlib
import logging
import secrets
from dataclasses import dataclass

from pydantic import ValidationError
from sqlmodel import Session, col, select

from backend.models import Attempt, Run, Switch, Worker
from backend.schemas import Announce, ClaimedAttempt, ClaimRequest, SlotReport
from backend.services import fit, lifecycle
from backend.services.disk import disk_of
from memgen.contract.placement import Placement
from memgen.contract.status import ATTEMPT_LIVE, AttemptStatus, RunStatus

log = logging.getLogger(__name__)
_ORDER = (col(Run.priority).desc(), col(Run.queued_at), col(Run.id))  # in which attempts are handed out
ALIVE_SECONDS = 60.0  # a worker announces itself four times in that time


@dataclass(frozen=True)
class Patience:
    """Times that go out with a claim, in seconds."""

    lease: float
    beat: float
    stop_grace: float


def announce(session: Session, worker: Announce, *, at: float) -> None:
    """Remember that a worker is alive."""
    slots = [slot.model_dump() for slot in worker.slots]
    session.merge(Worker(host=worker.host, boot_id=worker.boot_id, pid=worker.pid, slots=slots, last_seen=at))


def slots_of(worker: Worker) -> list[SlotReport]:
    """A worker's slots; what an older version stored and no reader of today can bear is left out."""
    reports: list[SlotReport] = []
    for slot in worker.slots:
        try:
            reports.append(SlotReport.model_validate(slot))
        except ValidationError:
            log.warning("a slot of %s is left out, as its report makes no sense: %s", worker.host, slot)
    return reports


def queued(session: Session) -> list[tuple[Attempt, Run]]:
    """Queued attempts in the order in which they are handed out: priority, then age."""
    rows = session.exec(
        select(Attempt, Run)
        .join(Run, col(Run.id) == col(Attempt.run_id))
        .where(col(Attempt.status) == AttemptStatus.QUEUED)
        .order_by(*_ORDER)
    )
    return list(rows)


def queued_ids(session: Session) -> list[int]:
    """Runs of `queued`, without reading their configs."""
    rows = session.exec(
        select(Attempt.run_id)
        .join(Run, col(Run.id) == col(Attempt.run_id))
        .where(col(Attempt.status) == AttemptStatus.QUEUED)
        .order_by(*_ORDER)
    )
    return list(rows)


def paused(session: Session) -> bool:
    """Whether the queue hands out nothing."""
    switch = session.get(Switch, "queue_paused")
    return switch is not None and switch.value == "yes"


def pause(session: Session, value: bool) -> None:
    """Pause or resume the queue."""
    session.merge(Switch(name="queue_paused", value="yes" if value else "no"))


def claim(
    session: Session, request: ClaimRequest, patience: Patience, *, at: float, free_disk: int
) -> ClaimedAttempt | None:
    """Give the best waiting attempt that fits to a slot, and whose output fits on the disk."""
    if paused(session):
        return None
    for attempt, run in queued(session):
        if attempt.not_before > at or disk_of(run) > free_disk:
            continue
        placement = fit.place_run(run, request.slot.device, request.free_device_memory)
        if placement is not None:
            return _hand_out(session, attempt, run, request, placement, patience, at)
    return None


def busy_slots(session: Session) -> dict[tuple[str, str], int]:
    """Host and name of each slot that works, with the run it works on."""
    live = session.exec(select(Attempt).where(col(Attempt.status).in_(ATTEMPT_LIVE)))
    return {(attempt.host or "", attempt.slot or ""): attempt.run_id for attempt in live}


def hash_token(token: str) -> str:
    """What of an attempt's token is stored."""
    return hashlib.sha256(token.encode()).hexdigest()


def _hand_out(
    session: Session,
    attempt: Attempt,
    run: Run,
    request: ClaimRequest,
    placement: Placement,
    patience: Patience,
    at: float,
) -> ClaimedAttempt:
    assert attempt.id is not None
    assert run.id is not None
    actor = f"worker {request.host}"
    token = secrets.token_urlsafe(24)
    detail = f"slot {request.slot.name} of {request.host}"
    lifecycle.change_attempt(session, attempt, AttemptStatus.STARTING, actor=actor, at=at, detail=detail)
    lifecycle.change_run(session, run, RunStatus.RUNNING, actor=actor, at=at)
    attempt.token_hash = hash_token(token)
    attempt.host, attempt.slot = request.host, request.slot.name
    attempt.boot_id, attempt.pid = request.boot_id, request.pid
    attempt.claimed_at, attempt.lease_until = at, at + patience.lease
    session.add(attempt)
    return ClaimedAttempt(
        attempt_id=attempt.id,
        run_id=run.id,
        number=attempt.number,
        token=token,
        config=run.config,
        resumes=attempt.resumes,
        placement=placement,
        lease_seconds=patience.lease,
        beat_seconds=patience.beat,
        stop_grace_seconds=patience.stop_grace,
    )
