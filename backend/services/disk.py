"""Bytes that runs take, or still may take, on the disk of the home folder."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sqlmodel import Session, col, select

from backend.store.models import Attempt, Run
from memgen.contract.config import RunConfig, parse_config
from memgen.contract.errors import BadInput
from memgen.contract.planner.disk import output_bytes
from memgen.contract.presets import get_preset
from memgen.contract.rows import num_rows
from memgen.contract.rundir import attempt_dir
from memgen.contract.status import ATTEMPT_LIVE


def disk_bytes(config: RunConfig, count: int | None = None) -> int:
    """Bytes that a run may write below its home.

    Args:
        config: of the run.
        count: questions or rows, where they are known already.
    """
    return output_bytes(config, get_preset(config.preset), num_rows(config) if count is None else count)


def disk_of(run: Run) -> int:
    """`disk_bytes` of a stored run; nothing if its preset is gone (its trainer will say so)."""
    try:
        return disk_bytes(parse_config(run.config))
    except BadInput:
        return 0


def still_to_write(session: Session, home: Path) -> int:
    """Bytes that the runs under way may write beyond what they have written."""
    query = (
        select(Attempt, Run).join(Run, col(Run.id) == col(Attempt.run_id)).where(col(Attempt.status).in_(ATTEMPT_LIVE))
    )
    return sum(
        max(0, disk_of(run) - size_of([attempt_dir(home, attempt.run_id, attempt.number, run.stage).path]))
        for attempt, run in session.exec(query)
    )


def size_of(paths: Iterable[Path]) -> int:
    """Bytes below these paths; links count nothing."""
    total = 0
    for path in paths:
        if path.is_symlink():
            continue
        files = [path] if path.is_file() else [Path(root) / name for root, _, names in os.walk(path) for name in names]
        for file in files:
            with suppress(FileNotFoundError):  # a running run's temporary files come and go
                total += file.lstat().st_size
    return total
