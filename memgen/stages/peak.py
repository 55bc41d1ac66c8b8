"""The most memory that a run took of its GPUs, beside what was planned for it."""

import torch

from memgen.contract.config import RunConfig
from memgen.contract.manifest import read_manifest
from memgen.contract.peak import PEAK, PLAN
from memgen.contract.planner.memory import plan
from memgen.contract.planner.parts import parts_in
from memgen.contract.presets import get_preset
from memgen.contract.rundir import checkpoint_dir
from memgen.model.base import spreads
from memgen.stages.context import Context
from memgen.stages.width import width_of

GIB = 2**30


def peak_of(config: RunConfig, context: Context) -> dict[str, float]:
    """GiB of this process at most, and of the plan of a run of this width; empty without a GPU.

    What a process needs by itself is in neither: torch does not count it.
    """
    if not torch.cuda.is_available():
        return {}
    width = width_of(config, context.run_dir)
    start = None
    if config.checkpoint is not None:
        start = parts_in(read_manifest(checkpoint_dir(context.run_dir, context.home, config.checkpoint)))
    need = plan(config.with_width(width) if width else config, get_preset(config.preset), "cuda", start=start)
    gpus = range(torch.cuda.device_count()) if spreads() else [torch.cuda.current_device()]
    peak, planned = sum(torch.cuda.max_memory_allocated(gpu) for gpu in gpus), need.total - need.process
    context.monitor.say(f"memory: {peak / GIB:.2f} GiB at most, {planned / GIB:.2f} GiB planned")
    return {PEAK: round(peak / GIB, 3), PLAN: round(planned / GIB, 3)}
