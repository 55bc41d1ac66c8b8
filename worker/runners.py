"""One thread per slot: when the doorbell rings, and now and then, it starts supervisors until nothing fits."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from backend.api.client import ApiError, Client, Unreachable
from backend.api.schemas import Sickness, SlotReport
from memgen.contract.errors import BadInput
from memgen.contract.inheritance import inherited
from memgen.contract.service_files import supervisors_log
from worker.card import card_of
from worker.health import Health
from worker.settings import Settings
from worker.slots import Slot, SlotLock
from worker.supervisor import EXIT_CARD, EXIT_WORKED

log = logging.getLogger(__name__)


class SlotRunner:
    """Serves one slot.

    Args:
        slot: what to serve.
        settings: where things are.
        threads: CPU threads of a trainer.
        start: starts a supervisor and returns its exit code when it has ended.
        has_work: whether a claim would get something; asked before the slot is, which takes seconds.
        changed: called when the slot falls sick or is well again.
        longest_silence: seconds without a ring after which it looks for work all the same: a bell may be broken.
    """

    def __init__(
        self,
        slot: Slot,
        settings: Settings,
        threads: int,
        *,
        start: Callable[[Slot, int], int] | None = None,
        has_work: Callable[[Slot], bool] | None = None,
        changed: Callable[[], None] = lambda: None,
        longest_silence: float = 60.0,
    ) -> None:
        self._slot = slot
        self._lock = SlotLock(settings.home, slot)
        self._log = supervisors_log(settings.home)
        self._threads = threads
        self._start = start or self._start_process
        self._has_work = has_work or self._look
        self._longest_silence = longest_silence
        self._settings = settings
        card = card_of(slot, settings)
        pause = settings.sick_pause_seconds
        self._health = None if card is None else Health(slot.name, card.ask, first_pause=pause, changed=changed)
        self._last_report: SlotReport | None = None
        self._rung = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"slot-{slot.name}", daemon=True)

    @property
    def name(self) -> str:
        """The slot's."""
        return self._slot.name

    def report(self) -> SlotReport:
        """How the backend is to see the slot.

        Raises:
            BadInput: `card_unreadable`, of an instance of a GPU that was never read.
        """
        sick = self._health.sickness() if self._health is not None else None
        if sick is not None and self._last_report is not None:  # nothing of the driver is opened meanwhile
            return self._last_report.model_copy(update={"sick": sick})
        try:
            report = self._last_report = self._slot.report(self._settings.limits)
        except BadInput as error:
            report = self._last_report or self._slot.unread_report()
            sick = sick or Sickness(reason=error.problem, seconds=0, asked_again_in=0)
        return report.model_copy(update={"sick": sick})

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
            self._rung.wait(self._next_look())
            self._rung.clear()
            try:
                self._work()
            except OSError:  # e.g. no process or file handle left: the next ring tries again
                log.exception("slot %s could not start a supervisor", self._slot.name)

    def _work(self) -> None:
        """Start supervisors one after the other, until one finds nothing to do."""
        # a supervisor of an earlier worker may hold the slot: the reconciler rings until it is free
        while not self._over.is_set() and self._lock.is_free() and self._may_start():
            exit_code = self._start(self._slot, self._threads)
            if exit_code not in {EXIT_WORKED, EXIT_CARD}:
                return
            if self._health is not None:
                (self._health.failed if exit_code == EXIT_CARD else self._health.worked)()

    def _next_look(self) -> float:
        due = self._health.due_in() if self._health is not None else None
        return self._longest_silence if due is None else min(due, self._longest_silence)

    def _may_start(self) -> bool:
        """Whether there is work for the slot, as far as it is well, and it says that it can do it."""
        health = self._health
        if health is None:
            return True
        due = health.due_in()
        if due is None:
            return self._has_work(self._slot) and health.is_well()
        return due == 0 and health.is_well() and self._has_work(self._slot)

    def _look(self, slot: Slot) -> bool:
        try:
            with Client(self._settings.backend_url, self._settings.token()) as client:
                return client.look(slot.claim(self._settings.limits)).has_work
        except (Unreachable, ApiError) as error:
            log.warning("slot %s can't look for work: %s", slot.name, error)
            return False
        except BadInput:  # its memory can't be read: it will say why
            return True

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
