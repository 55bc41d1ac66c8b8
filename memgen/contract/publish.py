"""Public paths of what runs leave: links, made in one step and safe to make again. Nothing is ever moved."""

import os
import shutil
import threading
from pathlib import Path

from memgen.contract.config import RunConfig
from memgen.contract.home import share
from memgen.contract.rundir import RunDir, log_link, newest_link, published_dir


def publish(home: Path, config: RunConfig, run_id: int, folder: RunDir) -> None:
    """Let a run's public path lead to the output of the attempt that won.

    Args:
        home: folder of everything.
        config: the run's config.
        run_id: the run.
        folder: of the attempt that won.

    Raises:
        FileExistsError: something else lies there.
        OSError: the link can't be made; nothing is lost, it may be made later.
    """
    if not folder.output.exists():  # an earlier version has moved it, or it lies on another machine
        return
    place = published_dir(home, config, run_id)
    if place.exists() and not place.is_symlink():
        raise FileExistsError(f"{place} is taken; the output of run {run_id} stays in {folder.output}")
    for attempt in folder.path.parent.iterdir():  # nobody resumes what has succeeded
        shutil.rmtree(RunDir(attempt).checkpoints, ignore_errors=True)
    point(place, folder.output)
    share(home, place)


def point_newest(home: Path, config: RunConfig, run_id: int | None) -> None:
    """Let the link to the newest run of a stage, data set and model point at this one; None if none is left.

    Raises:
        OSError: the link can't be changed.
    """
    link = newest_link(home, config)
    if run_id is not None and (place := published_dir(home, config, run_id)).exists():
        point(link, place)
    elif link.is_symlink() and not link.exists():
        link.unlink(missing_ok=True)


def link_log(home: Path, run_id: int, folder: RunDir) -> None:
    """Let `logs/<run>.log` point at this attempt's log."""
    point(log_link(home, run_id), folder.log)


def point(link: Path, target: Path) -> None:
    """Make or move a symlink in one step.

    Raises:
        OSError: it can't be made, or a folder lies there.
    """
    link.parent.mkdir(parents=True, exist_ok=True)
    way = way_from(link.parent, target)
    if link.is_symlink() and str(link.readlink()) == way:
        return
    temporary = link.with_name(f".{link.name}.{threading.get_native_id()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(way)
    try:
        temporary.replace(link)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def way_from(folder: Path, target: Path) -> str:
    """What a link in a folder must hold to lead to a target: a relative path, so that the home may be moved.

    Where a folder on the way back to what they share is itself a link (one below the home that lies on another disk),
    `..` would lead elsewhere: there it is an absolute path.
    """
    shared = Path(os.path.commonpath([folder, target]))
    is_straight = folder.resolve() == shared.resolve() / folder.relative_to(shared)
    return os.path.relpath(target, folder) if is_straight else str(target)
