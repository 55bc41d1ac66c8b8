"""Restoring a backup into an empty home.

An archive may have been cut off, damaged or made by somebody else. So its headers are read and checked first, then its
files are written, one by one, into a private folder inside the home, their hashes compared, the database looked
through; only then all of it moves to its place.
"""

import errno
import fcntl
import hashlib
import os
import posixpath
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from backend.commands.archive.archive import (
    DATABASE,
    LEFT_OUT,
    LOST_AND_FOUND,
    MODELS,
    RESTORING,
    BadArchive,
    is_private,
    plain,
    shown,
)
from backend.commands.archive.backup import MOST_NAMED, Say
from backend.commands.archive.contents import Contents, read_contents
from backend.commands.archive.decompress import MOST_TIMES, decompressed, most_bytes
from backend.commands.archive.snapshot import look_through
from backend.commands.archive.tar_reader import Member
from memgen.contract.errors import BadInput

PIECE = 2**20


def restore(source: Path, home: Path, say: Say) -> None:
    """Put a backup into an empty home; afterwards it can be started.

    What is never backed up is not restored either. Files and folders are their owner's alone, whatever the archive
    says. If this is interrupted, the next restore into the same folder clears what it left.

    Raises:
        BadInput: `no_such_backup`, `bad_backup`, `home_in_use`, `disk_full`, `restore_failed`.
    """
    try:
        with _opened(source) as packed:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _alone(home):
                _check_empty(home)
                with tempfile.TemporaryDirectory(prefix=RESTORING, dir=home) as folder:
                    place = Path(folder) / "home"
                    place.mkdir()
                    _unpack(packed, place, with_models=not (home / MODELS).exists(), say=say)
                    os.sync()
                    _check_empty(home, but=Path(folder).name)
                    _move_all(place, home)
    except (BadArchive, sqlite3.Error) as error:
        what = "its database" if isinstance(error, sqlite3.Error) else "this backup"
        raise BadInput(
            "bad_backup",
            f"{what} can't be used: {plain(str(error))}",
            field="FILE",
            value=source,
            way_out="Name a file that `backup` has written with this version or an older one.",
        ) from error
    except OSError as error:
        raise BadInput(
            "restore_failed",
            f"the backup can't be put here: {error.strerror or error}",
            field="MEMGEN_HOME",
            value=home,
            way_out="Make room, or name another folder; the backup must be readable, too.",
        ) from error


@contextmanager
def _opened(source: Path) -> Iterator[BinaryIO]:
    """The archive; a pipe or a device has no end to look for and is none."""
    try:
        is_file = source.is_file()
        file = source.open("rb") if is_file else None
    except OSError as error:
        raise _no_backup(source, f"this file can't be read: {error.strerror}") from error
    if file is None:
        raise _no_backup(source, "this is no file" if os.path.lexists(source) else "there is no such file")
    with file:
        yield file


def _no_backup(source: Path, message: str) -> BadInput:
    return BadInput(
        "no_such_backup", message, field="FILE", value=source, way_out="Name a backup's tar file that you may read."
    )


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Keep a second restore out; the kernel frees the lock when this process dies."""
    handle = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise BadInput(
            "home_in_use",
            "another restore into this folder is under way",
            field="MEMGEN_HOME",
            value=home,
            way_out="Wait for it, or name another folder.",
        ) from None
    finally:
        os.close(handle)


def _check_empty(home: Path, *, but: str | None = None) -> None:
    """Refuse a home that holds something; what a restore that was killed left is removed.

    Args:
        home: the folder.
        but: the folder of the restore that asks.
    """
    names = sorted(path.name for path in home.iterdir() if path.name not in {MODELS, LOST_AND_FOUND, but})
    abandoned = [name for name in names if name.startswith(RESTORING)]
    if names == abandoned:
        for name in abandoned:
            shutil.rmtree(home / name)
        return
    way_out = "Name another folder, or move these away first."
    if abandoned:
        way_out = f"A restore was interrupted here. Empty the folder (but for {MODELS}) and restore again."
    raise BadInput(
        "home_in_use",
        f"the home folder is not empty: it holds {', '.join(map(shown, names[:5]))}",
        field="MEMGEN_HOME",
        value=home,
        way_out=way_out,
    )


def _unpack(packed: BinaryIO, place: Path, *, with_models: bool, say: Say) -> None:
    """Write what an archive holds into a new folder, and check it."""
    with decompressed(packed, place.parent) as archive:
        contents = read_contents(archive, models=with_models)
        if contents.num_bytes > most_bytes(packed):  # by hard links: each is a copy here
            raise BadArchive(f"its files would take more than {MOST_TIMES} times its size")
        _check_room(contents, place)
        _write_files(archive, contents, place)
    num_runs = look_through(place / DATABASE).num_runs
    _make_links(contents, place)
    for name in LEFT_OUT:
        if os.path.lexists(place / name):  # where `Backend` and `backend` are one folder
            raise BadArchive(f"it holds {name} in another spelling, which no backup does")
    say(f"{num_runs} runs, of {time.strftime('%Y-%m-%d %H:%M', time.localtime(contents.about.time))}")
    if contents.hashes is None:
        say("an older version wrote this backup, without hashes: whether its files are whole could not be checked")
    for name in contents.left_out[:MOST_NAMED]:
        say(f"not restored: {shown(name)}")
    if len(contents.left_out) > MOST_NAMED:
        say(f"not restored: {len(contents.left_out) - MOST_NAMED} more")


def _check_room(contents: Contents, place: Path) -> None:
    free = shutil.disk_usage(place).free
    status = os.statvfs(place)
    num_names = len(contents.files) + len(contents.folders) + len(contents.links)
    if contents.num_bytes <= free and (num_names <= status.f_favail or not status.f_files):
        return
    raise BadInput(
        "disk_full",
        f"the backup takes {contents.num_bytes / 1e9:.2f} GB in {num_names} files, and the disk has "
        f"{free / 1e9:.2f} GB and {status.f_favail} files free",
        field="MEMGEN_HOME",
        value=place.parent.parent,
        way_out="Make room, or name a folder on a larger disk.",
    )


def _write_files(archive: BinaryIO, contents: Contents, place: Path) -> None:
    """Write all folders and files into a folder that nobody else knows; links come later, so none can be followed."""
    try:
        for folder in sorted(contents.folders):
            (place / folder).mkdir()
            (place / folder).chmod(0o700)
        for name, member in contents.files.items():
            with (place / name).open("xb") as file:
                os.fchmod(file.fileno(), 0o600)
                digest = _copy(archive, member, file)
            if contents.hashes is not None and digest != contents.hashes[name]:
                raise BadArchive(f"{shown(name)} in it is damaged: its hash is another")
            if 0 <= member.time < 2**33:
                os.utime(place / name, (member.time, member.time))
    except FileExistsError as error:
        raise BadArchive(
            f"{shown(Path(error.filename).name)} is in it in two spellings, one and the same here"
        ) from None


def _copy(archive: BinaryIO, member: Member, file: BinaryIO) -> str:
    """Write a member's bytes; returns their hash."""
    digest = hashlib.sha256()
    archive.seek(member.offset)
    left = member.size
    while left:
        piece = archive.read(min(left, PIECE))
        if not piece:
            raise BadArchive(f"it ends within {shown(member.name)}")
        file.write(piece)
        digest.update(piece)
        left -= len(piece)
    return digest.hexdigest()


def _make_links(contents: Contents, place: Path) -> None:
    """Make all links, then look where each leads, by way of others too; one that leads to private files is removed."""
    for name, target in contents.links.items():
        (place / name).symlink_to(os.path.relpath(target, posixpath.dirname(name) or "."))
    root = place.resolve()
    bad_links = [name for name in contents.links if is_private(name.split("/")) or not _leads_to_open_files(root, name)]
    for name in bad_links:
        (place / name).unlink()
    contents.left_out += bad_links


def _leads_to_open_files(root: Path, name: str) -> bool:
    """Whether a link ends at what others may see; False also where it goes round."""
    try:
        (root / name).stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
    return not is_private(Path(os.path.realpath(root / name)).relative_to(root).parts)


def _move_all(place: Path, home: Path) -> None:
    """Let everything appear, the database last, or nothing.

    A home without a database is empty to the service, whatever else was moved before a power cut.
    """
    names = sorted((path.name for path in place.iterdir()), key=lambda name: name == "backend")
    try:
        for name in names:
            (place / name).rename(home / name)
    except BaseException:
        for name in names:
            if not os.path.lexists(place / name) and os.path.lexists(home / name):
                (home / name).rename(place / name)
        raise
