"""The NVIDIA driver, the build of torch, and each GPU: whether a run could use them. Imports no torch."""

from dataclasses import dataclass, field
from typing import Any

from memgen.contract.gpus import VARIABLE, visible_devices
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
    """What the driver says."""

    version: str | None = None
    """None where there is no driver."""
    cuda: tuple[int, int] | None = None
    """The newest version of CUDA that it knows."""
    gpus: list[Gpu] = field(default_factory=list)
    trouble: str = ""
    """Why it could not be asked, where it is there; empty if it could."""


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
            cuda=(number // 1000, number % 1000 // 10),
            gpus=[_gpu(nvml, handle) for handle in handles],
        )
    except nvml.NVMLError as problem:
        absent = {nvml.NVML_ERROR_LIBRARY_NOT_FOUND, nvml.NVML_ERROR_DRIVER_NOT_LOADED}
        return Driver() if getattr(problem, "value", None) in absent else Driver(trouble=str(problem))


def _gpu(nvml: Any, handle: Any) -> Gpu:
    name = _text(nvml.nvmlDeviceGetName(handle))
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError:  # a partitioned GPU may keep this to itself
        return Gpu(name, 0, 0)
    return Gpu(name, int(memory.total), int(memory.used))


def graphics(driver: Driver, torch: Torch, visible: str | None) -> list[Finding]:
    """Whether runs can use the GPUs of this machine.

    Args:
        driver: what it says.
        torch: its build.
        visible: value of CUDA_VISIBLE_DEVICES; None if it is not set.
    """
    findings = [_driver(driver)] if driver.version or driver.trouble else []
    findings.append(_torch(driver, torch, visible))
    findings += [_memory(index, gpu) for index, gpu in enumerate(driver.gpus)]
    if not torch.gpus:
        why = "no GPU can be used here" if driver.gpus or driver.trouble else "no GPU is here"
        seen = f"{why}, so these were not looked at: {MEASURED}"
        findings.append(not_looked_at("card", seen, "On a machine with a GPU: `python -m memgen doctor --gpu`."))
    return findings


def _driver(driver: Driver) -> Finding:
    if driver.trouble:
        way_out = "`nvidia-smi` says more. A driver that was renewed wants the machine to be started again."
        return error("driver", f"the NVIDIA driver can't be asked: {driver.trouble}", way_out)
    names = ", ".join(gpu.name for gpu in driver.gpus) or "no GPU"
    return ok("driver", f"{driver.version}, up to CUDA {_number(driver.cuda)}; {names}")


def _torch(driver: Driver, torch: Torch, visible: str | None) -> Finding:
    if torch.trouble:
        return error("torch", f"it can't be imported: {torch.trouble}", "Install it again: `make install`.")
    if torch.version is None:
        return error("torch", "it is not installed", "Install it: `make install`, or `memgen-studio[worker]` by pip.")
    build = f"built for CUDA {torch.cuda}" if torch.cuda else "built for the CPU"
    seen = f"{torch.version}, {build}"
    if torch.gpus:
        return ok("torch", f"{seen}, which sees {torch.gpus} GPU{'s' if torch.gpus > 1 else ''}")
    if not driver.gpus:
        return ok("torch", seen)
    if torch.cuda is None:
        way_out = "Install the build for CUDA that PyTorch's download page names for this machine."
        return error("torch", f"{seen}, and there is a GPU", way_out)
    named = visible_devices(visible) if visible is not None else None
    if named is not None and named.stray:
        seen = f"{seen}, and {VARIABLE} names {named.stray!r}, which is no GPU"
        return error("torch", seen, f"Set {VARIABLE} to numbers or ids of GPUs, or unset it.")
    if named is not None and not named.names:
        return warning("torch", f"{seen}, and {VARIABLE} hides every GPU", f"Unset {VARIABLE} to use them.")
    if driver.cuda is not None and driver.cuda < _version(torch.cuda):
        way_out = "Install a newer driver, or a torch that is built for an older CUDA."
        return error("torch", f"{seen}, and the driver knows CUDA only up to {_number(driver.cuda)}", way_out)
    return error("torch", f"{seen}, and it can't use the GPU", "`nvidia-smi` and the log of the system say more.")


def _memory(index: int, gpu: Gpu) -> Finding:
    subject = f"GPU {index}"
    seen = f"{gpu.name}, {_gib(gpu.used)} of {_gib(gpu.total)} in use"
    if gpu.total and gpu.used / gpu.total > MOST_USED:
        return warning(
            subject, seen, "Another program holds memory there: `nvidia-smi` names it. Runs get what is left."
        )
    return ok(subject, seen)


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor.partition(".")[0] or 0)


def _number(version: tuple[int, int] | None) -> str:
    return ".".join(map(str, version)) if version else "unknown"


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
