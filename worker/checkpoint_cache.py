"""Checkpoints that runs of this machine start from, fetched from a backend whose disk it does not share.

Each lies in a folder that is called as its weights, is compared with its hashes once, when it has come, and stays for
the next run. What was not used for longest goes when all together are too large.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from backend.api.client import Client, Unreachable
from memgen.contract.errors import BadInput
from memgen.contract.manifest import CheckpointReport, damage_of, damaged, survey

log = logging.getLogger(__name__)
TRIES = 3  # of a file whose content is not what its hash says


class CheckpointCache:
    """The folder of all.

    Args:
        folder: that holds them.
        most_bytes: of all together; the newest stays even if it is larger.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes

    @contextmanager
    def held(self, client: Client, attempt_id: int, meanwhile: Callable[[], None]) -> Iterator[Path]:
        """The folder of the checkpoint that an attempt starts from; it stays there while the block runs.

        Args:
            client: with the attempt's token.
            attempt_id: of the attempt.
            meanwhile: is called between two pieces, to beat; what it raises ends the fetch, and what has come stays.

        Raises:
            BadInput: `checkpoint_damaged`: what comes is not what the backend says it has.
            ApiError: the backend has it no more.
            Unreachable: the backend is away; a second call goes on with what has come.
        """
        report = client.start(attempt_id)
        name = report.manifest.content_hash
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock(name) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another slot of this machine may be fetching it
            if not self._is_there(name, report):
                self._fetch(name, report, client, attempt_id, meanwhile)
            os.utime(self._folder / name)
            fcntl.flock(lock, fcntl.LOCK_SH)
            self._make_room(but=name)
            yield self._folder / name

    def keep(self, folder: Path) -> None:
        """Take a checkpoint that a training of this machine has left, so that a run after it need not fetch it."""
        report = survey(folder)
        name = report.manifest.content_hash
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock(name) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._is_there(name, report):
                shutil.rmtree(self._folder / name, ignore_errors=True)
                folder.rename(self._folder / name)
        self._make_room(but=name)

    def _is_there(self, name: str, report: CheckpointReport) -> bool:
        with suppress(BadInput):
            return survey(self._folder / name) == report
        return False

    def _fetch(
        self, name: str, report: CheckpointReport, client: Client, attempt_id: int, meanwhile: Callable[[], None]
    ) -> None:
        part = self._folder / f"{name}.part"
        for again in reversed(range(TRIES)):
            for path, size in report.sizes.items():
                _fetch_file(part / path, path, size, client, attempt_id, meanwhile)
            damage = damage_of(part, report.manifest)
            if damage is None and survey(part) == report:
                break
            log.warning("the checkpoint %s has not come as it is with the backend: %s", name, damage)
            shutil.rmtree(part)
            if not again:
                file, _, what = (damage or "its files: they are others").partition(": ")
                raise damaged(file, what)
        shutil.rmtree(self._folder / name, ignore_errors=True)  # of a version before, or damaged
        part.rename(self._folder / name)

    @contextmanager
    def _lock(self, name: str) -> Iterator[IO[str]]:
        with (self._folder / f"{name}.lock").open("a") as file:
            yield file

    def _make_room(self, but: str) -> None:
        there = [path for path in self._folder.iterdir() if path.is_dir()]
        sizes = {path: sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) for path in there}
        left = sum(sizes.values())
        for path in sorted(there, key=lambda path: path.stat().st_mtime):
            name = path.name.removesuffix(".part")
            if left <= self._most_bytes or name == but:
                continue
            with self._lock(name) as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:  # a run uses it
                    continue
                shutil.rmtree(path, ignore_errors=True)
                left -= sizes[path]


def _fetch_file(
    path: Path, name: str, size: int, client: Client, attempt_id: int, meanwhile: Callable[[], None]
) -> None:
    """Bring a file to its size, from where it ended before."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("ab") as file:
        if file.tell() > size:
            file.truncate(0)
        while file.tell() < size:
            before = file.tell()
            for piece in client.start_file(attempt_id, name, before):
                file.write(piece)
                meanwhile()
            if file.tell() == before:
                raise Unreachable(client.url, "it sends nothing of a file")
