"""The home and its tokens, and the folders that users may name files of. Nothing is changed, and no token is read."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from memgen.contract.home import check_home, check_room, open_to_others
from memgen.contract.service_files import token_file, worker_token_file
from memgen.data.registered.files import SETTING
from memgen.doctor.finding import Finding, error, ok
from memgen.doctor.reach import clock


def home(
    place: Path, group: str = "", *, user: int | None = None, write: Callable[[Path], object] = check_room
) -> Finding:
    """Whether the home can be used, and by its owner alone.

    Args:
        place: an absolute path.
        group: that may read published outputs; empty for none.
        user: id of the user who runs the service; None for this one.
        write: writes a little into a folder; raises OSError where that can't be done.

    Raises:
        BadInput: `bad_home`.
    """
    if not place.exists():
        return ok("home", f"{place} is not there yet; the first start makes it")
    check_home(place, user=user, write=write)
    mode, extra = place.stat().st_mode & 0o777, open_to_others(place, group)
    if extra:
        seen = f"other users of this machine may enter {place} (its mode is {mode:04o}, the wrong part {extra:04o})"
        return error("home", seen, f"`chmod {mode & ~extra:03o} {place}`; the next start does it as well.")
    return ok("home", f"{place} can be written, and is its owner's alone" + (f" and {group}'s" if group else ""))


def tokens(place: Path) -> Finding:
    """Whether the tokens in a home are kept from others."""
    there = [file for file in (token_file(place), worker_token_file(place)) if file.exists()]
    bare = [file for file in there if file.stat().st_mode & 0o077]
    if bare:
        names = " ".join(map(str, bare))
        way_out = (
            f"`chmod 600 {names}`. If somebody may have read them, remove them and start again: new ones are made."
        )
        return error("tokens", f"others may read {names}", way_out)
    return ok("tokens", f"{len(there)} in the home, their owner's alone" if there else "none in the home yet")


def disk_clock(place: Path, now: Callable[[], float] = time.time) -> list[Finding]:
    """The clock of the home's disk, which may be another machine's, against ours; nothing where it can't be asked."""
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b" ")
            file.flush()
            written = os.fstat(file.fileno()).st_mtime
    except OSError:  # which is said of the home
        return []
    return [clock(now(), {"the home's disk": written})]


def named_folders(folders: Sequence[Path]) -> list[Finding]:
    """The folders whose files users may name: whether each is one."""
    found = []
    for folder in folders:
        if folder.is_dir() and os.access(folder, os.R_OK | os.X_OK):
            found.append(ok("data folders", f"files in {folder} may be named"))
        else:
            why = "can't be read" if folder.is_dir() else "is not a folder" if folder.exists() else "is not there"
            found.append(error("data folders", f"{SETTING}: {folder} {why}", f"Name others in {SETTING}, or unset it."))
    return found
