"""Slots: GPU groups of this machine (or its CPU), each held through a file lock by the supervisor that uses it."""

import fcntl
import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Self

import psutil

from backend.schemas import ClaimRequest, SlotReport
from memgen.contract.errors import BadInput

CPU = re.compile(r"cpu[0-9]*")


@dataclass(frozen=True)
class Slot:
    """One place where one trainer can run."""

    name: str
    """GPU numbers with commas; or `cpu`, and `cpu0`, `cpu1`, ... where the processor is to work on several runs."""

    @classmethod
    def parse(cls, name: str) -> Self:
        """A slot from its name on the command line.

        Raises:
            BadInput: `bad_slot`.
        """
        if not CPU.fullmatch(name) and not all(part.isdigit() for part in name.split(",")):
            raise BadInput(
                "bad_slot",
                "a slot is `cpu` or GPU numbers with commas",
                field="--slots",
                value=name,
                way_out="E.g. `--slots 0 1` for two slots of one GPU, `--slots 0,1` for one of two, "
                "`--slots cpu0 cpu1` for two that share the processor.",
            )
        return cls(name)

    @property
    def gpus(self) -> list[int]:
        """GPU numbers of this slot."""
        return [] if CPU.fullmatch(self.name) else [int(part) for part in self.name.split(",")]

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """What torch calls the device."""
        return "cuda" if self.gpus else "cpu"

    def report(self) -> SlotReport:
        """How the backend sees this slot."""
        free, total = self.memory()
        return SlotReport(
            name=self.name,
            device=self.device,
            gpus=self.gpus,
            total_memory=sum(total),
            gpu_memory=total if self.gpus else [],
            free=free,
        )

    def claim(self) -> ClaimRequest:
        """The question for work on this slot."""
        free, _ = self.memory()
        return ClaimRequest(
            host=platform.node(),
            boot_id=boot_id(),
            pid=os.getpid(),
            slot=self.report(),
            free_memory=sum(free),
            free_gpu_memory=free if self.gpus else [],
        )

    def memory(self) -> tuple[list[int], list[int]]:
        """Free and total bytes of each of the slot's GPUs now; of the machine where it has none."""
        if not self.gpus:
            memory = psutil.virtual_memory()
            return [int(memory.available)], [int(memory.total)]
        import pynvml

        pynvml.nvmlInit()
        infos = [pynvml.nvmlDeviceGetMemoryInfo(pynvml.nvmlDeviceGetHandleByIndex(gpu)) for gpu in self.gpus]
        return [int(info.free) for info in infos], [int(info.total) for info in infos]


def find_slots() -> list[Slot]:
    """One slot per GPU that CUDA_VISIBLE_DEVICES allows, or one CPU slot if there is none."""
    try:
        import pynvml

        pynvml.nvmlInit()
        gpus = list(range(int(pynvml.nvmlDeviceGetCount())))
    except Exception:  # no driver, no library: the machine has no GPU that we could use
        gpus = []
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        gpus = [gpu for gpu in gpus if str(gpu) in allowed.split(",")]
    return [Slot(str(gpu)) for gpu in gpus] or [Slot("cpu")]


def check_slots(slots: list[Slot]) -> None:
    """Refuse slots that share a name or a GPU, or name one that is not there.

    Raises:
        BadInput: `bad_slot`.
    """
    available = {gpu for slot in find_slots() for gpu in slot.gpus}
    seen: set[int] = set()
    for number, slot in enumerate(slots):
        if slot in slots[:number]:
            raise BadInput(
                "bad_slot", "two slots have the same name", field="--slots", value=slot.name, way_out="Name each once."
            )
        for gpu in slot.gpus:
            if gpu not in available:
                raise BadInput(
                    "bad_slot",
                    "this machine has no such GPU",
                    field="--slots",
                    value=gpu,
                    way_out=f"It has {sorted(available) or 'none: use --slots cpu'}.",
                )
            if gpu in seen:
                raise BadInput(
                    "bad_slot", "two slots name the same GPU", field="--slots", value=gpu, way_out="Name each GPU once."
                )
            seen.add(gpu)


class SlotLock:
    """The lock of a slot on this machine; the kernel frees it when its holder dies.

    Args:
        home: folder of everything.
        slot: what to hold.
    """

    def __init__(self, home: Path, slot: Slot) -> None:
        self.path = home / "worker" / platform.node() / f"slot-{slot.name}.lock"
        """Of this machine, home and slot alone."""
        self._file: IO[str] | None = None

    def take(self) -> bool:
        """Hold the slot; False if somebody else holds it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

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


def boot_id() -> str:
    """Changes with every boot of this machine."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else str(int(psutil.boot_time()))


def threads_per_trainer(num_slots: int) -> int:
    """CPU threads of one trainer when all slots are busy."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, cores // max(1, num_slots))
