"""Machines as the API shows them: what their workers said last, and what their slots do."""

from collections.abc import Iterable

from sqlmodel import Session, select

from backend.api import schemas as s
from backend.services import openings
from backend.services.drains import ALL, drained_slots
from backend.services.machines import busy_slots, limits_of, slots_of, slots_of_sessions, versions_of
from backend.services.surroundings import Surroundings
from backend.store.models import Worker
from backend.views.times import when


def machines(session: Session, around: Surroundings) -> list[s.WorkerOut]:
    """All workers that have announced themselves, with the runs they work on and the sessions they hold."""
    workers = list(session.exec(select(Worker)))
    busy, sessions = busy_slots(session), slots_of_sessions(session)
    drained, closed = drained_slots(session), openings.closed_slots(session, workers)
    return [
        s.WorkerOut(
            host=worker.host,
            boot_id=worker.boot_id,
            alive=around.is_alive(worker),
            last_seen=when(worker.last_seen),
            versions=(versions := versions_of(worker)),
            refusal=openings.refusal(worker.host, versions),
            drained=(worker.host, ALL) in drained,
            limits=limits_of(worker),
            clock_ahead=worker.clock_ahead,
            slots=[
                s.SlotOut(
                    **slot.model_dump(),
                    closed=closed.get((worker.host, slot.name)),
                    drained=(worker.host, slot.name) in drained,
                    run_id=busy.get((worker.host, slot.name)),
                    try_session=sessions.get((worker.host, slot.name)),
                )
                for slot in slots_of(worker)
            ],
        )
        for worker in workers
    ]


def sick_slots(workers: Iterable[Worker], around: Surroundings) -> list[s.SickSlotOut]:
    """Slots of the workers that are alive, which take no work, and why."""
    return [
        s.SickSlotOut(host=worker.host, slot=slot.name, **dict(slot.sick))
        for worker in workers
        if around.is_alive(worker)
        for slot in slots_of(worker)
        if slot.sick is not None
    ]
