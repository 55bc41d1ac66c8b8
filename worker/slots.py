"""Slots: GPU groups of this machine (or its CPU), each held through a file lock by the supervisor that uses it."""

import fcntl
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Self

import psutil

from backend.api.schemas import ClaimRequest, Limits, SlotReport
from memgen.contract.errors import BadInput
from memgen.contract.gpus import VARIABLE
from memgen.contract.machine import machine_name, slots_dir, slots_dir_by_name, this_boot
from memgen.contract.service_files import slot_lock, slot_locks, worker_dir
from worker.gpus import answered, open_nvml, visible_gpus
from worker.strays import memory_at_work
from worker.versions import installed_versions

CPU = re.compile(r"cpu[0-9]*")
GPUS = re.compile(r"[0-9]{1,4}(,[0-9]{1,4})*")
INSTANCE = re.compile(r"MIG-[0-9A-Za-z\-]+")
LONGEST_NAME = 50  # characters, as the backend stores it


@dataclass(frozen=True)
class Slot:
    """One place where one trainer can run."""

    name: str
    """GPU numbers with commas, or the id of a GPU's instance (`MIG-...`); or `cpu`, and `cpu0`, `cpu1`, ... where the
    processor is to work on several runs."""

    @classmethod
    def parse(cls, name: str) -> Self:
        """A slot from its name on the command line.

        Raises:
            BadInput: `bad_slot`.
        """
        if len(name) <= LONGEST_NAME:
            if GPUS.fullmatch(name):
                return cls(",".join(str(int(number)) for number in name.split(",")))  # `00` is GPU 0
            if CPU.fullmatch(name) or INSTANCE.fullmatch(name):
                return cls(name)
        raise BadInput(
            "bad_slot",
            "a slot is `cpu`, GPU numbers with commas, or an instance of a GPU",
            field="--slots",
            value=name,
            way_out="E.g. `--slots 0 1` for two slots of one GPU, `--slots 0,1` for one of two, "
            "`--slots cpu0 cpu1` for two that share the processor, `--slots MIG-...` as `nvidia-smi -L` names it.",
        )

    @property
    def devices(self) -> list[str]:
        """What CUDA_VISIBLE_DEVICES calls this slot's GPUs."""
        return [] if CPU.fullmatch(self.name) else self.name.split(",")

    @property
    def gpus(self) -> list[int]:
        """GPU numbers of this slot; of an instance that of its GPU."""
        return [int(name) if name.isdecimal() else _parent_of(name) for name in self.devices]

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """What torch calls the device."""
        return "cuda" if self.devices else "cpu"

    def report(self, limits: Limits | None = None) -> SlotReport:
        """How the backend sees this slot, with what is free now.

        Args:
            limits: how much of this machine may be used; None for all of it.

        Raises:
            BadInput: `card_unreadable`.
        """
        share = 1.0 if limits is None else limits.memory_share
        if self.devices:
            return within(answered(self._gpu_report), share, used=0)
        memory = psutil.virtual_memory()
        report = SlotReport(name=self.name, device="cpu", total_memory=int(memory.total), free=[int(memory.available)])
        return report if share == 1 else within(report, share, used=memory_at_work())

    def unread_report(self) -> SlotReport:
        """The same where nothing can be read of its GPUs.

        Raises:
            BadInput: `card_unreadable`, for an instance of a GPU: which GPU it is of, only the driver tells.
        """
        return SlotReport(name=self.name, device=self.device, gpus=answered(lambda: self.gpus), total_memory=0)

    def claim(self, limits: Limits | None = None) -> ClaimRequest:
        """The question for work on this slot.

        Args:
            limits: how much of this machine may be used; None for all of it.

        Raises:
            BadInput: `card_unreadable`.
        """
        report = self.report(limits)
        return ClaimRequest(
            host=machine_name(),
            boot_id=this_boot(),
            pid=os.getpid(),
            slot=report,
            free_memory=sum(report.free),
            free_gpu_memory=report.free if self.devices else [],
            versions=installed_versions(),
            limits=limits or Limits(),
            clock=time.time(),
        )

    def _gpu_report(self) -> SlotReport:
        with open_nvml() as nvml:
            infos = [nvml.nvmlDeviceGetMemoryInfo(_handle(nvml, name)) for name in self.devices]
            total = [int(info.total) for info in infos]
            return SlotReport(
                name=self.name,
                device="cuda",
                gpus=self.gpus,
                total_memory=sum(total),
                gpu_memory=total,
                free=[int(info.free) for info in infos],
            )


def within(report: SlotReport, share: float, *, used: int) -> SlotReport:
    """A slot of which runs may use a share of each device's memory.

    Args:
        report: of all that the slot has.
        share: of it.
        used: bytes that runs of this machine use now, where its slots share one memory; a GPU is of one slot alone.
    """
    totals = [int(share * total) for total in report.device_memory]
    free = [max(0, min(free, total - used)) for free, total in zip(report.free, totals, strict=True)]
    gpu_memory = totals if report.gpu_memory else []
    return report.model_copy(update={"total_memory": sum(totals), "gpu_memory": gpu_memory, "free": free})


def _handle(nvml: Any, name: str) -> Any:
    return nvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdecimal() else nvml.nvmlDeviceGetHandleByUUID(name)


def _parent_of(instance: str) -> int:
    with open_nvml() as nvml:
        handle = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(_handle(nvml, instance))
        return int(nvml.nvmlDeviceGetIndex(handle))


def find_slots() -> list[Slot]:
    """One slot per GPU, or instance of one, that CUDA_VISIBLE_DEVICES allows; one CPU slot if there is none.

    Raises:
        BadInput: `bad_setting`, if that variable names what this machine does not have.
    """
    return [Slot(gpu.name) for gpu in visible_gpus(os.environ.get(VARIABLE))] or [Slot("cpu")]


def check_slots(slots: list[Slot]) -> None:
    """Refuse slots that share a name or a GPU, or name one that is not there.

    Raises:
        BadInput: `bad_slot`.
    """
    uses_gpus = any(slot.devices for slot in slots)
    available = {name for slot in find_slots() for name in slot.devices} if uses_gpus else set()
    seen: set[str] = set()
    for number, slot in enumerate(slots):
        if slot in slots[:number]:
            raise BadInput(
                "bad_slot", "two slots have the same name", field="--slots", value=slot.name, way_out="Name each once."
            )
        for name in slot.devices:
            if name not in available:
                raise BadInput(
                    "bad_slot",
                    "this machine has no such GPU",
                    field="--slots",
                    value=name,
                    way_out=f"It has {', '.join(sorted(available)) or 'none: use --slots cpu'}.",
                )
            if name in seen:
                raise BadInput(
                    "bad_slot", "two slots name the same GPU", field="--slots", value=name, way_out="Name each once."
                )
            seen.add(name)


class SlotLock:
    """The lock of a slot on this machine; the kernel frees it when its holder dies.

    `filelock` is not used: where a file system has no flock it goes on with a file that outlives its holder, it lets a
    process take twice what it holds, and it takes a slot for busy whose file `remove_old_locks` has just removed.

    Args:
        home: folder of everything.
        slot: what to hold.
        name: in the place of the slot's, where a batch system sees to it that nobody else uses what the slot has.
    """

    def __init__(self, home: Path, slot: Slot, name: str | None = None) -> None:
        self.path = slot_lock(slots_dir(home), name or slot.name)
        """Of this machine, home and slot alone; a machine's name is no part of it."""
        self._by_name = slot_lock(slots_dir_by_name(home), name or slot.name)
        self._file: IO[str] | None = None

    def take(self) -> bool:
        """Hold the slot; False if somebody else holds it."""
        if self._by_name.exists() and not is_unlocked(self._by_name):
            return False  # a supervisor of version 0.1 holds it: there the machine's name was part of the path
        while True:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open("a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file.fileno()), self.path.stat()):
                    self._file = file
                    return True
            except BlockingIOError:
                file.close()
                return False
            except FileNotFoundError:
                pass
            file.close()  # `remove_old_locks` was faster: others would lock another file of this name

    def release(self) -> None:
        """Let the slot go."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def is_free(self) -> bool:
        """Whether nobody holds the slot now."""
        if not self.take():
            return False
        self.release()
        return True


def is_unlocked(path: Path) -> bool:
    """Whether nobody holds a lock file."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def remove_old_locks(home: Path) -> None:
    """Remove lock files that nobody holds, in folders of earlier starts of this machine or of others.

    Each start of a machine has a folder of its own. Whoever takes a lock looks afterwards whether its file is still
    there, so a lock that another machine is about to take is not lost.
    """
    for folder in worker_dir(home).glob("*"):
        if folder == slots_dir(home) or folder.is_symlink() or not folder.is_dir():
            continue
        for _, path in slot_locks(folder):
            with suppress(OSError), path.open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
        with suppress(OSError):  # not empty: somebody works there
            folder.rmdir()


def threads_per_trainer(num_slots: int) -> int:
    """CPU threads of one trainer when all slots are busy."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, cores // max(1, num_slots))
