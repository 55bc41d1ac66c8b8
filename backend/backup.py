"""Backup and restore of a home folder while the service runs: a snapshot of the database, then all files.

The database is copied by SQLite itself (`VACUUM INTO`), since a copy of the file of a live database may hold nothing.
Files that it names are there already when it is copied, or belong to runs under way, which a restored service finds
lost and tries again.
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
from pathlib import Path
from typing import Any

from memgen import __version__
from memgen.contract.errors import BadInput

FORMAT = 1
ABOUT = "backup.json"
DATABASE = "backend/memgen.db"
LEFT_OUT = (
    "redis",
    "services",
    "worker",
    "launcher.lock",
    "backend/token",
    "backend/worker-token",
    "backend/url",
    "backend/instance",
)
"""What belongs to processes of this machine, or is secret and made anew."""
MODELS = "models"

Say = Callable[[str], None]


def back_up(home: Path, target: Path, *, models: bool, say: Say) -> int:
    """Write database and files of a home into one archive; the service may run meanwhile.

    Args:
        home: folder of everything.
        target: the archive, a tar file that is not there yet; it appears whole or not at all.
        models: whether converted weights go in, too; they can be fetched again.
        say: shows a line to the user.

    Returns:
        Bytes of the archive.

    Raises:
        BadInput: `no_database`, `backup_exists`, `backup_failed`.
    """
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
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="memgen-backup-", dir=target.parent) as folder:
            snapshot = Path(folder) / "memgen.db"
            runs = _copy_database(home / DATABASE, snapshot)
            say(f"{runs} runs")
            with tarfile.open(partial, "w") as archive:
                partial.chmod(0o600)
                _add_text(archive, ABOUT, {"format": FORMAT, "version": __version__, "time": time.time(), "runs": runs})
                archive.add(snapshot, DATABASE)
                count = 0
                own = {partial, Path(folder), *({target.parent} - {home})}
                for path in _files(home, own, models=models):
                    count += _add(archive, path, str(path.relative_to(home)))
                say(f"{count} files")
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.rename(target)
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        partial.unlink(missing_ok=True)
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
        BadInput: `no_such_backup`, `bad_backup`, `home_in_use`.
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


def _copy_database(source: Path, target: Path) -> int:
    """A consistent copy, looked through; returns the number of runs in it."""
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as database:
        database.execute("VACUUM INTO ?", (str(target),))
    return _look_through(target)


def _look_through(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as copy:
        found = copy.execute("PRAGMA integrity_check").fetchall()
        if found != [("ok",)]:
            raise sqlite3.DatabaseError(f"the database is damaged: {found[0][0]}")
        runs: int = copy.execute("SELECT count(*) FROM run").fetchone()[0]
    return runs


def _files(home: Path, without: set[Path], *, models: bool) -> Iterator[Path]:
    """All files and links of a home that go into a backup, and its empty folders."""
    left_out = without | {home / name for name in (*LEFT_OUT, *(() if models else (MODELS,)))}
    left_out |= {home / f"{DATABASE}{suffix}" for suffix in ("", "-wal", "-shm")}
    for root, folders, names in os.walk(home):
        here = Path(root)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if here / name not in left_out and name not in links)
        for name in sorted([*names, *links]):
            if here / name not in left_out:
                yield here / name
        if not folders and not names and not links and here != home:
            yield here


def _add(archive: tarfile.TarFile, path: Path, name: str) -> int:
    """Add a file as it is now; one that has gone meanwhile is left out. Returns how many were added."""
    with suppress(FileNotFoundError):
        if path.is_symlink() or path.is_dir():
            archive.add(path, name, recursive=False)
            return 1
        if path.is_file():
            with path.open("rb") as file:  # held open: it may be deleted while it is read
                archive.addfile(archive.gettarinfo(arcname=name, fileobj=file), file)
            return 1
    return 0


def _add_text(archive: tarfile.TarFile, name: str, data: dict[str, Any]) -> None:
    with tempfile.NamedTemporaryFile("w+b") as file:
        file.write(json.dumps(data).encode())
        file.flush()
        archive.add(file.name, name)


def _extract(source: Path, place: Path) -> dict[str, Any]:
    """Unpack a backup and look through its database; returns what it says of itself."""
    try:
        with tarfile.open(source) as archive:
            archive.extractall(place, filter="data")
        about: dict[str, Any] = json.loads((place / ABOUT).read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']}, and this version reads {FORMAT}")
        about["runs"] = _look_through(place / DATABASE)
    except (OSError, ValueError, KeyError, TypeError, tarfile.TarError, sqlite3.Error) as error:
        raise BadInput(
            "bad_backup",
            f"this backup can't be used: {error}",
            field="FILE",
            value=source,
            way_out="Name a file that `backup` has written with this version or an older one.",
        ) from error
    return about
