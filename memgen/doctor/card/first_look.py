"""What torch says of its build and of the GPUs, and whether each of them computes."""

import torch

from memgen.doctor.finding import Finding, error, ok
from memgen.doctor.graphics import Torch

SIDE = 256  # of the small product


def read_torch() -> Torch:
    """The build that is installed, and how many GPUs it can use."""
    return Torch(torch.__version__, torch.version.cuda, torch.cuda.device_count())


def computes(device: str) -> Finding:
    """Whether a device makes small products, in both number formats of runs, as the CPU does."""
    subject = f"product on {device}"
    left = torch.linspace(-1, 1, SIDE * SIDE).reshape(SIDE, SIDE)
    exact = left @ left
    try:
        for dtype, most in ((torch.float32, 1e-2), (torch.bfloat16, 1.0)):
            there = left.to(device, dtype)
            gap = float(((there @ there).float().cpu() - exact).abs().max())
            if not gap <= most:
                way_out = "The card, its memory or its driver is ill: don't trust its results."
                return error(subject, f"it differs by {gap:.3g} from the CPU's in {dtype}", way_out)
    except (RuntimeError, AssertionError) as broken:  # whatever CUDA says; a build without CUDA asserts
        line = str(broken).strip().splitlines()[0]
        return error(subject, f"it failed: {line}", "`nvidia-smi` and the log of the system say more.")
    return ok(subject, "right in float32 and bfloat16")
