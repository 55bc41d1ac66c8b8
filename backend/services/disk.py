"""Bytes that runs take, or still may take, on the disk of the home folder."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, select

from backend.services.checkpoints import start_of
from backend.store.db import Database
from backend.store.models import Attempt, Run
from memgen.contract.config import RunConfig, parse_config
from memgen.contract.errors import BadInput
from memgen.contract.planner.disk import output_bytes
from memgen.contract.planner.parts import Parts
from memgen.contract.presets import get_preset
from memgen.contract.rows import num_rows
from memgen.contract.rundir import attempt_dir
from memgen.contract.status import ATTEMPT_LIVE

_LIVE = select(Attempt.id, Attempt.run_id).where(col(Attempt.status).in_(ATTEMPT_LIVE))


def disk_bytes(config: RunConfig, count: int | None = None, start: Parts | None = None) -> int:
    """Bytes that a run may write below its home.

    Args:
        config: of the run.
        count: questions or rows, where they are known already.
        start: what its checkpoint has, where that is known.
    """
    return output_bytes(config, get_preset(config.preset), num_rows(config) if count is None else count, start)


def disk_of(session: Session, run: Run) -> int:
    """`disk_bytes` of a stored run; nothing if its preset is gone (its trainer will say so)."""
    try:
        return disk_bytes(parse_config(run.config), start=start_of(session, run.parent_id))
    except BadInput:
        return 0


@dataclass(frozen=True)
class Room:
    """Bytes of a disk at one moment."""

    total: int
    free: int
    spare: int
    """Free, and no run under way may still write them."""


class SpareDisk:
    """The disk of the home folder, and what of it no run under way may still need.

    The folders of runs are measured now and then, by the reconciler and in no transaction; in between a run counts as
    having written what it had when it was measured, which errs on the side that is safe.

    Args:
        home: folder of everything.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._written: dict[int, int] = {}  # bytes by attempt id
        self._needs: dict[int, int] = {}  # the same; what a run may write stays as it was at its start

    def now(self, session: Session) -> Room:
        """The disk as it is at this moment."""
        usage = shutil.disk_usage(self._home)
        return Room(usage.total, usage.free, max(0, usage.free - self._to_write(session)))

    @property
    def free(self) -> int:
        """Bytes that are free."""
        return shutil.disk_usage(self._home).free

    def measure(self, database: Database) -> None:
        """Walk the folders of the attempts under way."""
        query = (
            select(Attempt.id, Attempt.run_id, Attempt.number, Run.stage)
            .join(Run, col(Run.id) == col(Attempt.run_id))
            .where(col(Attempt.status).in_(ATTEMPT_LIVE))
        )
        with database.read() as session:
            live = session.exec(query).all()
        self._written = {
            attempt_id: size_of([attempt_dir(self._home, run_id, number, stage).path])
            for attempt_id, run_id, number, stage in live
            if attempt_id is not None
        }

    def spare(self, session: Session) -> int:
        """Bytes that are free and that no run under way may still write."""
        return self.now(session).spare

    def _to_write(self, session: Session) -> int:
        """Bytes that runs under way may still write."""
        written, known = self._written, self._needs
        needs = {
            number: known[number] if number in known else disk_of(session, session.get_one(Run, run_id))
            for number, run_id in session.exec(_LIVE).all()
        }
        self._needs = needs
        return sum(max(0, need - written.get(number or 0, 0)) for number, need in needs.items())


def size_of(paths: Iterable[Path]) -> int:
    """Bytes below these paths; links count nothing."""
    total = 0
    for path in paths:
        if path.is_symlink():
            continue
        files = [path] if path.is_file() else [Path(root) / name for root, _, names in os.walk(path) for name in names]
        for file in files:
            with suppress(OSError):  # a running run's temporary files come and go
                total += file.lstat().st_size
    return total
