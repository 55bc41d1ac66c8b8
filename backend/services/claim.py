"""Handing out work: which queued attempt a slot gets."""

import hashlib
import logging
import secrets
from collections import Counter
from dataclasses import dataclass

from pydantic import ValidationError
from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import Select

from backend.api.schemas import Announce, ClaimRequest, SlotReport
from backend.services import fit, lifecycle
from backend.services.checkpoints import parent_folder
from backend.services.disk import disk_of
from backend.store.models import Attempt, Run, Switch, Worker
from memgen.contract.machine import same_machine
from memgen.contract.planner.placement import Placement
from memgen.contract.status import ATTEMPT_LIVE, AttemptStatus, RunStatus

log = logging.getLogger(__name__)
_ORDER = (col(Run.priority).desc(), col(Run.queued_at), col(Run.id))  # in which attempts are handed out
USUAL_PRIORITY = 0


@dataclass(frozen=True)
class Patience:
    """Times that attempts and workers are given, in seconds."""

    lease: float
    beat: float
    stop_grace: float
    alive: float
    """How long a worker counts as alive after its last announcement."""


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


def announce(session: Session, worker: Announce, patience: Patience, *, at: float) -> None:
    """Remember that a worker is alive, under its machine's name of today."""
    name = _free_name(session, worker.host, worker.boot_id, patience, at)
    slots = [slot.model_dump() for slot in worker.slots]
    session.merge(Worker(host=name, boot_id=worker.boot_id, pid=worker.pid, slots=slots, last_seen=at))
    for renamed in _rows_of(session, worker.boot_id):
        if renamed.host == name:
            continue
        session.delete(renamed)
        live = col(Attempt.status).in_(ATTEMPT_LIVE)
        for attempt in session.exec(select(Attempt).where(col(Attempt.host) == renamed.host, live)):
            attempt.host = name  # its slot is still busy with it
            session.add(attempt)


def came_up_anew(worker: Worker, host: str | None, boot_id: str | None) -> bool:
    """Whether a worker is on the machine of an attempt (`host`, `boot_id`), which has been started again since."""
    if boot_id is None or worker.boot_id == boot_id:
        return False
    same = same_machine(worker.boot_id, boot_id)
    return worker.host == host if same is None else same


def _rows_of(session: Session, boot_id: str) -> list[Worker]:
    """What a machine has announced since its start; nothing where it has no id, and is known by its name alone."""
    if not same_machine(boot_id, boot_id):
        return []
    return list(session.exec(select(Worker).where(col(Worker.boot_id) == boot_id)))


def _name_of(session: Session, host: str, boot_id: str, patience: Patience, at: float) -> str:
    """The name by which a machine is known here; its worker may have started before it was renamed."""
    rows = _rows_of(session, boot_id)
    return rows[0].host if rows else _free_name(session, host, boot_id, patience, at)


def _free_name(session: Session, host: str, boot_id: str, patience: Patience, at: float) -> str:
    """A machine's own name, with a few characters more while another machine of that name is alive."""
    longer = f"{host} ({boot_id[:6]})"
    earlier, other = session.get(Worker, longer), session.get(Worker, host)
    if earlier is not None and same_machine(earlier.boot_id, boot_id):
        return longer  # once told apart, it stays so: its runs are known by that name
    is_taken = other is not None and at - other.last_seen < patience.alive
    return longer if other is not None and is_taken and same_machine(other.boot_id, boot_id) is False else host


def slots_of(worker: Worker) -> list[SlotReport]:
    """A worker's slots; those stored by an older version that can't be read today are left out."""
    reports: list[SlotReport] = []
    for slot in worker.slots:
        try:
            reports.append(SlotReport.model_validate(slot))
        except ValidationError:
            log.warning("a slot of %s is left out, as its report makes no sense: %s", worker.host, slot)
    return reports


def queued(session: Session) -> list[tuple[Attempt, Run]]:
    """Queued attempts in the order in which they are handed out: priority, then age."""
    return list(session.exec(_queued()))


def queued_for(session: Session, site: str | None) -> list[tuple[Attempt, Run]]:
    """Those of `queued` that go to a site; None: to the workers of this service."""
    return list(session.exec(_queued().where(col(Run.site).is_(None) if site is None else col(Run.site) == site)))


def _queued() -> Select[Attempt, Run]:
    return (
        select(Attempt, Run)
        .join(Run, col(Run.id) == col(Attempt.run_id))
        .where(col(Attempt.status) == AttemptStatus.QUEUED)
        .order_by(*_ORDER)
    )


def queued_ids(session: Session) -> list[int]:
    """Runs of `queued`, without reading their configs."""
    rows = session.exec(
        select(Attempt.run_id)
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
    chosen = _choose(session, request, at, free_disk)
    return None if chosen is None else hand_out(session, *chosen, request, patience, at)


def has_work(session: Session, request: ClaimRequest, *, at: float, free_disk: int) -> bool:
    """Whether `claim` would give a slot something now."""
    return _choose(session, request, at, free_disk) is not None


def busy_slots(session: Session) -> dict[tuple[str, str], int]:
    """Host and name of each slot that works, with the run it works on."""
    live = session.exec(select(Attempt).where(col(Attempt.status).in_(ATTEMPT_LIVE)))
    return {(attempt.host or "", attempt.slot or ""): attempt.run_id for attempt in live}


def hash_token(token: str) -> str:
    """What of an attempt's token is stored."""
    return hashlib.sha256(token.encode()).hexdigest()


def _choose(
    session: Session, request: ClaimRequest, at: float, free_disk: int
) -> tuple[Attempt, Run, Placement] | None:
    if paused(session):
        return None
    for attempt, run in queued_for(session, None):
        if attempt.not_before > at or disk_of(session, run) > free_disk:
            continue
        placement = fit.place_run(session, run, request.slot.device, request.free_device_memory)
        if placement is not None:
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
    host = _name_of(session, request.host, request.boot_id, patience, at)
    actor = f"worker {host}"
    token = secrets.token_urlsafe(24)
    detail = f"slot {request.slot.name} of {host}"
    lifecycle.change_attempt(session, attempt, AttemptStatus.STARTING, actor=actor, at=at, detail=detail)
    lifecycle.change_run(session, run, RunStatus.RUNNING, actor=actor, at=at)
    attempt.token_hash = hash_token(token)
    attempt.host, attempt.slot = host, request.slot.name
    attempt.boot_id, attempt.pid = request.boot_id, request.pid
    attempt.claimed_at, attempt.lease_until = at, at + patience.lease
    session.add(attempt)
    return Claim(attempt, run, token, parent_folder(session, run), placement)
