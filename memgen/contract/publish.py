"""Putting a finished run's output where users look for it; done by the attempt that won, safe to do twice."""

import errno
import os
import shutil
from pathlib import Path

from memgen.contract.config import stored_config
from memgen.contract.home import share
from memgen.contract.rundir import RunDir, log_link, newest_link, published_dir


def publish(home: Path, config: dict[str, object], run_id: int, folder: RunDir) -> None:
    """Rename the output to its place and let the newest-run link point there.

    Args:
        home: folder of everything.
        config: the run's config.
        run_id: the run.
        folder: the attempt that won.
    """
    parsed = stored_config(config)
    target = published_dir(home, parsed, run_id)
    if folder.output.exists() and target.exists():
        raise FileExistsError(f"{target} is taken; the output of run {run_id} stays in {folder.output}")
    if folder.output.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        _move(folder.output, target)
        for attempt in folder.path.parent.iterdir():  # nobody resumes what has succeeded
            shutil.rmtree(RunDir(attempt).checkpoints, ignore_errors=True)
    if target.exists():
        point(newest_link(home, parsed), target)
        share(home, target)


def _move(source: Path, target: Path) -> None:
    """Rename; where the target's folder is on another disk, copy first, so that it appears whole or not at all."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        temporary = target.with_name(f".{target.name}.copying")
        _remove(temporary)
        if source.is_dir():
            shutil.copytree(source, temporary, symlinks=True)  # what a link points to may have no end
        else:
            shutil.copy2(source, temporary)
        os.sync()
        temporary.rename(target)
        _remove(source)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def link_log(home: Path, run_id: int, folder: RunDir) -> None:
    """Let `logs/<run>.log` point at this attempt's log."""
    point(log_link(home, run_id), folder.log)


def point(link: Path, target: Path) -> None:
    """Make or move a relative symlink in one step."""
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(target, link.parent))
    temporary.replace(link)
