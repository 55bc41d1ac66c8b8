"""What memory a session needs whose columns share one base, and answer one question after the other. No torch."""

from collections.abc import Sequence
from dataclasses import replace

from memgen.contract.config import RunConfig
from memgen.contract.planner.memory import MemoryPlan, plan
from memgen.contract.planner.parts import Parts
from memgen.contract.presets import Preset


def plan_columns(
    columns: Sequence[RunConfig], preset: Preset, device: str, starts: Sequence[Parts | None]
) -> MemoryPlan:
    """Memory of a session: the base once, what every column has beside it, and the column that needs most to answer.

    Args:
        columns: at least one.
        preset: their model.
        device: `cpu` or `cuda`.
        starts: what each column's checkpoint has, where that is known.
    """
    plans = [
        plan(column.with_width(1), preset, device, start=start) for column, start in zip(columns, starts, strict=True)
    ]
    widest = max(plans, key=lambda one: one.widest.total)
    return replace(widest, trainables=sum(one.trainables for one in plans))
