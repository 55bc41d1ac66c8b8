"""The GPUs of this machine, by NVML: whole ones, and the instances of those that are partitioned (MIG)."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any, TypeVar

from memgen.contract.errors import BadInput
from memgen.contract.gpus import VARIABLE, visible_devices

log = logging.getLogger(__name__)
PATIENCE = 10.0  # seconds until a driver that does not answer counts as sick
MOST_UNANSWERED = 16  # questions that may wait for such a driver at once; each holds a thread
_T = TypeVar("_T")
_unanswered: list[threading.Thread] = []
_is_kept = False


@dataclass(frozen=True)
class Gpu:
    """A GPU, or an instance of one, that a trainer can use."""

    name: str
    """What CUDA_VISIBLE_DEVICES calls it: its number in the order of the PCI bus, or the id of an instance."""
    index: int
    """Number of the GPU, also of an instance's."""
    uuid: str
    instance: tuple[int, int] | None = None
    """Numbers of the GPU instance and the compute instance."""


@contextmanager
def open_nvml() -> Iterator[Any]:
    """NVML, open while it is read; opening is quick where `keep_driver_open` or another program keeps the driver."""
    import pynvml

    pynvml.nvmlInit()
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def keep_driver_open(keep: bool) -> None:
    """Keep the driver at hand for the next reading, or let go of it.

    A driver that nobody has open puts its GPUs to rest, and takes seconds for each to come back; one that a process has
    open can't be renewed, nor can its GPUs be reset: it is let go while a slot is sick.

    Raises:
        BadInput: `card_unreadable`.
    """
    global _is_kept
    if keep == _is_kept:
        return
    import pynvml

    answered(pynvml.nvmlInit if keep else pynvml.nvmlShutdown)
    _is_kept = keep


def answered(read: Callable[[], _T], patience: float = PATIENCE) -> _T:
    """What a driver answers; the thread that asked one that never does is left behind.

    Args:
        read: asks NVML.
        patience: seconds; a tenth of them while earlier questions wait, so that a sign of life with many slots is in
            time.

    Raises:
        BadInput: `card_unreadable`, if there is no answer in time or an error of NVML.
    """
    _unanswered[:] = [thread for thread in _unanswered if thread.is_alive()]
    answers: Queue[_T | Exception] = Queue()

    def ask() -> None:
        try:
            answers.put(read())
        except Exception as error:  # NVML's errors have no common ground; whoever waits raises it
            answers.put(error)

    thread = threading.Thread(target=ask, name="nvml", daemon=True)
    try:
        if len(_unanswered) >= MOST_UNANSWERED:
            raise Empty
        thread.start()
        answer = answers.get(timeout=patience / 10 if _unanswered else patience)
    except Empty:
        _unanswered.append(thread)
        raise _unreadable(f"the driver has not answered within {patience:g} s") from None
    if isinstance(answer, Exception):
        raise _unreadable(f"its memory can't be read: {answer}") from answer
    return answer


def _unreadable(message: str) -> BadInput:
    return BadInput("card_unreadable", message, way_out="`nvidia-smi` and `dmesg` tell more of the GPU and its driver.")


def machine_gpus() -> list[Gpu]:
    """All GPUs of this machine; those that are partitioned by their instances. Empty without a driver.

    Raises:
        BadInput: `card_unreadable`, if the driver never answers.
    """
    return answered(_machine_gpus)


def _machine_gpus() -> list[Gpu]:
    try:
        import pynvml
    except ImportError:
        return []
    try:
        with open_nvml() as nvml:
            return [gpu for index in range(int(nvml.nvmlDeviceGetCount())) for gpu in _gpus_at(nvml, index)]
    except pynvml.NVMLError as error:
        usual = {pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED}
        if getattr(error, "value", None) not in usual:  # e.g. a driver that was renewed and not loaded again
            log.warning("the GPUs of this machine can't be used: %s", error)
        return []


def visible_gpus(value: str | None) -> list[Gpu]:
    """The GPUs that a value of CUDA_VISIBLE_DEVICES allows, in its order; all where it is not set.

    Raises:
        BadInput: `bad_setting`, if it names what this machine does not have, or one GPU twice.
    """
    gpus = machine_gpus()
    if value is None:
        return gpus
    named = visible_devices(value)
    if not gpus:
        if named.names or named.stray:
            log.warning("%s is %s, and no GPU can be used here: is there a driver?", VARIABLE, value)
        return []
    if named.stray:
        raise _unusable("this is no GPU", named.stray)
    chosen: list[Gpu] = []
    for name in named.names:
        matching = _matching(name, gpus)
        if not matching:
            numbers = ", ".join(gpu.name for gpu in gpus)
            raise _unusable("this machine has no such GPU", name, f"It has {numbers}. Set it to others or unset it.")
        if len({gpu.index for gpu in matching}) > 1:
            raise _unusable("this may be more than one GPU", name, "Write more of its id (`nvidia-smi -L`).")
        if any(gpu in chosen for gpu in matching):
            raise _unusable("a GPU is named twice", name, "Name each once.")
        chosen += matching
    return chosen


def _matching(name: str, gpus: list[Gpu]) -> list[Gpu]:
    """The GPU of a number or id; all instances of one that is partitioned."""
    if name.isdecimal():
        return [gpu for gpu in gpus if gpu.index == int(name)]
    found = [gpu for gpu in gpus if gpu.uuid.startswith(name) or gpu.name.startswith(name)]
    if found or name.count("/") != 2:
        return found
    uuid, *numbers = name.removeprefix("MIG-").split("/")  # MIG-GPU-.../1/0: how older drivers name instances
    return [gpu for gpu in gpus if gpu.uuid == uuid and gpu.instance and list(map(str, gpu.instance)) == numbers]


def _gpus_at(pynvml: Any, index: int) -> list[Gpu]:
    try:
        return _gpus_of(pynvml, index, pynvml.nvmlDeviceGetHandleByIndex(index))
    except pynvml.NVMLError as error:  # it keeps its slot, which says so again each time it is looked at
        log.warning("GPU %s can't be used now: %s", index, error)
        return [Gpu(str(index), index, uuid=f"unknown-{index}")]


def _gpus_of(pynvml: Any, index: int, handle: Any) -> list[Gpu]:
    uuid = _text(pynvml.nvmlDeviceGetUUID(handle))
    try:
        partitioned = pynvml.nvmlDeviceGetMigMode(handle)[0] == pynvml.NVML_DEVICE_MIG_ENABLE
    except pynvml.NVMLError:  # most GPUs can't be partitioned
        partitioned = False
    if not partitioned:
        return [Gpu(str(index), index, uuid)]
    instances = []
    for number in range(int(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle))):
        try:
            instance = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
        except pynvml.NVMLError:  # not every number that is possible is taken
            continue
        ids = (int(pynvml.nvmlDeviceGetGpuInstanceId(instance)), int(pynvml.nvmlDeviceGetComputeInstanceId(instance)))
        instances.append(Gpu(_text(pynvml.nvmlDeviceGetUUID(instance)), index, uuid, ids))
    return instances


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _unusable(message: str, value: str, way_out: str = "Set it to numbers or ids of GPUs, or unset it.") -> BadInput:
    return BadInput("bad_setting", message, field=VARIABLE, value=value, way_out=way_out)
