"""Backup and restore of a home folder while the service runs: a snapshot of the database, then all files.

The database is copied by SQLite itself (`VACUUM INTO`), since a copy of the file of a live database may hold nothing.
Files that it names are there already when it is copied, or belong to runs under way, which a restored service finds
lost and tries again. What begins or is published behind the copy stays out: the restored service gives the same
numbers to other runs and attempts, and nothing may stand in their places.
"""

import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from memgen import __version__
from memgen.contract.errors import BadInput
from memgen.contract.rundir import OUTPUTS

FORMAT = 1
ABOUT = "backup.json"
DATABASE = "backend/memgen.db"
LEFT_OUT = (
    "redis",
    "services",
    "worker",
    "launcher.lock",
    "backend.lock",
    "backend/token",
    "backend/worker-token",
    "backend/url",
    "backend/instance",
)
"""What belongs to processes of this machine, or is secret and made anew."""
MODELS = "models"
TEMPORARY = ".memgen-backup-"
"""How the folder begins in which a backup is made, beside its place."""
AREAS = {output.area for output in OUTPUTS.values()}

Say = Callable[[str], None]


def back_up(home: Path, target: Path, *, models: bool, say: Say) -> int:
    """Write database and files of a home into one archive; the service may run meanwhile.

    Earlier backups in the home stay out. A folder of the home that lies elsewhere (a link directly below the home)
    goes in as a plain folder.

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
    if not (home / DATABASE).exists():
        raise BadInput(
            "no_database",
            "there is nothing to back up",
            field="MEMGEN_HOME",
            value=home,
            way_out="Name the folder that the service runs on.",
        )
    if target.exists():
        raise BadInput(
            "backup_exists",
            "this file is there already, and nothing is ever overwritten",
            field="FILE",
            value=target,
            way_out="Choose another name.",
        )
    # read before the database is copied: what these point at it knows
    links = {path: to for path in _files(home, models=models) if (to := _link_target(home, path)) is not None}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=target.parent) as folder:
            snapshot, archive = Path(folder) / "memgen.db", Path(folder) / "backup.tar"
            copied = _copy_database(home / DATABASE, snapshot)
            say(f"{copied.num_runs} runs")
            with tarfile.open(archive, "w") as tar:
                archive.chmod(0o600)
                about = {"format": FORMAT, "version": __version__, "time": time.time(), "runs": copied.num_runs}
                _add_text(tar, ABOUT, about)
                tar.add(snapshot, DATABASE)
                _add_all(tar, home, copied, links, models=models, say=say)
            with archive.open("rb") as file:
                os.fsync(file.fileno())
            archive.rename(target)
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        raise BadInput(
            "backup_failed",
            f"the backup can't be written: {error}",
            field="FILE",
            value=target,
            way_out="Make room, or choose another place.",
        ) from error
    return target.stat().st_size


def restore(source: Path, home: Path, say: Say) -> None:
    """Put a backup into an empty home; afterwards it can be started.

    Raises:
        BadInput: `no_such_backup`, `bad_backup`, `home_in_use`, `restore_failed`.
    """
    if not source.is_file():
        raise BadInput(
            "no_such_backup", "there is no such file", field="FILE", value=source, way_out="Name a backup's tar file."
        )
    in_the_way = sorted(path.name for path in home.iterdir() if path.name != MODELS) if home.exists() else []
    if in_the_way:
        raise BadInput(
            "home_in_use",
            f"the home folder is not empty: it holds {', '.join(in_the_way[:5])}",
            field="MEMGEN_HOME",
            value=home,
            way_out="Name another folder, or move these away first.",
        )
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=home) as folder:
            place = Path(folder)
            about = _extract(source, place)
            (place / ABOUT).unlink()
            say(f"{about['runs']} runs, of {time.strftime('%Y-%m-%d %H:%M', time.localtime(about['time']))}")
            # the database last: a home without one is empty, whatever else was moved before an interruption
            for path in sorted(place.iterdir(), key=lambda path: path.name == "backend"):
                if path.name == MODELS and (home / MODELS).exists():
                    continue
                shutil.move(path, home / path.name)
    except OSError as error:
        raise BadInput(
            "restore_failed",
            f"the backup can't be put here: {error}",
            field="MEMGEN_HOME",
            value=home,
            way_out="Make room, or name another folder; the backup must be readable, too.",
        ) from error


@dataclass(frozen=True)
class _Copied:
    """What a copied database knows of runs and attempts."""

    last_run: int
    """The last id that was given; later ones will be given again."""
    succeeded: dict[int, bool]
    """Of each run, whether it has an output to publish."""
    claimed: set[tuple[int, int]]
    """Run and number of each attempt that has begun."""

    @property
    def num_runs(self) -> int:
        return len(self.succeeded)

    def knows(self, path: Path) -> bool:
        """False for what a run or an attempt left, below the home, that began or was published behind the copy."""
        match path.parts:
            case ("runs", run, "attempts", number, *_):
                return self._has_begun(_number(run), _number(number))
            case ("backend", "attempts", log):
                run, _, number = log.removesuffix(".log").partition("-")
                return self._has_begun(_number(run), _number(number))
            case ("runs", run, *_):
                return _number(run) <= self.last_run
            case (area, _, _, run, *_) if area in AREAS:
                return _number(run) <= self.last_run and self.succeeded.get(_number(run), True)
        return True

    def _has_begun(self, run: int, number: int) -> bool:
        """Also of a run that is in the database no more, and of what carries no number."""
        if run not in self.succeeded or not number:
            return run <= self.last_run
        return (run, number) in self.claimed


def _number(name: str) -> int:
    """The id that a folder carries, 0 if none."""
    return int(name) if name.isdecimal() else 0


def _copy_database(source: Path, target: Path) -> _Copied:
    """Make a consistent copy, and look through it."""
    try:
        with closing(_reader(source)) as database:
            database.execute("VACUUM INTO ?", (str(target),))
        return _look_through(target)
    except sqlite3.OperationalError:  # no room, no permission
        raise
    except sqlite3.DatabaseError as error:
        raise BadInput(
            "database_damaged",
            f"the database can't be read: {error}",
            field="MEMGEN_HOME",
            value=source,
            way_out="Restore an earlier backup, or repair the file with sqlite3's .recover.",
        ) from error


def _look_through(path: Path) -> _Copied:
    with closing(_reader(path)) as copy:
        found = copy.execute("PRAGMA integrity_check").fetchall()
        if found != [("ok",)]:
            raise sqlite3.DatabaseError(f"damaged: {found[0][0]}")
        last = copy.execute("SELECT seq FROM sqlite_sequence WHERE name = 'run'").fetchone()
        runs = copy.execute("SELECT id, status = 'succeeded' FROM run")
        return _Copied(
            last_run=last[0] if last else 0,
            succeeded={run: bool(succeeded) for run, succeeded in runs},
            claimed=set(copy.execute("SELECT run_id, number FROM attempt WHERE claimed_at IS NOT NULL")),
        )


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)


def _files(home: Path, *, models: bool) -> Iterator[Path]:
    """All files and links of a home that go into a backup, and its empty folders.

    Raises:
        BadInput: `unreadable`.
    """
    left_out = {home / name for name in (*LEFT_OUT, *(() if models else (MODELS,)))}
    left_out |= {home / f"{DATABASE}{suffix}" for suffix in ("", "-wal", "-shm")}

    def below(folder: Path) -> Iterator[Path]:
        try:
            paths = [path for path in folder.iterdir() if path not in left_out and not path.name.startswith(TEMPORARY)]
            is_folder = {path: _is_folder(home, path) for path in paths}
        except FileNotFoundError:  # deleted meanwhile
            return
        except OSError as error:
            raise _unreadable(folder, error) from error
        if not paths and not folder.is_symlink():
            yield folder
        # runs before the areas: an output that is published meanwhile moves to where it is still found
        for path in sorted(paths, key=lambda path: (path.name != "runs", path.name)):
            if is_folder[path]:
                yield from below(path)
            else:
                yield path

    return below(home)


def _is_folder(home: Path, path: Path) -> bool:
    """Whether this is a folder, or a link directly below the home to a folder that lies elsewhere."""
    if not path.is_symlink():
        return path.is_dir()
    if path.parent != home or not path.is_dir():
        return False
    place = path.resolve()
    return not place.is_relative_to(home) and not home.is_relative_to(place)


def _link_target(home: Path, path: Path) -> Path | None:
    """Where a link points, seen from the home; None for what is no link.

    Raises:
        BadInput: `link_leaves_home`.
    """
    try:
        named = path.readlink()
    except OSError:  # no link, or gone
        return None
    target = Path(os.path.normpath(path.parent / named))
    if not target.is_relative_to(home):
        raise BadInput(
            "link_leaves_home",
            f"this link leads out of the home folder, to {named}",
            field="MEMGEN_HOME",
            value=path,
            way_out="Move what it points at into the home, or remove the link; only a folder directly below the home "
            "may be such a link, and must be there.",
        )
    return target.relative_to(home)


def _unreadable(path: Path, error: OSError) -> BadInput:
    return BadInput(
        "unreadable",
        f"this can't be read, and the backup would not be whole: {error.strerror}",
        field="MEMGEN_HOME",
        value=path,
        way_out="Make it readable for the user of this command, or move it out of the home.",
    )


def _add_all(
    tar: tarfile.TarFile, home: Path, copied: _Copied, links: dict[Path, Path], *, models: bool, say: Say
) -> None:
    """Add what the copied database knows; a link that has moved on to something else is added as it was."""
    count = late = 0
    for path in _files(home, models=models):
        name = path.relative_to(home)
        target = _link_target(home, path)
        if target is not None and not copied.knows(target):
            target = links.get(path)
            if target is None:
                late += 1
                continue
        if not copied.knows(name):
            late += 1
        elif target is not None:
            link = tarfile.TarInfo(str(name))
            link.type, link.linkname = tarfile.SYMTYPE, os.path.relpath(home / target, path.parent)
            tar.addfile(link)
            count += 1
        else:
            count += _add(tar, path, str(name))
    say(f"{count} files" + (f"; {late} of runs that went on meanwhile stay out" if late else ""))


def _add(tar: tarfile.TarFile, path: Path, name: str) -> int:
    """Add a file or an empty folder as it is now; one that has gone meanwhile is left out. Returns how many were added.

    Raises:
        BadInput: `unreadable`.
    """
    with suppress(FileNotFoundError):
        if path.is_dir():
            tar.add(path, name, recursive=False)
            return 1
        if path.is_file():
            try:
                file = path.open("rb")
            except PermissionError as error:
                raise _unreadable(path, error) from error
            with file:  # held open: it may be deleted while it is read
                if _is_backup(file):
                    return 0
                file.seek(0)
                tar.addfile(tar.gettarinfo(arcname=name, fileobj=file), file)
            return 1
    return 0


def _is_backup(file: BinaryIO) -> bool:
    """Whether this is an earlier backup: with those in it, each would hold all before it."""
    with suppress(tarfile.TarError), tarfile.open(fileobj=file, mode="r:") as tar:
        first = tar.next()
        return first is not None and first.name == ABOUT
    return False


def _add_text(tar: tarfile.TarFile, name: str, data: dict[str, Any]) -> None:
    with tempfile.NamedTemporaryFile("w+b") as file:
        file.write(json.dumps(data).encode())
        file.flush()
        tar.add(file.name, name)


def _extract(source: Path, place: Path) -> dict[str, Any]:
    """Unpack a backup and look through its database; returns what it says of itself."""
    try:
        with tarfile.open(source) as archive:
            archive.extractall(place, filter="data")
        about: dict[str, Any] = json.loads((place / ABOUT).read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']}, and this version reads {FORMAT}")
        about["runs"] = _look_through(place / DATABASE).num_runs
    except (FileNotFoundError, ValueError, KeyError, TypeError, tarfile.TarError, sqlite3.Error) as error:
        raise BadInput(
            "bad_backup",
            f"this backup can't be used: {error}",
            field="FILE",
            value=source,
            way_out="Name a file that `backup` has written with this version or an older one.",
        ) from error
    return about
