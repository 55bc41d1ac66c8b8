"""A consistent copy of a live database, and what it knows of runs and attempts."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from backend.commands.archive.archive import ADDED, name_problem, plain, shown
from memgen.contract.errors import BadInput
from memgen.contract.home import AREAS

PATHS = (("run", "output"), ("checkpoint", "folder"))
"""Columns with names below the home. The service reads what they point at."""


@dataclass(frozen=True)
class Snapshot:
    """What a copied database knows of runs and attempts."""

    last_run: int
    """The last id that was given; later ones will be given again."""
    succeeded: dict[int, bool]
    """Of each run, whether it has an output to publish."""
    claimed: set[tuple[int, int]]
    """Run and number of each attempt that has begun."""

    @property
    def num_runs(self) -> int:
        """How many runs it has."""
        return len(self.succeeded)

    def knows(self, path: Path) -> bool:
        """False for what a run or an attempt left, below the home, that began or was published after the copy."""
        match path.parts:
            case ("runs", run, "attempts", number, *_):
                return self._has_begun(_number(run), _number(number))
            case ("backend", "attempts", log):
                run, _, number = log.removesuffix(".log").partition("-")
                return self._has_begun(_number(run), _number(number))
            case ("runs", run, *_):
                return _number(run) <= self.last_run
            case (top, checkpoint, *_) if top == ADDED:  # numbered with the runs
                return 0 < _number(checkpoint) <= self.last_run
            case (area, _, _, run, *_) if area in AREAS:
                return _number(run) <= self.last_run and self.succeeded.get(_number(run), True)
        return True

    def _has_begun(self, run: int, number: int) -> bool:
        """Also of a run that is in the database no more, and of what carries no number."""
        if run not in self.succeeded or not number:
            return run <= self.last_run
        return (run, number) in self.claimed


def copy_database(source: Path, target: Path) -> Snapshot:
    """Make a consistent copy, and look through it.

    Raises:
        BadInput: `database_damaged`, `unreadable`.
        sqlite3.OperationalError: the copy can't be written.
    """
    try:
        with closing(_reader(source)) as database:
            _open(database, source)
            database.execute("VACUUM INTO ?", (str(target),))
        return look_through(target)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise BadInput(
            "database_damaged",
            f"the database can't be used: {plain(str(error))}",
            field="MEMGEN_HOME",
            value=source,
            way_out="Restore an earlier backup, or repair the file with sqlite3's .recover.",
        ) from error


def _open(database: sqlite3.Connection, source: Path) -> None:
    try:
        database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        raise BadInput(
            "unreadable",
            f"the database can't be opened: {error}",
            field="MEMGEN_HOME",
            value=source,
            way_out="SQLite must be able to write beside the file, even to read it: try as the service's user.",
        ) from error


def look_through(path: Path) -> Snapshot:
    """Look through a copy that nobody writes.

    Raises:
        sqlite3.Error: it is damaged, or holds other things than tables.
    """
    with closing(_reader(path, "&immutable=1")) as copy:
        _check_tables(copy)
        last = copy.execute("SELECT seq FROM sqlite_sequence WHERE name = 'run'").fetchone()
        runs = copy.execute("SELECT id, status = 'succeeded' FROM run")
        return Snapshot(
            last_run=last[0] if last else 0,
            succeeded={run: bool(succeeded) for run, succeeded in runs},
            claimed=set(copy.execute("SELECT run_id, number FROM attempt WHERE claimed_at IS NOT NULL")),
        )


def _check_tables(copy: sqlite3.Connection) -> None:
    # asked first: a view in a table's place could compute for ever, and triggers would run in the service
    odd = copy.execute(
        "SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index') OR coalesce(rootpage, 0) = 0"
    ).fetchone()
    if odd:
        raise sqlite3.DatabaseError(f"its {odd[0]} {shown(str(odd[1]))} is none of the service's")
    damage = copy.execute("PRAGMA integrity_check").fetchone()[0]
    if damage != "ok":
        raise sqlite3.DatabaseError(f"it is damaged: {damage}")
    for table, column in PATHS:
        if column in {info[1] for info in copy.execute(f"PRAGMA table_info({table})")}:
            for (name,) in copy.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL"):
                if not isinstance(name, str) or name_problem(name.split("/")):
                    raise sqlite3.DatabaseError(f"its table {table} names {shown(str(name))}, out of the home")


def _number(name: str) -> int:
    """The id that a folder carries, 0 if none."""
    return int(name) if name.isdecimal() else 0


def _reader(path: Path, options: str = "") -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro{options}", uri=True, timeout=30)
