"""When a run that is not submitted yet would start, and on which of the slots that are alive."""

from collections.abc import Container, Mapping, Sequence

from sqlmodel import Session

from backend.api.schemas import SlotFit, SlotReport
from backend.executors.executor import Site
from backend.services.claim import before_a_new_run, paused
from backend.services.drains import drained_sites
from backend.services.fit import plan_on
from backend.services.jobs import in_queue
from memgen.contract.config import RunConfig
from memgen.contract.planner.parts import Parts
from memgen.contract.planner.placement import needed, place


def slot_fits(
    config: RunConfig,
    start: Parts | None,
    alive: Sequence[tuple[str, SlotReport]],
    busy: Mapping[tuple[str, str], int],
    closed: Container[tuple[str, str]] = (),
) -> list[SlotFit]:
    """How each slot and a config go together.

    Args:
        config: of the run.
        start: what its checkpoint has.
        alive: slots, each with the name of its machine.
        busy: the run that a slot of a machine works on.
        closed: slots of machines that are given no work.
    """
    fits = [(host, _fit(config, start, host, slot, busy.get((host, slot.name)))) for host, slot in alive]
    return [
        one.model_copy(update={"state": "closed"}) if (host, one.slot) in closed and one.state != "too_small" else one
        for host, one in fits
    ]


def _fit(config: RunConfig, start: Parts | None, host: str, slot: SlotReport, run_id: int | None) -> SlotFit:
    plan = plan_on(config, slot.device, start)
    out = SlotFit(
        host=host,
        slot=slot.name,
        state="free",
        needed_bytes=needed(plan, slot.device_memory),
        total_bytes=min(slot.device_memory),
        run_id=run_id,
    )
    if place(plan, slot.device_memory) is None:
        return out.model_copy(update={"state": "too_small"})
    if slot.sick is not None:
        return out.model_copy(update={"state": "sick"})
    if run_id is not None:  # what it reported as free was so beside its own run
        return out.model_copy(update={"state": "busy"})
    is_held = bool(slot.free) and place(plan, slot.free) is None
    return out.model_copy(update={"state": "held"}) if is_held else out


def start_at_site(session: Session, site: Site, fits: Sequence[SlotFit]) -> str:
    """The same of a run that goes to a site.

    Args:
        session: a transaction.
        site: that it goes to.
        fits: of its sizes.
    """
    if paused(session):
        return "The queue is paused: it is handed in once the queue goes on."
    if all(fit.state == "too_small" for fit in fits):
        return f"No size of site {site.name} can take it."
    if site.name in drained_sites(session):
        return f"Site {site.name} is drained: it is handed in once runs may go there again."
    if (number := in_queue(session, site.name)) >= site.most_jobs:
        return f"Is handed in at site {site.name} once that has less than its {number} jobs of ours."
    return f"Is handed in at site {site.name} at once, and starts when a machine is free there."


def start_text(session: Session, fits: Sequence[SlotFit]) -> str:
    """One sentence on when a run of the usual priority would start.

    Args:
        session: a transaction.
        fits: of the slots that are alive.
    """
    if paused(session):
        return "The queue is paused: it starts once the queue goes on."
    if not fits:
        return "Starts once a worker is alive."
    holding = [fit for fit in fits if fit.state in {"free", "busy"}]
    if not holding:
        return "No slot can take it now."
    number, last = before_a_new_run(session)
    if last is not None:
        if number > 1:
            return f"Starts after run {last}, the last of {number} in the queue."
        return f"Starts after run {last}, which is queued."
    if any(fit.state == "free" for fit in holding):
        return "Starts at once."
    first = min(holding, key=lambda fit: fit.run_id or 0)
    return f"Starts after run {first.run_id}, which slot {first.slot} of {first.host} works on."
