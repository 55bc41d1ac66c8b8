"""One launcher and one backend on a home folder: each holds a lock that the kernel frees when its process dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memgen.contract.errors import BadInput


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
        file.write(str(os.getpid()))
        file.flush()
        yield


def holder(home: Path, name: str) -> int | None:
    """Id of the process that holds a lock of the home; None if nobody does."""
    path = home / name
    if not path.exists():
        return None
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            return int(file.read() or 0) or None
    return None
