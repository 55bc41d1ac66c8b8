"""How many rows a run works on at the same time where its config leaves that open: as many as fit. No torch."""

from collections.abc import Sequence

from memgen.contract.config import RunConfig
from memgen.contract.planner.memory import plan
from memgen.contract.planner.parts import Parts
from memgen.contract.planner.placement import place
from memgen.contract.presets import Preset
from memgen.contract.stages import stage_of
from memgen.contract.width import MOST_ROWS

SPARE = 0.1
"""Share of the free memory that is not planned with: plans are up to 3 % below the peak, and torch's allocator holds up
to 15 % more than what is used of it, most of which it gives back when memory runs out."""


def rows_that_fit(config: RunConfig, preset: Preset, free: Sequence[int], most: int, start: Parts | None = None) -> int:
    """Most rows at the same time that GPUs hold; 0 where the plan of a single row exceeds them.

    Args:
        config: of the run.
        preset: its model.
        free: bytes free on each GPU that it uses.
        most: rows that there are for each process.
        start: what its checkpoint has, where that is known.
    """
    room = [int((1 - SPARE) * size) for size in free]
    fitting, too_many = 0, min(most, MOST_ROWS) + 1
    while too_many - fitting > 1:
        rows = (fitting + too_many) // 2
        if place(plan(config.with_width(rows), preset, "cuda", start=start), room) is None:
            too_many = rows
        else:
            fitting = rows
    return fitting


def rows_of_a_process(config: RunConfig, questions: int, processes: int = 1) -> int:
    """Rows that there are to be worked on at the same time in each of several processes."""
    work = stage_of(config).work
    return -(-work.at_once(config, questions) // (processes if work.is_shared else 1))
