"""One thread per slot: when the doorbell rings, and now and then, it starts supervisors until nothing fits."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from memgen.contract.inheritance import inherited
from memgen.contract.service_files import supervisors_log
from worker.settings import Settings
from worker.slots import Slot, SlotLock
from worker.supervisor import EXIT_WORKED

log = logging.getLogger(__name__)


class SlotRunner:
    """Serves one slot.

    Args:
        slot: what to serve.
        settings: where things are.
        threads: CPU threads of a trainer.
        start: starts a supervisor and returns its exit code when it has ended.
        longest_silence: seconds without a ring after which it looks for work all the same: a bell may be broken.
    """

    def __init__(
        self,
        slot: Slot,
        settings: Settings,
        threads: int,
        *,
        start: Callable[[Slot, int], int] | None = None,
        longest_silence: float = 60.0,
    ) -> None:
        self._slot = slot
        self._lock = SlotLock(settings.home, slot)
        self._log = supervisors_log(settings.home)
        self._threads = threads
        self._start = start or self._start_process
        self._longest_silence = longest_silence
        self._rung = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"slot-{slot.name}", daemon=True)

    def start(self) -> None:
        """Begin to serve; the first look needs no ring."""
        self._rung.set()
        self._thread.start()

    def ring(self) -> None:
        """There is work, perhaps."""
        self._rung.set()

    def stop(self) -> None:
        """Serve no more; a supervisor that works goes on by itself."""
        self._over.set()
        self._rung.set()

    def _serve(self) -> None:
        while not self._over.is_set():
            self._rung.wait(self._longest_silence)
            self._rung.clear()
            try:
                self._work()
            except OSError:  # e.g. no process or file handle left: the next ring tries again
                log.exception("slot %s could not start a supervisor", self._slot.name)

    def _work(self) -> None:
        """Start supervisors one after the other, until one finds nothing to do."""
        # a supervisor of an earlier worker may hold the slot: the reconciler rings until it is free
        while not self._over.is_set() and self._lock.is_free():
            if self._start(self._slot, self._threads) != EXIT_WORKED:
                return

    def _start_process(self, slot: Slot, threads: int) -> int:
        command = [sys.executable, "-m", "worker.supervisor", "--slot", slot.name, "--threads", str(threads)]
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with Path(self._log).open("ab") as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=inherited("supervisor", os.environ),
                start_new_session=True,
            )
        return process.wait()
