"""Where a run goes on a slot of one or several devices: each holds it whole, or its layers are spread. No torch."""

import math
from collections.abc import Sequence
from typing import Literal

from memgen.contract.planner.memory import MemoryPlan

Placement = Literal["parallel", "spread"]
"""`parallel`: each device of the slot holds the whole run, one process on each. `spread`: one process, the decoder
layers go to the devices in turn, as the `device_map="balanced"` of transformers places them by their weights."""


def place(plan: MemoryPlan, free: Sequence[int]) -> Placement | None:
    """How a run is placed on a slot, or None where it does not fit.

    Args:
        plan: what the run needs.
        free: bytes free on each device of the slot; one number where it has no GPU.
    """
    if not free:
        return None
    if plan.total <= min(free):
        return "parallel"
    return "spread" if 1 < len(free) <= plan.num_layers and share(plan, len(free)) <= min(free) else None


def share(plan: MemoryPlan, gpus: int) -> int:
    """Most bytes that one of several GPUs holds of a run whose layers are spread over them.

    transformers lets a GPU have more weights than its part by 1.25 times the largest block, a layer or the embeddings.
    A GPU's part of the caches and of what backward keeps is that of its layers. What can't be divided (the widest
    buffers, logits, projections) is counted on each, as any may hold it.
    """
    weights = plan.weights / gpus + 1.25 * max(plan.layer_weights, plan.embedding_weights)
    weights = min(weights, plan.weights)
    layers = min(1.0, weights / (plan.num_layers * plan.layer_weights))
    divided = plan.widest.caches + plan.widest.kept_by_layers
    whole = plan.process + plan.widest.transient + plan.widest.kept_by_ends
    whole += plan.trainables + plan.gradients + plan.optimizer
    return math.ceil(weights + layers * divided) + whole


def needed(plan: MemoryPlan, memory: Sequence[int]) -> int:
    """Bytes that each device of a slot must have for a run: its share where only that fits, else all of it."""
    return share(plan, len(memory)) if place(plan, memory) == "spread" else plan.total


def gib(size: int) -> str:
    """`28.3 GiB`."""
    return f"{size / 2**30:.1f} GiB"
