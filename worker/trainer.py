"""One process that works on an attempt: in a group of its own, its output in a file, ended with all its children."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from memgen.contract.gpus import VARIABLE
from memgen.contract.inheritance import inherited


def gpu_variables(devices: list[str]) -> dict[str, str]:
    """What lets a process see these GPUs alone."""
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", VARIABLE: ",".join(devices)}  # the order in which memory is read


class Trainer:
    """A running trainer, or the fetcher that gets its weights.

    Args:
        command: words of the command.
        log: file that takes standard output and error (never a pipe: a pipe's reader may die).
        environment: additions to what its kind inherits.
        kind: a fetcher has the model hub's token, a trainer has none.

    Raises:
        OSError: it can't be started.
        BadInput: `bad_setting`, if MEMGEN_PASS_ON can't be used.
    """

    def __init__(
        self,
        command: list[str],
        log: Path,
        environment: Mapping[str, str],
        *,
        kind: Literal["trainer", "fetcher"] = "trainer",
    ) -> None:
        self.kind = kind
        inherits = inherited(kind, os.environ)
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**inherits, **environment, "PYTHONUNBUFFERED": "1"},
                process_group=0,
            )
        self.pid = self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative is minus the signal that ended it."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    def kill(self) -> None:
        """End the whole group now, and wait for the trainer."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def sweep(self) -> None:
        """After the trainer's end: kill what is left of its group."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                return
            time.sleep(0.02)
