"""Backup of a home folder while the service runs: a snapshot of the database, then all files.

The database is copied by SQLite itself (`VACUUM INTO`), since a copy of the file of a live database may hold nothing.
Files that it names are there already when it is copied, or belong to runs under way, which a restored service finds
lost and tries again. What begins or is published after the copy stays out: the restored service gives the same
numbers to other runs and attempts, and nothing may stand in their places.
"""

import hashlib
import json
import os
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from backend.commands.archive.archive import ABOUT, BACKING_UP, DATABASE, FORMAT, TABLE, BadArchive, Line
from backend.commands.archive.home_files import HomeFiles
from backend.commands.archive.snapshot import Snapshot, copy_database
from backend.commands.archive.tar_reader import members
from memgen import __version__
from memgen.contract.errors import BadInput

MOST_NAMED = 10
"""Of what stays out, so many are named."""

Say = Callable[[str], None]


def back_up(home: Path, target: Path, *, models: bool, say: Say) -> int:
    """Write database and files of a home into one archive; the service may run meanwhile.

    Earlier backups in the home stay out. A folder of the home that lies elsewhere (a link directly below the home)
    goes in as a plain folder. What can't go in and is none of the service's is named, and no reason to stop.

    Args:
        home: folder of everything.
        target: the archive, a tar file that is not there yet; it appears whole or not at all.
        models: whether converted weights go in, too; they can be fetched again.
        say: shows a line to the user.

    Returns:
        Bytes of the archive.

    Raises:
        BadInput: `no_database`, `backup_exists`, `link_leaves_home`, `unreadable`, `database_damaged`,
            `backup_failed`.
    """
    home = home.resolve()
    files = HomeFiles(home, models=models)
    _check_places(files, target)
    # read before the database is copied: what these point at it knows
    links = {path: to for path in files if (to := files.link_target(path)) is not None}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=BACKING_UP, dir=target.parent) as folder:
            snapshot, archive = Path(folder) / "memgen.db", Path(folder) / "backup.tar"
            copied = copy_database(home / DATABASE, snapshot)
            say(f"{copied.num_runs} runs")
            with ArchiveWriter(archive) as writer:
                about = {"format": FORMAT, "version": __version__, "time": time.time(), "runs": copied.num_runs}
                (Path(folder) / ABOUT).write_text(json.dumps(about), encoding="utf-8")
                writer.add(Path(folder) / ABOUT, ABOUT)
                writer.add(snapshot, DATABASE)
                _add_all(writer, files, copied, links, say=say)
            archive.rename(target)
            return target.stat().st_size
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        raise BadInput(
            "backup_failed",
            f"the backup can't be written: {error}",
            field="FILE",
            value=target,
            way_out="Make room, or choose another place.",
        ) from error


def _check_places(files: HomeFiles, target: Path) -> None:
    database = files.home / DATABASE
    try:
        with database.open("rb"):
            pass
    except (FileNotFoundError, NotADirectoryError):
        raise BadInput(
            "no_database",
            "there is nothing to back up",
            field="MEMGEN_HOME",
            value=files.home,
            way_out="Name the folder that the service runs on.",
        ) from None
    except OSError as error:
        files.cannot_read(database, error)
    if os.path.lexists(target):
        raise BadInput(
            "backup_exists",
            "this file is there already, and nothing is ever overwritten",
            field="FILE",
            value=target,
            way_out="Choose another name.",
        )


class ArchiveWriter:
    """A tar file that ends with a table of all that is in it: names, sizes, hashes.

    Owners and rights are not written, since everything is private where it is restored.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "ArchiveWriter":
        self._file = self._path.open("xb")
        self._path.chmod(0o600)
        self._tar = tarfile.open(fileobj=self._file, mode="w")
        self._table = tempfile.TemporaryFile("w+b", dir=self._path.parent)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._file, self._table:
            if kind is None:
                self._table.flush()
                self._table.seek(0)
                self._add_file(TABLE, self._table)
                self._tar.close()
                self._file.flush()
                os.fsync(self._file.fileno())

    def add(self, path: Path, name: str) -> None:
        """Add a file or a folder as it is now.

        Raises:
            OSError: it can't be read.
        """
        if path.is_dir():
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o700
            self._tar.addfile(folder)
            self._write(Line(name))
        else:
            with path.open("rb") as file:  # held open: it may be deleted while it is read
                self.add_open(file, name)

    def add_open(self, file: BinaryIO, name: str) -> None:
        """Add a file that has been opened, with the bytes that it has now."""
        size, digest = self._add_file(name, file)
        self._write(Line(name, size=size, sha256=digest))

    def add_link(self, name: str, target: str) -> None:
        """Add a link that points at a target, seen from its folder."""
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(link)
        self._write(Line(name, link=target))

    def _add_file(self, name: str, file: BinaryIO) -> tuple[int, str]:
        info = tarfile.TarInfo(name)
        status = os.fstat(file.fileno())
        info.size, info.mtime, info.mode = status.st_size, int(status.st_mtime), 0o600
        content = _Hashed(file)
        self._tar.addfile(info, content)  # type: ignore[arg-type]
        return info.size, content.digest.hexdigest()

    def _write(self, line: Line) -> None:
        self._table.write(str(line).encode())


class _Hashed:
    """A file whose bytes are hashed while they are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def _add_all(writer: ArchiveWriter, files: HomeFiles, copied: Snapshot, links: dict[Path, Path], *, say: Say) -> None:
    """Add what the copied database knows; a link that has moved on to something else is added as it was."""
    count = late = 0
    for path in files:
        name = path.relative_to(files.home)
        target = files.link_target(path)
        if target is not None and not copied.knows(target):
            target = links.get(path)
            if target is None:
                late += 1
                continue
        if not copied.knows(name):
            late += 1
        elif target is not None:
            writer.add_link(str(name), os.path.relpath(files.home / target, path.parent))
            count += 1
        else:
            count += _add(writer, files, path)
    say(f"{count} files" + (f"; {late} of runs that went on meanwhile stay out" if late else ""))
    for number, (path, reason) in enumerate(files.skipped.items()):
        if number == MOST_NAMED:
            say(f"left out: {len(files.skipped) - MOST_NAMED} more")
            break
        say(f"left out: {str(path.relative_to(files.home))!r}: {reason}")


def _add(writer: ArchiveWriter, files: HomeFiles, path: Path) -> int:
    """Add a file or an empty folder; one that has gone meanwhile is left out. Returns how many were added.

    Raises:
        BadInput: `unreadable`.
    """
    name = str(path.relative_to(files.home))
    if path.is_dir():
        writer.add(path, name)
        return 1
    if not path.is_file():
        if os.path.lexists(path):
            files.skipped[path] = "neither a file nor a folder"
        return 0
    try:
        with path.open("rb") as file:
            if _is_backup(file):
                return 0
            file.seek(0)
            writer.add_open(file, name)
            return 1
    except FileNotFoundError:
        return 0
    except PermissionError as error:
        files.cannot_read(path, error)
        return 0


def _is_backup(file: BinaryIO) -> bool:
    """Whether this is an earlier backup: with those in it, each would hold all before it."""
    with suppress(BadArchive):
        first = next(members(file), None)
        return first is not None and first.name == ABOUT
    return False
