"""Asks whether a slot's GPUs work, by a short-lived process: a driver that hangs holds up that process alone.

The process is a setting (`Settings.probe_words`). `python -m memgen probe` asks the driver and lets each GPU multiply
two small matrices, for which it needs torch, which the worker does not import.
"""

import json
import logging
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from memgen.contract.inheritance import inherited
from memgen.contract.problem import Problem
from worker.settings import Settings
from worker.slots import Slot, SlotLock
from worker.strays import MARK
from worker.trainer import gpu_variables

PAUSE = 0.05  # seconds between two looks at the process
KILLED_WITHIN = 2.0  # seconds; a process that waits for a sick driver may not even be killed
MOST_OUTPUT = 64 * 2**10  # bytes of it that are read

log = logging.getLogger(__name__)


class Card:
    """What a slot runs on, as far as one can ask it.

    Args:
        slot: whose GPUs are asked.
        command: of the process that asks, as words; it ends with 0 where all is well, else the last line of what it
            printed is a `Problem` as JSON.
        lock: the slot's lock file, which marks the process as the slot's.
        limit: seconds that it may take.
    """

    def __init__(self, slot: Slot, command: list[str], lock: Path, limit: float) -> None:
        self._slot = slot
        self._command = command
        self._lock = lock
        self._limit = limit
        self._left: subprocess.Popen[bytes] | None = None

    def ask(self, meanwhile: Callable[[], None] = lambda: None) -> Problem | None:
        """Why the slot's GPUs can't be used now; None where they can.

        Args:
            meanwhile: what is to be done again and again while the process works.
        """
        if self._left is not None and self._left.poll() is None:
            return self._hangs()
        self._left = None
        with tempfile.TemporaryFile() as out:
            try:
                process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env=inherited("trainer", os.environ) | self._environment(),
                    process_group=0,
                )
            except OSError as error:
                return Problem(
                    code="card_not_asked",
                    message=f"whether slot {self._slot.name} works can't be asked: {error}",
                    field="MEMGEN_PROBE",
                    value=" ".join(self._command),
                    way_out="Mend that on the machine.",
                )
            try:
                in_time = self._attend(process, meanwhile)
            finally:
                self._end(process)
            if not in_time:
                return self._hangs()
            out.seek(max(0, out.seek(0, os.SEEK_END) - MOST_OUTPUT))
            return None if process.returncode == 0 else _reason(process.returncode, out.read())

    def _environment(self) -> dict[str, str]:
        own = {"MEMGEN_SUPERVISOR_PID": str(os.getpid()), MARK: str(self._lock), "OMP_NUM_THREADS": "1"}
        return own | gpu_variables(self._slot.devices)

    def _attend(self, process: subprocess.Popen[bytes], meanwhile: Callable[[], None]) -> bool:
        """Wait for the process; False if it takes too long."""
        deadline = time.monotonic() + self._limit
        while process.poll() is None:
            if time.monotonic() > deadline:
                return False
            meanwhile()
            with suppress(subprocess.TimeoutExpired):
                process.wait(PAUSE)
        return True

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        try:
            process.wait(KILLED_WITHIN)
        except subprocess.TimeoutExpired:
            log.warning("process %s, which asks slot %s, can't be killed", process.pid, self._slot.name)
            self._left = process

    def _hangs(self) -> Problem:
        return Problem(
            code="card_hangs",
            message=f"the GPU or its driver has not answered within {self._limit:g} s",
            way_out="`nvidia-smi` and `dmesg` tell more; if it does not come back by itself, restart the machine.",
        )


def card_of(slot: Slot, settings: Settings) -> Card | None:
    """Whom to ask for a slot; None where there is nothing to ask, as on a processor."""
    command = settings.probe_words(has_gpus=bool(slot.devices))
    return Card(slot, command, SlotLock(settings.home, slot).path, settings.probe_seconds) if command else None


def _reason(exit_code: int, output: bytes) -> Problem:
    """What the process said last, which may be anything."""
    lines = [line for line in output.decode("utf-8", errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else "nothing"
    with suppress(ValueError, ValidationError, RecursionError):
        return Problem.model_validate(json.loads(last))
    ended = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
    return Problem(
        code="card_failed",
        message=f"the process that asks whether the GPU works {ended} and said last: {last[:500]}",
        way_out="Run `python -m memgen probe` on the machine to see all of it.",
    )
