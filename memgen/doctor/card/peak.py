"""Memory that a measurement took at most, beside what the planner says."""

from typing import Any

import torch

from memgen.contract.config import RunConfig
from memgen.contract.planner.memory import plan
from memgen.contract.planner.shapes import Shape
from memgen.contract.presets import Preset

GIB = 2**30


def reset(device: torch.device) -> None:
    """Begin to look."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def against_plan(device: torch.device, config: RunConfig, preset: Preset, shape: Shape) -> dict[str, Any]:
    """Peak since `reset` in GiB, and the plan of such a run part by part, without what the process needs."""
    planned = plan(config, preset, "cuda", shape)
    beside = planned.total - planned.process
    figures: dict[str, Any] = {
        "plan_gib": beside / GIB,
        "plan_parts_gib": {
            name: getattr(planned, name) / GIB
            for name in ("weights", "trainables", "gradients", "optimizer", "caches", "activations", "process")
        },
        "plan_moment": planned.widest.name,
    }
    if device.type == "cuda":
        allocated, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
        free, total = torch.cuda.mem_get_info()
        figures |= {
            "peak_gib": allocated / GIB,
            "reserved_gib": reserved / GIB,
            "plan_over_peak": beside / allocated,
            "used_on_card_gib": (total - free) / GIB,
            "beside_reserved_gib": (total - free - torch.cuda.memory_reserved()) / GIB,
        }
    return figures
