"""Machines: the names by which they are known here, what their workers announce, and what is at work on them."""

import logging
from dataclasses import dataclass

from pydantic import ValidationError
from sqlmodel import Session, col, select

from backend.api.schemas import Announce, Limits, SlotReport, Versions
from backend.services import drains
from backend.services.clocks import seconds_ahead
from backend.services.try_sessions import HELD
from backend.store.models import Attempt, TrySession, Worker
from memgen.contract.machine import same_machine
from memgen.contract.status import ATTEMPT_LIVE

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """Times that attempts and workers are given, in seconds."""

    lease: float
    beat: float
    stop_grace: float
    alive: float
    """How long a worker counts as alive after its last announcement."""


def announce(session: Session, worker: Announce, patience: Patience, *, at: float) -> Worker:
    """Remember that a worker is alive, under its machine's name of today."""
    name = _free_name(session, worker.host, worker.boot_id, patience, at)
    earlier = session.get(Worker, name)
    row = session.merge(
        Worker(
            host=name,
            boot_id=worker.boot_id,
            pid=worker.pid,
            slots=[slot.model_dump() for slot in worker.slots],
            last_seen=at,
            versions=None if worker.versions is None else worker.versions.model_dump(),
            limits=worker.limits.model_dump(),
            clock_ahead=seconds_ahead(worker.clock, at, earlier.clock_ahead if earlier is not None else 0.0),
        )
    )
    for renamed in _rows_of(session, worker.boot_id):
        if renamed.host == name:
            continue
        session.delete(renamed)
        drains.rename(session, renamed.host, name)
        live = col(Attempt.status).in_(ATTEMPT_LIVE)
        for attempt in session.exec(select(Attempt).where(col(Attempt.host) == renamed.host, live)):
            attempt.host = name  # its slot is still busy with it
            session.add(attempt)
        held = col(TrySession.status).in_(HELD)
        for one in session.exec(select(TrySession).where(col(TrySession.host) == renamed.host, held)):
            one.host = name
            session.add(one)
    return row


def came_up_anew(worker: Worker, host: str | None, boot_id: str | None) -> bool:
    """Whether a worker is on the machine of an attempt (`host`, `boot_id`), which has been started again since."""
    if boot_id is None or worker.boot_id == boot_id:
        return False
    same = same_machine(worker.boot_id, boot_id)
    return worker.host == host if same is None else same


def name_of(session: Session, host: str, boot_id: str, patience: Patience, at: float) -> str:
    """The name by which a machine is known here; its worker may have started before it was renamed."""
    rows = _rows_of(session, boot_id)
    return rows[0].host if rows else _free_name(session, host, boot_id, patience, at)


def slots_of(worker: Worker) -> list[SlotReport]:
    """A worker's slots; those stored by an older version that can't be read today are left out."""
    reports: list[SlotReport] = []
    for slot in worker.slots:
        try:
            reports.append(SlotReport.model_validate(slot))
        except ValidationError:
            log.warning("a slot of %s is left out, as its report makes no sense: %s", worker.host, slot)
    return reports


def versions_of(worker: Worker) -> Versions | None:
    """What a worker works with; None for one that does not say."""
    return None if worker.versions is None else Versions.model_validate(worker.versions)


def limits_of(worker: Worker) -> Limits:
    """How much of its machine a worker may use."""
    return Limits.model_validate(worker.limits or {})


def busy_slots(session: Session) -> dict[tuple[str, str], int]:
    """Host and name of each slot that works, with the run it works on."""
    live = session.exec(select(Attempt).where(col(Attempt.status).in_(ATTEMPT_LIVE)))
    return {(attempt.host or "", attempt.slot or ""): attempt.run_id for attempt in live}


def slots_of_sessions(session: Session) -> dict[tuple[str, str], int]:
    """Host and name of each slot that holds a session of Try, with the session."""
    held = session.exec(select(TrySession).where(col(TrySession.status).in_(HELD)))
    return {(one.host or "", one.slot or ""): one.id for one in held}


def _rows_of(session: Session, boot_id: str) -> list[Worker]:
    """What a machine has announced since its start; nothing where it has no id, and is known by its name alone."""
    if not same_machine(boot_id, boot_id):
        return []
    return list(session.exec(select(Worker).where(col(Worker.boot_id) == boot_id)))


def _free_name(session: Session, host: str, boot_id: str, patience: Patience, at: float) -> str:
    """A machine's own name, with a few characters more while another machine of that name is alive."""
    longer = f"{host} ({boot_id[:6]})"
    earlier, other = session.get(Worker, longer), session.get(Worker, host)
    if earlier is not None and same_machine(earlier.boot_id, boot_id):
        return longer  # once told apart, it stays so: its runs are known by that name
    is_taken = other is not None and at - other.last_seen < patience.alive
    return longer if other is not None and is_taken and same_machine(other.boot_id, boot_id) is False else host
