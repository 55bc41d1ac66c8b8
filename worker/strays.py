"""What a trainer has left behind: processes that took a session of their own, or outlived a supervisor that was killed.

They would hold memory of the slot that the next trainer counts on. All that is started for a slot carries the slot's
mark in its environment, and children inherit it.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path

import psutil

MARK = "MEMGEN_SLOT_LOCK"

log = logging.getLogger(__name__)


def end_strays(lock: Path) -> list[int]:
    """Kill what still runs for a slot; to be called by the holder of its lock, when its trainer has ended.

    Args:
        lock: the slot's lock file, whose path is the mark.

    Returns:
        Process ids of what was killed.
    """
    strays = [process for process in psutil.process_iter() if process.pid != os.getpid() and _is_marked(process, lock)]
    for process in strays:
        try:
            log.warning("killing process %s, left behind on %s: %s", process.pid, lock.stem, process.name())
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(strays, timeout=1)  # a dead one may have to wait for who reaps it
    return [process.pid for process in strays]


def memory_at_work() -> int:
    """Bytes of memory that processes use which were started for any slot of this machine."""
    used = 0
    for process in psutil.process_iter():
        if _mark(process) is not None:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                used += process.memory_info().rss
    return used


def _is_marked(process: psutil.Process, lock: Path) -> bool:
    return _mark(process) == str(lock)


def _mark(process: psutil.Process) -> str | None:
    """The slot that a process was started for; None where it was for none."""
    try:
        # a zombie has no environment any more
        return process.environ().get(MARK)
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return None
