"""Where checkpoints lie for an attempt: in the backend's home, where this machine shares it, or on a disk of its own.

To its own disk a machine fetches the checkpoint that a run starts from, and from it hands in what a training has left.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx

from backend.api.client import ApiError, Client
from backend.api.schemas import ClaimedAttempt, FinishRequest
from memgen.contract.errors import BadInput
from memgen.contract.manifest import damage_of, damaged
from memgen.contract.rundir import RunDir
from memgen.contract.service_files import fetched_checkpoints_dir, instance_file
from worker.checkpoint_cache import CheckpointCache
from worker.handing_in import hand_in
from worker.reporter import REFUSED
from worker.settings import Settings
from worker.verdict import not_handed_in


def shares_home(home: Path, instance: str) -> bool:
    """Whether a backend's home is this one, on this disk or on one that both machines see."""
    try:
        return instance_file(home).read_text(encoding="utf-8").strip() == instance
    except OSError:
        return False


class SharedDisk:
    """The backend's home is this machine's, too: nothing has to be brought anywhere.

    Args:
        checkpoint: folder of the one that the run starts from, seen from the home.
    """

    def __init__(self, checkpoint: str | None) -> None:
        self._checkpoint = checkpoint

    @contextmanager
    def checkpoint(self, _meanwhile: Callable[[], None]) -> Iterator[str | None]:
        """As that of `OwnDisk`."""
        yield self._checkpoint

    def handed_in(self, verdict: FinishRequest, _meanwhile: Callable[[], None]) -> FinishRequest:
        """As that of `OwnDisk`."""
        return verdict

    def tidy(self) -> None:
        """As that of `OwnDisk`."""


class OwnDisk:
    """The disk of this machine, for one attempt.

    Args:
        settings: where things are.
        client: with the attempt's token.
        attempt: that is worked on.
        folder: of the attempt.
    """

    def __init__(self, settings: Settings, client: Client, attempt: ClaimedAttempt, folder: RunDir) -> None:
        self._home = settings.home
        self._cache = CheckpointCache(fetched_checkpoints_dir(settings.home), int(settings.fetched_gigabytes * 1e9))
        self._client = client
        self._attempt = attempt
        self._folder = folder

    @contextmanager
    def checkpoint(self, meanwhile: Callable[[], None]) -> Iterator[str | None]:
        """The folder of the checkpoint that the run starts from, seen from the home; None for a run without.

        It stays there while the block runs.

        Args:
            meanwhile: is called between two pieces; what it raises ends the fetch.

        Raises:
            BadInput: it can't be had.
            ApiError: the backend does not tell now.
            Unreachable: the backend is away; another call goes on with what has come.
        """
        if self._attempt.checkpoint is None:
            yield None
            return
        with ExitStack() as stack:
            held = self._cache.held(self._client, self._attempt.attempt_id, meanwhile)
            try:
                place = stack.enter_context(held)
            except ApiError as error:
                if error.problem.status != httpx.codes.NOT_FOUND:
                    raise
                raise BadInput(
                    error.code, f"the checkpoint can't be fetched: {error}", field="checkpoint",
                    value=self._attempt.checkpoint, way_out="Choose another checkpoint.",
                ) from error  # fmt: skip
            yield str(place.relative_to(self._home))

    def handed_in(self, verdict: FinishRequest, meanwhile: Callable[[], None]) -> FinishRequest:
        """The same verdict once the backend has the checkpoint of a training; a failure where it can never have it.

        Args:
            verdict: on the attempt.
            meanwhile: is called between two pieces.

        Raises:
            ApiError: the backend does not take it now.
            Unreachable: the backend is away; another call goes on where this one has ended.
        """
        report, output = verdict.checkpoint, self._folder.output
        if report is None:
            return verdict
        try:
            hand_in(self._client, self._attempt.attempt_id, output, report, meanwhile)
        except ApiError as error:
            damage = damage_of(output, report.manifest) if error.code == "output_incomplete" else None
            if damage is not None:
                return not_handed_in(verdict, damaged(*damage.split(": ", 1)))
            if error.problem.status in REFUSED:
                return not_handed_in(verdict, error)
            raise
        return verdict

    def tidy(self) -> None:
        """The backend has all that the run has left: keep its checkpoint for a run after it, and remove the rest."""
        with suppress(OSError, BadInput):
            if self._folder.output.is_dir():
                self._cache.keep(self._folder.output)
            shutil.rmtree(self._folder.path)


Disk = SharedDisk | OwnDisk
