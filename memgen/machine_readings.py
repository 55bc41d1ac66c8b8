"""What the machine does while a run works on it: memory of this process, and its GPU's memory, work and power.

Reading is cheap and may fail (a driver that tells nothing, a card without a power sensor): what can't be read is left
out, and the run goes on.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import psutil

from memgen.contract.machine_metrics import GPU_BUSY, GPU_MEMORY, GPU_POWER, MEMORY

GIB = 2**30


def machine_readings(cuda: Any = None) -> dict[str, float]:
    """By the names of `contract.machine_metrics`; of a run without a GPU its memory alone.

    Args:
        cuda: `torch.cuda`, or what stands in for it; None looks whether torch was imported.
    """
    if cuda is None and "torch" in sys.modules:
        cuda = sys.modules["torch"].cuda
    readings = {MEMORY: psutil.Process().memory_info().rss / GIB}
    if cuda is None or not cuda.is_initialized():
        return readings
    return readings | dict(_read(cuda))


def _read(cuda: Any) -> Iterator[tuple[str, float]]:
    sources: dict[str, tuple[Callable[[], int], float]] = {
        GPU_MEMORY: (cuda.device_memory_used, GIB),
        GPU_BUSY: (cuda.utilization, 100),
        GPU_POWER: (cuda.power_draw, 1000),
    }
    for name, (ask, unit) in sources.items():
        try:
            yield name, ask() / unit
        except Exception:  # of the driver's library, which has its own kinds, or of a card that lacks the sensor
            continue
