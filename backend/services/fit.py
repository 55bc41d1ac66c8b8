"""What memory a run needs, and which slots hold it and how, by the planner's arithmetic."""

from collections.abc import Sequence

from sqlmodel import Session

from backend.api.schemas import SlotReport
from backend.executors.executor import Site
from backend.services.checkpoints import start_of
from backend.store.models import Run
from memgen.contract.config import RunConfig, parse_config
from memgen.contract.errors import BadInput
from memgen.contract.planner.memory import MemoryPlan, plan
from memgen.contract.planner.parts import Parts
from memgen.contract.planner.placement import Placement, gib, place
from memgen.contract.planner.width import rows_of_a_process, rows_that_fit
from memgen.contract.presets import get_preset


def plan_on(config: RunConfig, device: str, start: Parts | None) -> MemoryPlan:
    """Memory of a config on a kind of device; `start` is what its checkpoint has."""
    return plan(config, get_preset(config.preset), device, start=start)


def place_run(session: Session, run: Run, device: str, memory: Sequence[int]) -> Placement | None:
    """How a run is placed on a slot; `parallel` if its preset is gone (its trainer will say so)."""
    try:
        return place(plan_on(parse_config(run.config), device, start_of(session, run.parent_id)), memory)
    except BadInput:
        return "parallel"


def slots_text(
    config: RunConfig, slots: Sequence[SlotReport], start: Parts | None, site: Site | None = None
) -> tuple[str, bool]:
    """One sentence on how the slots that are alive, or the sizes of a site, hold a config, and whether one does."""
    if not slots:
        return "No slot is alive: the run would wait.", False
    placed = [(slot, place(plan_on(config, slot.device, start), slot.device_memory)) for slot in slots]
    fitting = sorted((how, slot.name, slot) for slot, how in placed if how is not None)
    if site is None:
        alive = "1 slot alive" if len(slots) == 1 else f"{len(slots)} slots alive"
    else:
        alive = f"1 size of site {site.name}" if len(slots) == 1 else f"{len(slots)} sizes of site {site.name}"
    if not fitting:
        return f"Fits on none of {alive}: {too_large(config, slots, start, site)}", False
    how, _, slot = fitting[0]  # `parallel` stands before `spread`
    return f"Fits on {len(fitting)} of {alive}: {_how(how, slot)}.", True


def widths_text(config: RunConfig, slots: Sequence[SlotReport], questions: int, start: Parts | None) -> str:
    """How many rows a run would work on at the same time on each slot while nothing else is there; empty if it is told.

    Args:
        config: of the run.
        slots: that are alive.
        questions: of the run.
        start: what its checkpoint has, where that is known.
    """
    if config.width is not None:
        return ""
    rows = {slot.name: _width_on(config, slot, questions, start) for slot in slots}
    told = [f"{count} on slot {name}" for name, count in rows.items() if count]
    return f"At the same time: {', '.join(told)}." if told else ""


def _width_on(config: RunConfig, slot: SlotReport, questions: int, start: Parts | None) -> int:
    """Rows at the same time; 0 where the slot holds none."""
    how = place(plan_on(config, slot.device, start), slot.device_memory)
    if slot.device == "cpu":
        return min(config.usual_width, rows_of_a_process(config, questions)) if how is not None else 0
    most = rows_of_a_process(config, questions, len(slot.gpus) if how == "parallel" else 1)
    return rows_that_fit(config, get_preset(config.preset), slot.device_memory, most, start)


def too_large(config: RunConfig, slots: Sequence[SlotReport], start: Parts | None, site: Site | None = None) -> str:
    """That not even the largest slot, or size of a site, holds a config, with both numbers."""
    largest = max(slots, key=lambda slot: slot.total_memory)
    each = largest.device_memory
    has = gib(each[0]) if len(each) == 1 else f"{len(each)} GPUs of {gib(min(each))}"
    needs = gib(plan_on(config, largest.device, start).total)
    if site is not None:
        return f"it needs {needs}, the largest size of site {site.name} has {has}."
    return f"it needs {needs}, the largest slot has {has}."


def what_to_lower(config: RunConfig) -> str:
    """The way out for a config that no slot holds."""
    return f"Lower {config.width_field} or the lengths."


def held_by_others(session: Session, run: Run, slot: SlotReport) -> str | None:
    """That a free slot is too full for a run, and how full; None where it has room, or has not told."""
    if not slot.free or place_run(session, run, slot.device, slot.free):
        return None
    held = [total - free for total, free in zip(slot.device_memory, slot.free, strict=True)]
    worst = max(range(len(held)), key=held.__getitem__)
    where = f"GPU {slot.gpus[worst]}" if slot.gpus else "the machine's memory"
    return f"another program holds {gib(held[worst])} of {where}"


def _how(placement: Placement, slot: SlotReport) -> str:
    if slot.device == "cpu":
        return "in the machine's memory"
    if placement == "spread":
        return f"its layers are spread over the slot's {len(slot.gpus)} GPUs"
    return "on one GPU" if len(slot.gpus) == 1 else f"on one GPU, with a copy on each of the slot's {len(slot.gpus)}"
