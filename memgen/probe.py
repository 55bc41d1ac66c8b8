"""Do the GPUs that this process may use work? NVML is asked first; then each multiplies two small matrices.

For a process of its own with a time limit (`python -m memgen probe`): a driver that is sick may never answer. NVML and
torch are parameters. Knows nothing of slots, runs or models.
"""

import os
from typing import Any

from memgen.card_errors import OUT_OF_MEMORY, failure_code
from memgen.contract.gpus import VARIABLE, visible_devices
from memgen.contract.problem import Problem

SIDE = 256  # of the matrices
FACTOR = 0.5  # what fills them: each sum of products is exact in every number format of a card
LOOK_AT_DRIVER = "`nvidia-smi` and `dmesg` tell more; if it does not come back by itself, restart the machine."


def trouble() -> Problem | None:
    """Why the GPUs that CUDA_VISIBLE_DEVICES names (all where it is unset) can't be used; None where they can."""
    import pynvml

    value = os.environ.get(VARIABLE)
    names = None if value is None else visible_devices(value).names
    if names == []:
        return None
    problem = managed(pynvml, names)
    if problem is not None:
        return problem
    import torch

    return multiplied(torch, names)


def managed(nvml: Any, names: list[str] | None) -> Problem | None:
    """What NVML knows against the use of GPUs.

    Args:
        nvml: the module `pynvml`.
        names: numbers or ids of GPUs and their instances; None for all.
    """
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return _driver_trouble(nvml, error)
    try:
        every = names if names is not None else [str(index) for index in range(int(nvml.nvmlDeviceGetCount()))]
        return next((problem for name in every if (problem := _managed(nvml, name)) is not None), None)
    except nvml.NVMLError as error:
        return _driver_trouble(nvml, error)
    finally:
        nvml.nvmlShutdown()


def multiplied(torch: Any, names: list[str] | None) -> Problem | None:
    """What goes wrong with a small product on each GPU.

    Args:
        torch: the module.
        names: what the GPUs are called, in the order in which torch sees them; None for all.
    """
    if torch.version.cuda is None:
        return Problem(
            code="torch_without_cuda",
            message=f"torch {torch.__version__} is built for the CPU",
            way_out="Install torch's CUDA build; to run on the CPU, serve the slot `cpu`.",
        )
    try:
        torch.cuda.init()
        count = int(torch.cuda.device_count())
        if names is not None and count < len(names):
            return Problem(
                code="card_missing",
                message=f"torch sees {count} of the GPUs {', '.join(names)}",
                way_out=LOOK_AT_DRIVER,
            )
        for device in range(count):
            name = names[device] if names is not None else str(device)
            filled = torch.full((SIDE, SIDE), FACTOR, device=f"cuda:{device}")
            if not bool(((filled @ filled).cpu() == SIDE * FACTOR**2).all()):
                return Problem(
                    code="card_wrong",
                    message=f"GPU {name} multiplies two small matrices and the product is wrong",
                    way_out="Take the card out of use; its memory or the card itself is broken.",
                )
    except Exception as error:
        return _product_trouble(torch, error)
    return None


def _managed(nvml: Any, name: str) -> Problem | None:
    try:
        by_number = name.isdecimal()
        handle = nvml.nvmlDeviceGetHandleByIndex(int(name)) if by_number else nvml.nvmlDeviceGetHandleByUUID(name)
        if by_number and _is_partitioned(nvml, handle):  # first: as a whole it may not tell its memory
            return Problem(
                code="card_partitioned",
                message=f"GPU {name} has been partitioned (MIG) and can't be used as a whole",
                way_out="Restart the worker: each instance becomes a slot.",
            )
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError as error:
        return Problem(code="card_lost", message=f"GPU {name} does not answer: {error}", way_out=LOOK_AT_DRIVER)
    mode = _optional(nvml, lambda: nvml.nvmlDeviceGetComputeMode(handle))
    if mode == nvml.NVML_COMPUTEMODE_PROHIBITED:
        return Problem(
            code="card_prohibited",
            message=f"GPU {name} is in compute mode `prohibited`: no program may use it",
            way_out=f"An administrator allows it by `nvidia-smi -i {name} -c DEFAULT`.",
        )
    others = _optional(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or []
    if mode == nvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS and others:
        return Problem(
            code="card_busy",
            message=f"GPU {name} is in exclusive mode, and process {others[0].pid} uses it",
            way_out=f"It is free when that process ends; `nvidia-smi -i {name} -c DEFAULT` lets programs share it.",
        )
    if memory.total and memory.free < memory.total // 100:  # not even a context fits
        return Problem(
            code="card_full",
            message=f"other programs hold {(memory.total - memory.free) / 2**30:.1f} of the "
            f"{memory.total / 2**30:.1f} GiB of GPU {name}",
            way_out="It is free when they end; `nvidia-smi` lists them.",
        )
    return None


def _is_partitioned(nvml: Any, handle: Any) -> bool:
    mode = _optional(nvml, lambda: nvml.nvmlDeviceGetMigMode(handle))
    return mode is not None and mode[0] == nvml.NVML_DEVICE_MIG_ENABLE


def _optional(nvml: Any, ask: Any) -> Any:
    """An answer that not every card can give."""
    try:
        return ask()
    except nvml.NVMLError:
        return None


def _driver_trouble(nvml: Any, error: Any) -> Problem:
    number = getattr(error, "value", None)
    if number in {nvml.NVML_ERROR_LIBRARY_NOT_FOUND, nvml.NVML_ERROR_DRIVER_NOT_LOADED}:
        return Problem(
            code="no_driver",
            message=f"the NVIDIA driver is not loaded: {error}",
            way_out="Load or install it (`nvidia-smi` tells whether it works).",
        )
    if number == nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return Problem(
            code="driver_renewed",
            message=f"the NVIDIA driver was renewed and the old one still runs: {error}",
            way_out="Load the new one, e.g. by restarting the machine.",
        )
    return Problem(code="driver_failed", message=f"the NVIDIA driver does not answer: {error}", way_out=LOOK_AT_DRIVER)


def _product_trouble(torch: Any, error: Exception) -> Problem:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    if failure_code(error) == OUT_OF_MEMORY:
        return Problem(
            code="card_full",
            message=f"other programs leave no room for a small product: {said}",
            way_out="It is free when they end; `nvidia-smi` lists them.",
        )
    if "driver on your system is too old" in said or "driver version is insufficient" in said:
        return Problem(
            code="driver_too_old",
            message=f"the NVIDIA driver is too old for torch {torch.__version__} (CUDA {torch.version.cuda}): {said}",
            way_out="Install a newer driver, or a torch that is built for an older CUDA.",
        )
    if "busy or unavailable" in said:
        return Problem(
            code="card_busy",
            message=f"another program has the GPU to itself: {said}",
            way_out="It is free when that program ends; `nvidia-smi -c DEFAULT` lets programs share it.",
        )
    return Problem(code="card_failed", message=f"a small product fails: {said}", way_out=LOOK_AT_DRIVER)
