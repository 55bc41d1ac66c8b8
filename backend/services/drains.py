"""Draining: machines, slots and sites that are to take nothing new and finish what they have, as operators say."""

from collections.abc import Sequence
from typing import Literal

from sqlmodel import Session, col, select

from backend.errors import Conflict, NotFound
from backend.store.models import Drain, Worker

Kind = Literal["machine", "site"]
MACHINE: Kind = "machine"
SITE: Kind = "site"
ALL = ""
"""In the place of a slot: all of it."""


def drained_slots(session: Session) -> set[tuple[str, str]]:
    """Machine and slot of each that is drained; `ALL` stands for every slot of the machine."""
    return {(one.name, one.slot) for one in session.exec(select(Drain).where(Drain.kind == MACHINE))}


def drained_sites(session: Session) -> set[str]:
    """Sites at which nothing more is handed in."""
    return {one.name for one in session.exec(select(Drain).where(Drain.kind == SITE))}


def drain(session: Session, host: str, slot: str | None, *, at: float) -> None:
    """Give a machine, or one of its slots, nothing new; once more is the same as once.

    Raises:
        NotFound: `no_such_machine`, `no_such_slot`.
    """
    worker = session.get(Worker, host)
    if worker is None:
        raise NotFound(
            "no_such_machine",
            "no worker of this machine has announced itself",
            field="host",
            value=host,
            way_out=_there_are(session.exec(select(Worker.host).order_by(col(Worker.host))).all()),
        )
    names = [str(one.get("name")) for one in worker.slots]
    if slot is not None and slot not in names:
        raise NotFound(
            "no_such_slot", "the machine has no such slot", field="slot", value=slot, way_out=_there_are(names)
        )
    session.merge(Drain(kind=MACHINE, name=host, slot=slot or ALL, since=at))


def undrain(session: Session, host: str, slot: str | None) -> None:
    """Give a machine, with all of its slots, or one slot of it work again; where it has some, nothing changes.

    Raises:
        Conflict: `machine_drained`: all of the machine is drained, so one slot of it can't take work.
    """
    rows = session.exec(select(Drain).where(Drain.kind == MACHINE, Drain.name == host)).all()
    if slot is not None and any(one.slot == ALL for one in rows):
        raise Conflict(
            "machine_drained",
            f"all of {host} is drained, and not this slot alone",
            field="slot",
            value=slot,
            way_out="Let the whole machine take work again, then drain the slots that are to take none.",
        )
    for one in rows:
        if slot in {None, one.slot}:
            session.delete(one)


def set_site(session: Session, site: str, *, drained: bool, at: float) -> None:
    """Hand nothing more in at a site, or go on with it."""
    row = session.get(Drain, (SITE, site, ALL))
    if drained:
        session.merge(Drain(kind=SITE, name=site, slot=ALL, since=row.since if row is not None else at))
    elif row is not None:
        session.delete(row)


def rename(session: Session, earlier: str, now: str) -> None:
    """A machine goes by another name: what was said of it stands."""
    for one in session.exec(select(Drain).where(Drain.kind == MACHINE, Drain.name == earlier)):
        session.merge(Drain(kind=MACHINE, name=now, slot=one.slot, since=one.since))
        session.delete(one)


def _there_are(names: Sequence[str]) -> str:
    return f"There are: {', '.join(names)}." if names else "There is none: start a worker, `python -m worker`."
