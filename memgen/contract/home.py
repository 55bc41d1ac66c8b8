"""The folder of everything: where it is, whether it can be used, and who may read it.

What lies in it is its owner's alone. An operator may name a group that reads published outputs; group and mode of the
home itself then carry that choice, so that whoever publishes needs no setting for it.
"""

import grp
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from memgen.contract.errors import BadInput
from memgen.contract.rundir import added_checkpoints_dir, log_links_dir, models_dir, runs_dir
from memgen.contract.service_files import (
    BACKEND_LOCK,
    LAUNCHER_LOCK,
    backend_dir,
    redis_dir,
    registered_dir,
    services_dir,
    try_dir,
    uploads_dir,
    worker_dir,
)
from memgen.contract.stages import STAGES

SETTING = "MEMGEN_HOME"
DEFAULT = "data"
AREAS = sorted({stage.output.area for stage in STAGES})
"""Folders of published outputs."""
_DIRS = (
    *(backend_dir, runs_dir, models_dir, services_dir, worker_dir, redis_dir, log_links_dir),
    *(registered_dir, uploads_dir, added_checkpoints_dir, try_dir),
)
PRIVATE = (*(str(make(Path())) for make in _DIRS), LAUNCHER_LOCK, BACKEND_LOCK)
"""What else lies directly in a home."""
GROUP_MODE = 0o050
"""What the operator's group may do in the home itself."""
SYSTEM = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/media", "/mnt", "/opt", "/proc", "/run", "/sbin", "/srv", "/sys"),
    *("/usr", "/var/lib", "/var/log", "/var/tmp"),
)
"""Folders that the system would miss."""


def home_path(value: str | Path) -> Path:
    """The home as an absolute path; it need not be there.

    Raises:
        BadInput: `bad_home`, if a name can't be used whatever the disk holds.
    """
    text = str(value)
    if not text.isprintable():
        raise _bad_home(
            "its name holds control characters, or bytes that are no text", ascii(text), "Give it another name."
        )
    try:
        return Path(text).expanduser().resolve()
    except (OSError, RuntimeError) as error:  # a loop of links, an unknown ~user
        raise _bad_home(f"it can't be found ({error})", text, "Name a folder that this user may write.") from None


def home_of_environment() -> Path:
    """The home that MEMGEN_HOME names, else `data`.

    Raises:
        BadInput: `bad_home`.
    """
    return home_path((os.environ.get(SETTING) or "").strip() or DEFAULT)


def look_into_home(home: Path, *, as_owner: bool = False) -> None:
    """See that a home is a folder that this user may enter, where there is one.

    Args:
        home: an absolute path.
        as_owner: refuse somebody else's, as what lies in it would be trusted.

    Raises:
        BadInput: `bad_home`.
    """
    try:
        next(home.iterdir(), None)
        if as_owner:
            _check_owner(home)
    except FileNotFoundError:
        return
    except OSError as error:
        raise home_error(home, error) from error


def open_home(home: Path, group: str = "") -> None:
    """Make the home if it is not there, see that it can be written, and keep others out of it.

    Args:
        home: an absolute path.
        group: name or number of the group that may read published outputs; empty for none.

    Raises:
        BadInput: `bad_home`, `bad_group`.
    """
    gid = group_id(group) if group else None
    _check_place(home)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(home)
        _check_sticky(home)
        _set_access(home, gid)
        check_room(home)
    except OSError as error:
        raise home_error(home, error) from error


def check_home(home: Path, *, user: int | None = None, write: Callable[[Path], object] | None = None) -> None:
    """See that a home that is there could be opened, and change nothing.

    Args:
        home: an absolute path.
        user: id of the user who would open it; None for this one.
        write: writes something into it, and leaves nothing there; None for `check_room`.

    Raises:
        BadInput: `bad_home`.
    """
    _check_place(home)
    try:
        next(home.iterdir(), None)
        _check_owner(home, user)
        _check_sticky(home)
        (write or check_room)(home)
    except OSError as error:
        raise home_error(home, error) from error


def open_to_others(home: Path, group: str = "") -> int:
    """The rights that others have in a home and should not: bits of its mode, 0 if all is well.

    Args:
        home: a folder that is there.
        group: as in `open_home`.
    """
    return home.stat().st_mode & 0o077 & ~(GROUP_MODE if group else 0)


def home_error(home: Path, error: OSError) -> BadInput:
    """What the system says of a home, or of a file in it, as an error in words."""
    reason = "it is not a folder" if isinstance(error, FileExistsError | NotADirectoryError) else _reason(error)
    named = error.filename if isinstance(error.filename, str) else None
    if named is not None and Path(named).is_relative_to(home) and Path(named) != home:
        reason = f"{Path(named).relative_to(home)} in it: {_reason(error)}"
    return _bad_home(reason, home, "Name a folder that this user may write, on a disk with room.")


def group_id(name: str) -> int:
    """The number of a group that this process may give files to.

    Raises:
        BadInput: `bad_group`.
    """
    try:
        gid = int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        gid = -1
    if not 0 <= gid < 2**32 - 1:
        raise _bad_group("there is no such group", name)
    if os.geteuid() != 0 and gid not in (os.getegid(), *os.getgroups()):
        raise _bad_group("the user of this process is not in this group", name)
    return gid


def share(home: Path, published: Path) -> None:
    """Let the home's group read published outputs, where the operator named one.

    Of the runs' folders the group may pass those that lead to an output, without looking into them.

    Args:
        home: folder of everything.
        published: an area of it, or a public path.
    """
    state = home.stat()
    if not state.st_mode & stat.S_IRGRP or published.relative_to(home).parts[0] not in AREAS:
        return
    between = [path for path in published.parents if path.is_relative_to(home) and path != home]
    for path in (*between, published, *_below(published)):
        _grant(path, state.st_gid)
        output = _output_of(home, path)
        if output is not None:
            for folder in list(output.parents)[:4]:  # number, `attempts`, run, `runs`
                _grant(folder, state.st_gid, mode=0o710)
            for inner in (output, *_below(output)):
                _grant(inner, state.st_gid)


def _output_of(home: Path, link: Path) -> Path | None:
    """The output in a run's folder that a public path leads to; None for whatever else may be a link there."""
    parts = link.relative_to(home).parts
    if len(parts) != 5 or not link.is_symlink():
        return None
    *_, run, name = parts
    runs = runs_dir(home).resolve()
    output = link.resolve()
    inside = output.relative_to(runs).parts if output.is_relative_to(runs) else ()
    return output if len(inside) == 4 and (inside[0], inside[1], inside[3]) == (run, "attempts", name) else None


def _check_place(home: Path) -> None:
    users_folder = _users_folder()
    for place in (users_folder, *map(Path, (sys.base_prefix, *SYSTEM))):
        if place is not None and (home in place.parents or (home == place and place != users_folder)):
            raise _bad_home("it is there for other things", home, "Name a folder of its own.")


def _check_owner(home: Path, user: int | None = None) -> None:
    owner, user = home.stat().st_uid, os.geteuid() if user is None else user
    if owner != user:
        reason = f"it belongs to the user with id {owner}, and this is {user}"
        raise _bad_home(reason, home, "Do this as its owner, or name another folder.")


def _check_sticky(home: Path) -> None:
    if home.stat().st_mode & stat.S_ISVTX:
        raise _bad_home("everybody may write into it", home, "Name a folder of its own.")


def check_room(home: Path) -> None:
    """Write a little into a folder, as on a full or read-only disk that alone tells.

    Raises:
        OSError: it can't be done.
    """
    try:
        with tempfile.TemporaryFile(dir=home) as probe:
            probe.write(bytes(4096))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror) from error  # the name of the file tells nobody anything


def _set_access(home: Path, gid: int | None) -> None:
    """Modes of the home and of what lies directly in it, also where an earlier version let others in."""
    before = home.stat()
    if gid is not None and gid != before.st_gid:
        os.chown(home, -1, gid)
    home.chmod(before.st_mode & 0o700 | (0 if gid is None else GROUP_MODE))  # a read-only one stays so
    for name in (*PRIVATE, *AREAS):
        path = home / name
        if not path.is_symlink() and path.exists() and path.stat().st_uid == os.geteuid():
            path.chmod(path.stat().st_mode & 0o700)
    if gid is not None:
        for name in AREAS:
            if (home / name).is_dir():
                share(home, home / name)


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        yield from (Path(root) / name for name in (*folders, *files))


def _grant(path: Path, gid: int, *, mode: int | None = None) -> None:
    """Let the group read a file or a folder; `mode` gives it other rights."""
    with suppress(FileNotFoundError):  # deleted meanwhile
        if not path.is_symlink() and path.stat().st_uid == os.geteuid():
            os.chown(path, -1, gid)
            path.chmod(mode or (0o750 if path.is_dir() else 0o640))


def _users_folder() -> Path | None:
    """None for a user who has none, as in some containers."""
    try:
        return Path.home().resolve()
    except (OSError, RuntimeError):
        return None


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _bad_home(reason: str, value: object, way_out: str) -> BadInput:
    return BadInput("bad_home", f"the home folder can't be used: {reason}", field=SETTING, value=value, way_out=way_out)


def _bad_group(reason: str, name: str) -> BadInput:
    return BadInput(
        "bad_group", reason, field="MEMGEN_GROUP", value=name, way_out="Name a group of this user, or unset it."
    )
