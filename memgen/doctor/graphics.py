"""The NVIDIA driver, the build of torch, and the GPUs: what they are, and whether `memgen probe` found them well.

Imports no torch, and asks no driver but by what it is given.
"""

from dataclasses import dataclass, field
from typing import Any

from memgen.contract.gpus import VARIABLE, visible_devices
from memgen.contract.problem import Problem
from memgen.doctor.finding import Finding, error, not_looked_at, ok, warning

MOST_USED = 0.1  # share of a GPU's memory that others may hold before it is worth a word
MEASURED = "the method's numbers on it, the noise of number formats, memory against plan, and speed"
"""What the measurements of a card are about."""


@dataclass(frozen=True)
class Gpu:
    """A GPU as the driver describes it."""

    name: str
    total: int
    """Bytes."""
    used: int
    """Bytes that programs hold now."""


@dataclass(frozen=True)
class Driver:
    """What the driver says; empty where none is there, or where it does not answer."""

    version: str | None = None
    cuda: str = ""
    """The newest version of CUDA that it knows, e.g. `13.0`."""
    gpus: list[Gpu] = field(default_factory=list)


@dataclass(frozen=True)
class Torch:
    """The build of torch that is installed, and the GPUs that it can use."""

    version: str | None = None
    """None where it is not installed."""
    cuda: str | None = None
    """Version of CUDA that it was built for, e.g. `13.0`; None for a build for the CPU."""
    gpus: int = 0
    trouble: str = ""
    """Why it can't be imported; empty if it can."""


@dataclass(frozen=True)
class Graphics:
    """What this machine computes with."""

    torch: Torch
    driver: Driver = field(default_factory=Driver)
    problem: Problem | None = None
    """Why the GPUs can't be used, as `memgen probe` says; None where they can, and where there are none."""

    @property
    def has_card(self) -> bool:
        """Whether a GPU is there and can be measured."""
        return self.torch.gpus > 0 and self.problem is None


def read_driver(nvml: Any) -> Driver:
    """Ask the driver.

    Args:
        nvml: the module `pynvml`, or what stands in for it.
    """
    try:
        nvml.nvmlInit()
        number = int(nvml.nvmlSystemGetCudaDriverVersion())
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(int(nvml.nvmlDeviceGetCount()))]
        return Driver(
            version=_text(nvml.nvmlSystemGetDriverVersion()),
            cuda=f"{number // 1000}.{number % 1000 // 10}",
            gpus=[_gpu(nvml, handle) for handle in handles],
        )
    except nvml.NVMLError:  # the probe says why
        return Driver()


def _gpu(nvml: Any, handle: Any) -> Gpu:
    name = _text(nvml.nvmlDeviceGetName(handle))
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError:  # a partitioned GPU may keep this to itself
        return Gpu(name, 0, 0)
    return Gpu(name, int(memory.total), int(memory.used))


def graphics(here: Graphics, visible: str | None) -> list[Finding]:
    """Whether runs can use the GPUs of this machine.

    Args:
        here: see `Graphics`.
        visible: value of CUDA_VISIBLE_DEVICES; None if it is not set.
    """
    driver, torch = here.driver, here.torch
    findings = [_torch(torch)]
    if driver.version:
        names = ", ".join(gpu.name for gpu in driver.gpus) or "no GPU"
        findings.append(ok("driver", f"{driver.version}, up to CUDA {driver.cuda}; {names}"))
    findings += [_memory(index, gpu) for index, gpu in enumerate(driver.gpus)]
    findings += _visible(driver, visible)
    if here.problem is not None:
        findings.append(error("GPUs", here.problem.message, here.problem.way_out))
    elif here.has_card:
        findings.append(ok("GPUs", f"torch sees {torch.gpus}, and a small product is right on each"))
    if not here.has_card:
        why = "no GPU can be used" if driver.gpus or here.problem else "no GPU is here"
        seen = f"{why}, so these were not looked at: {MEASURED}"
        findings.append(not_looked_at("card", seen, "On a machine with a GPU: `python -m memgen doctor --gpu`."))
    return findings


def _torch(torch: Torch) -> Finding:
    if torch.trouble:
        return error("torch", f"it can't be imported: {torch.trouble}", "Install it again: `make install`.")
    if torch.version is None:
        return error("torch", "it is not installed", "Install it: `make install`, or `memgen-studio[worker]` by pip.")
    return ok("torch", f"{torch.version}, built for {f'CUDA {torch.cuda}' if torch.cuda else 'the CPU'}")


def _visible(driver: Driver, value: str | None) -> list[Finding]:
    """What CUDA_VISIBLE_DEVICES keeps from runs."""
    if value is None or not driver.gpus:
        return []
    named = visible_devices(value)
    if named.stray:
        way_out = f"Set {VARIABLE} to numbers or ids of GPUs, or unset it."
        return [error(VARIABLE, f"it names {named.stray!r}, which is no GPU", way_out)]
    if not named.names:
        return [warning(VARIABLE, "it hides every GPU", f"Unset {VARIABLE} to use them.")]
    return [ok(VARIABLE, f"runs see {', '.join(named.names)}")]


def _memory(index: int, gpu: Gpu) -> Finding:
    subject = f"GPU {index}"
    seen = f"{gpu.name}, {_gib(gpu.used)} of {_gib(gpu.total)} in use"
    if gpu.total and gpu.used / gpu.total > MOST_USED:
        return warning(
            subject, seen, "Another program holds memory there: `nvidia-smi` names it. Runs get what is left."
        )
    return ok(subject, seen)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
