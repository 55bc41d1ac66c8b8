"""One launcher and one backend on a home folder: each holds a lock that the kernel frees when its process dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memgen.contract.errors import BadInput
from memgen.contract.machine import this_boot


@contextmanager
def only_one(home: Path, name: str, *, running: str, way_out: str) -> Iterator[None]:
    """Hold a lock of the home; the file names the process that holds it.

    Args:
        home: folder of everything; made if it is missing.
        name: of the lock's file in it.
        running: what the user is told if somebody else holds it, and `way_out` what to do then.
        way_out: see `running`.

    Raises:
        BadInput: `already_running`.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / name).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput("already_running", running, field="MEMGEN_HOME", value=home, way_out=way_out) from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()} {this_boot()}")
        file.flush()
        yield


def holder(home: Path, name: str) -> int | None:
    """Id of the process of this machine that holds a lock of the home; None if nobody does.

    Raises:
        BadInput: `other_machine`, if a process of another machine or container holds it, whose id means nothing here.
    """
    path = home / name
    if not path.exists():
        return None
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid, _, boot = file.read(200).partition(" ")
        else:
            return None
    if boot and boot != this_boot():
        raise BadInput(
            "other_machine",
            "MemGen Studio runs on this folder on another machine or in a container",
            field="MEMGEN_HOME",
            value=home,
            way_out="Run the command there.",
        )
    return int(pid) if pid.isdecimal() else None
