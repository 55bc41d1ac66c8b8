"""Ending in good order: a stop request from the supervisor, a signal, or the death of the parent."""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from memgen.contract.json_file import read_object
from memgen.contract.status import StopMode


class Stopped(Exception):
    """The stage was asked to end and has saved what the mode allows."""

    def __init__(self, mode: StopMode) -> None:
        super().__init__(f"stopped ({mode})")
        self.mode = mode


class StopRequest:
    """Looks for `stop.json` and for signals; cheap enough to ask at every step.

    Args:
        paths: files that ask to stop once they exist.
    """

    def __init__(self, *paths: Path) -> None:
        self._paths = paths
        self._signalled = False
        self._relay: Path | None = None

    def listen(self, relay: Path | None = None) -> None:
        """Take the first SIGINT or SIGTERM as *save and stop*; a second one ends the process at once.

        Args:
            relay: a file that then asks others to stop.
        """
        self._relay = relay
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def requested(self) -> StopMode | None:
        """The mode of a stop that has been asked for, or None. An orphan ends here at once."""
        _end_if_orphan()
        for path in self._paths:
            if path.exists():
                try:
                    return StopMode(read_object(path)["mode"])
                except (ValueError, KeyError, TypeError):
                    return StopMode.SAVE  # whoever wrote it wants an end
        return StopMode.SAVE if self._signalled else None

    def ask(self) -> None:
        """Ask for *save and stop* from inside the run."""
        self._signalled = True

    def check(self) -> None:
        """Raise Stopped if a stop has been asked for."""
        mode = self.requested()
        if mode is not None:
            raise Stopped(mode)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signalled = True
        if self._relay is not None:
            self._relay.write_text(json.dumps({"mode": StopMode.SAVE}))
        os.write(2, b"stopping at the next step; once more to end at once\n")  # print may not be interrupted by itself
        signal.signal(number, signal.SIG_DFL)


_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent, named in MEMGEN_SUPERVISOR_PID, dies (Linux).

    The parent is a supervisor, or of a rank the process that started all ranks. Without that variable nothing happens.
    If the parent is already gone, the process ends here.
    """
    pid = os.environ.get("MEMGEN_SUPERVISOR_PID")
    if not pid:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _end_if_orphan()  # it may have died before the line above


def _end_if_orphan() -> None:
    """Without its supervisor a trainer has no right to go on (other systems than Linux have no death signal)."""
    pid = os.environ.get("MEMGEN_SUPERVISOR_PID")
    if pid and os.getppid() != int(pid):
        os.kill(os.getpid(), signal.SIGKILL)
