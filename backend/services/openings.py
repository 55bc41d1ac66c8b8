"""Whether a slot is given work, however well it is.

It is given none while its machine is refused or drained, and while its machine works on as much as it may.
"""

from collections.abc import Iterable, Mapping

from sqlmodel import Session

from backend.api.schemas import WORK_API, Announce, ClaimRequest, Limits, Versions
from backend.errors import Conflict
from backend.services.drains import ALL, drained_slots
from backend.services.machines import busy_slots, limits_of, slots_of, slots_of_sessions, versions_of
from backend.store.models import Worker
from memgen import __version__
from memgen.contract.problem import Problem
from memgen.contract.service_files import is_job_slot

DRAINED = "drained"

Closed = Mapping[tuple[str, str], Problem]
"""Slots that are given no work, by machine and name, and why."""


def refusal(host: str, versions: Versions | None) -> Problem | None:
    """Why a machine is given no work whose worker is of another version; None where it is of this one.

    Another torch or transformers is no reason: each run's environment names them, and a comparison says where they
    differ.
    """
    if versions is None or versions.memgen != __version__:
        return Problem(
            code="other_version",
            message=f"machine {host} has a version before {__version__} of MemGen Studio, which is that of the backend"
            if versions is None
            else f"machine {host} has version {versions.memgen} of MemGen Studio, and the backend has {__version__}",
            way_out=f"Install version {__version__} there, and start its worker again. What it works on goes on.",
        )
    if versions.api != WORK_API:
        return Problem(
            code="other_api",
            message=f"machine {host} speaks version {versions.api} of the workers' API, and the backend {WORK_API}",
            way_out="Install the same state of the project on both, and start them again.",
        )
    return None


def refuse_other_version(request: Announce | ClaimRequest) -> None:
    """Refuse a worker of another version.

    Raises:
        Conflict: `other_version`, `other_api`.
    """
    problem = refusal(request.host, request.versions)
    if problem is not None:
        raise Conflict(**dict(problem))


def closed_slots(session: Session, workers: Iterable[Worker]) -> Closed:
    """Slots of workers that are given no work, whether they are free or not."""
    drained = drained_slots(session)
    closed: dict[tuple[str, str], Problem] = {}
    for worker in workers:
        refused = refusal(worker.host, versions_of(worker))
        for slot in slots_of(worker):
            if refused is not None:
                closed[worker.host, slot.name] = refused
            elif (problem := _drained(worker.host, slot.name, drained)) is not None:
                closed[worker.host, slot.name] = problem
    return closed


def is_open(session: Session, host: str, slot: str, limits: Limits) -> bool:
    """Whether a free slot is given work now.

    Args:
        session: a transaction.
        host: name of the machine, as it is known here.
        slot: name of the slot.
        limits: of the machine.
    """
    return _drained(host, slot, drained_slots(session)) is None and not _is_full(session, host, limits)


def full_machines(session: Session, workers: Iterable[Worker]) -> dict[str, int]:
    """Machines that work on as many runs as they may, with that number."""
    limits = {worker.host: limits_of(worker) for worker in workers}
    return {
        host: limit.most_runs
        for host, limit in limits.items()
        if limit.most_runs is not None and _is_full(session, host, limit)
    }


def _is_full(session: Session, host: str, limits: Limits) -> bool:
    if limits.most_runs is None:
        return False
    at_work = busy_slots(session).keys() | slots_of_sessions(session).keys()
    return sum(of == host and not is_job_slot(slot) for of, slot in at_work) >= limits.most_runs


def _drained(host: str, slot: str, drained: set[tuple[str, str]]) -> Problem | None:
    if (host, ALL) in drained:
        return Problem(
            code=DRAINED,
            message=f"machine {host} is drained: it finishes what it has and takes nothing new",
            way_out=f"Undo it by `memgen-studio undrain {host}` or a button of the queue page.",
        )
    if (host, slot) in drained:
        return Problem(
            code=DRAINED,
            message=f"slot {slot} of {host} is drained: it finishes what it has and takes nothing new",
            way_out=f"Undo it by `memgen-studio undrain {host} --slot {slot}` or a button of the queue page.",
        )
    return None
