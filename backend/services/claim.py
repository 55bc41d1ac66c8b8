"""Handing out work: which queued attempt a slot gets."""

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import Select

from backend.api.schemas import ClaimRequest
from backend.services import fit, lifecycle, openings
from backend.services.checkpoints import parent_folder
from backend.services.clocks import seconds_ahead
from backend.services.disk import disk_of
from backend.services.machines import Patience, name_of
from backend.store.models import Attempt, Run, Switch
from memgen.contract.planner.placement import Placement
from memgen.contract.status import AttemptStatus, RunStatus

_ORDER = (col(Run.priority).desc(), col(Run.queued_at), col(Run.id))  # in which attempts are handed out
USUAL_PRIORITY = 0
PART = 20  # of the queue that is read at a time


@dataclass(frozen=True)
class Claim:
    """An attempt that a slot has got."""

    attempt: Attempt
    run: Run
    token: str
    """What its supervisor reports with; only a hash of it is stored."""
    checkpoint: str | None
    """Folder of the checkpoint that it starts from, below the home."""
    placement: Placement


def queued(session: Session, limit: int | None = None) -> list[tuple[Attempt, Run]]:
    """Queued attempts in the order in which they are handed out: priority, then age; the first, or all."""
    return list(session.exec(_queued().limit(limit)))


def queued_for(session: Session, site: str | None) -> Iterator[tuple[Attempt, Run]]:
    """Those of `queued` that go to a site; None: to the workers of this service. Read some at a time: usually the first
    is taken."""
    goes_there = col(Run.site).is_(None) if site is None else col(Run.site) == site
    in_order = _queued().where(goes_there).with_only_columns(col(Attempt.id))
    numbers = list(session.execute(in_order).scalars())
    for first in range(0, len(numbers), PART):
        yield from session.exec(_queued().where(col(Attempt.id).in_(numbers[first : first + PART]))).all()


def _queued() -> Select[Attempt, Run]:
    return (
        select(Attempt, Run)
        .join(Run, col(Run.id) == col(Attempt.run_id))
        .where(col(Attempt.status) == AttemptStatus.QUEUED)
        .order_by(*_ORDER)
    )


def queued_ids(session: Session) -> list[int]:
    """Runs of `queued`, without reading their configs."""
    return [run_id for run_id, _ in queued_priorities(session)]


def queued_priorities(session: Session) -> list[tuple[int, int]]:
    """Runs of `queued` with their priorities."""
    rows = session.exec(
        select(Attempt.run_id, Run.priority)
        .join(Run, col(Run.id) == col(Attempt.run_id))
        .where(col(Attempt.status) == AttemptStatus.QUEUED)
        .order_by(*_ORDER)
    )
    return list(rows)


def num_ahead(session: Session) -> dict[int, int]:
    """Of each queued run how many are handed out before it where it goes."""
    query = (
        select(Attempt.run_id, Run.site)
        .join(Run, col(Run.id) == col(Attempt.run_id))
        .where(col(Attempt.status) == AttemptStatus.QUEUED)
        .order_by(*_ORDER)
    )
    seen: Counter[str | None] = Counter()
    ahead: dict[int, int] = {}
    for run_id, site in session.exec(query):
        ahead[run_id] = seen[site]
        seen[site] += 1
    return ahead


def before_a_new_run(session: Session) -> tuple[int, int | None]:
    """How many queued runs one of the usual priority would come after at our workers, and the last of them."""
    waiting = (
        select(Attempt.run_id, func.count().over())
        .join(Run, col(Run.id) == col(Attempt.run_id))
        .where(col(Attempt.status) == AttemptStatus.QUEUED, col(Run.priority) >= USUAL_PRIORITY)
        .where(col(Run.site).is_(None))
        .order_by(col(Run.priority), col(Run.queued_at).desc(), col(Run.id).desc())
    )
    last = session.exec(waiting.limit(1)).first()
    return (0, None) if last is None else (last[1], last[0])


def paused(session: Session) -> bool:
    """Whether the queue hands out nothing."""
    switch = session.get(Switch, "queue_paused")
    return switch is not None and switch.value == "yes"


def pause(session: Session, value: bool) -> None:
    """Pause or resume the queue."""
    session.merge(Switch(name="queue_paused", value="yes" if value else "no"))


def claim(session: Session, request: ClaimRequest, patience: Patience, *, at: float, free_disk: int) -> Claim | None:
    """Give the best waiting attempt that fits to a slot, and whose output fits on the disk."""
    chosen = _choose(session, request, patience, at, free_disk)
    return None if chosen is None else hand_out(session, *chosen, request, patience, at)


def has_work(session: Session, request: ClaimRequest, patience: Patience, *, at: float, free_disk: int) -> bool:
    """Whether `claim` would give a slot something now."""
    return _choose(session, request, patience, at, free_disk) is not None


def may_take(session: Session, request: ClaimRequest, patience: Patience, at: float) -> bool:
    """Whether whoever asks is to be given anything now: the queue goes on, and nothing keeps its slot closed."""
    host = name_of(session, request.host, request.boot_id, patience, at)
    return not paused(session) and openings.is_open(session, host, request.slot.name, request.limits)


def hash_token(token: str) -> str:
    """What of an attempt's token is stored."""
    return hashlib.sha256(token.encode()).hexdigest()


def _choose(
    session: Session, request: ClaimRequest, patience: Patience, at: float, free_disk: int
) -> tuple[Attempt, Run, Placement] | None:
    if not may_take(session, request, patience, at):
        return None
    placements: dict[tuple[str, int | None], Placement | None] = {}
    for attempt, run in queued_for(session, None):
        if attempt.not_before > at:
            continue
        alike = run.config_hash, run.parent_id
        if alike not in placements:
            has_room = disk_of(session, run) <= free_disk
            device, memory = request.slot.device, request.free_device_memory
            placements[alike] = fit.place_run(session, run, device, memory) if has_room else None
        if (placement := placements[alike]) is not None:
            return attempt, run, placement
    return None


def hand_out(
    session: Session,
    attempt: Attempt,
    run: Run,
    placement: Placement,
    request: ClaimRequest,
    patience: Patience,
    at: float,
) -> Claim:
    """Give a queued attempt to whoever has asked for it."""
    host = name_of(session, request.host, request.boot_id, patience, at)
    actor = f"worker {host}"
    token = secrets.token_urlsafe(24)
    detail = f"slot {request.slot.name} of {host}"
    lifecycle.change_attempt(session, attempt, AttemptStatus.STARTING, actor=actor, at=at, detail=detail)
    lifecycle.change_run(session, run, RunStatus.RUNNING, actor=actor, at=at)
    attempt.token_hash = hash_token(token)
    attempt.host, attempt.slot = host, request.slot.name
    attempt.boot_id, attempt.pid = request.boot_id, request.pid
    attempt.claimed_at, attempt.lease_until = at, at + patience.lease
    attempt.clock_ahead = seconds_ahead(request.clock, at)
    session.add(attempt)
    return Claim(attempt, run, token, parent_folder(session, run), placement)
