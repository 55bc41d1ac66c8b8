"""What a slot may work on: an attempt of a run, or a session of Try. The supervisor treats both alike."""

import logging
import time
from pathlib import Path
from typing import Protocol

from backend.api.client import Client
from backend.api.schemas import ClaimedAttempt, ClaimedSession, FinishRequest
from memgen.contract.config import stored_config
from memgen.contract.errors import BadInput
from memgen.contract.events import Warned
from memgen.contract.machine import machine_name
from memgen.contract.publish import link_log
from memgen.contract.rows import rows_to_share
from memgen.contract.rundir import RunDir, attempt_dir, write_json, write_whole
from memgen.contract.status import StopMode
from memgen.contract.trying import session_dir
from worker.disks import Disk, OwnDisk, SharedDisk
from worker.reporter import Reporter
from worker.settings import Settings

log = logging.getLogger("supervisor")


class Work(Protocol):
    """What was claimed."""

    name: str
    """For the log: `attempt 1 of run 3`."""
    folder: RunDir
    disk: Disk
    preset: str
    """Whose weights are fetched, as `folder.config` says."""
    reporter: Reporter
    beat_seconds: float
    stop_grace_seconds: float
    patience_seconds: float | None
    """Time without the backend after which it ends; None goes on however long that is away."""

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            OSError: it can't be made.
            BadInput: this machine can't do it.
        """

    def command(self, devices: list[str]) -> tuple[list[str], list[str]]:
        """Words of the trainer's command, and which of the slot's devices it is given."""

    def beat(self) -> StopMode | None:
        """Extend the lease; returns the stop that was asked for, if any.

        Raises:
            ApiError: the backend refuses.
            Unreachable: it does not answer.
        """

    def finish(self, verdict: FinishRequest) -> None:
        """Report the end; raises as `beat`."""


class AttemptWork:
    """An attempt of a run.

    Args:
        settings: where things are.
        attempt: what was claimed.
        client: with the attempt's token.
        shares_home: whether the backend's home is this machine's, too.
    """

    patience_seconds: float | None = None

    def __init__(
        self, settings: Settings, attempt: ClaimedAttempt, client: Client, *, shares_home: bool = True
    ) -> None:
        home = self._home = settings.home
        self._attempt = attempt
        self._client = client
        self._shares_home = shares_home
        self.name = f"attempt {attempt.number} of run {attempt.run_id}"
        self.folder = attempt_dir(home, attempt.run_id, attempt.number, str(attempt.config["stage"]))
        self.disk: Disk = (
            SharedDisk(attempt.checkpoint) if shares_home else OwnDisk(settings, client, attempt, self.folder)
        )
        self.preset = str(attempt.config.get("preset"))
        self.beat_seconds, self.stop_grace_seconds = attempt.beat_seconds, attempt.stop_grace_seconds
        self.reporter = Reporter(
            client,
            attempt.attempt_id,
            log=self.folder.log,
            events=self.folder.events,
            answers=self.folder.answers,
            rollouts=self.folder.rollouts,
        )

    def prepare(self) -> None:
        """Make the folder."""
        folder = self.folder
        folder.path.mkdir(parents=True, exist_ok=False)
        write_json(folder.config, self._attempt.config)
        folder.log.touch()
        link_log(self._home, self._attempt.run_id, folder)
        if self._attempt.resumes is not None and self._earlier() is None:
            self._say_that_it_starts_over(self._attempt.resumes)

    def command(self, devices: list[str]) -> tuple[list[str], list[str]]:
        """Words of the trainer's command, and the devices that it is given."""
        words = ["run", str(self.folder.config), "--out", str(self.folder.path)]
        earlier = self._earlier()
        if earlier is not None:
            words += ["--resume", str(earlier.path)]
        if self._attempt.placement == "parallel":  # a process on each GPU, where there are rows for each
            devices = devices[: rows_to_share(stored_config(self._attempt.config))]
            words += ["--num-processes", str(len(devices))] if len(devices) > 1 else []
        return words, devices

    def _earlier(self) -> RunDir | None:
        if self._attempt.resumes is None:
            return None
        folder = attempt_dir(self._home, self._attempt.run_id, self._attempt.resumes, self.folder.stage)
        return folder if folder.config.exists() else None

    def _say_that_it_starts_over(self, earlier: int) -> None:
        """On the run's page: the trainer appends to the same file."""
        warning = Warned(
            time=time.time(),
            code="starts_over",
            message=f"attempt {earlier} was to be resumed, and its folder is gone: it starts from the beginning"
            if self._shares_home
            else f"attempt {earlier} was to be resumed, and what it saved is on the disk of another machine, which "
            f"{machine_name()} does not share: it starts from the beginning",
        )
        log.warning("%s", warning.message)
        write_whole(self.folder.events, f"{warning.model_dump_json()}\n")

    def beat(self) -> StopMode | None:
        """Extend the lease."""
        return self._client.heartbeat(self._attempt.attempt_id).stop

    def finish(self, verdict: FinishRequest) -> None:
        """Report the end."""
        self._client.finish(self._attempt.attempt_id, verdict)


class SessionWork:
    """A session of Try: its questions come with the replies to its beats, and are files for its trainer.

    Args:
        home: folder of everything.
        held: what was claimed.
        client: with the session's token.
        shares_home: whether the backend's home is this machine's, too.
    """

    disk: Disk = SharedDisk(None)

    def __init__(self, home: Path, held: ClaimedSession, client: Client, *, shares_home: bool = True) -> None:
        self._held = held
        self._shares_home = shares_home
        self._client = client
        self._place = session_dir(home, held.session_id)
        self.name = f"session {held.session_id}"
        self.folder = self._place.run_dir
        self.preset = str(held.columns[0].get("preset"))
        self.beat_seconds, self.stop_grace_seconds = held.beat_seconds, held.stop_grace_seconds
        self.patience_seconds: float | None = held.lease_seconds / 2  # nobody can ask or read anything by then
        self.reporter = Reporter.of_session(client, held.session_id, self.folder.events)

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            OSError: it can't be made.
            BadInput: `disk_not_shared`.
        """
        if not self._shares_home:
            raise BadInput(
                "disk_not_shared", "checkpoints are tried on machines that share the backend's home, and this one does "
                "not", field="MEMGEN_HOME", value=self.folder.path,
                way_out="Try them on another machine, or evaluate them here.",
            )  # fmt: skip
        self._place.path.mkdir(parents=True, exist_ok=False)
        write_json(self._place.first_column, self._held.columns[0])
        write_json(self._place.config, {"columns": self._held.columns, "checkpoints": self._held.checkpoints})
        self.folder.log.touch()

    def command(self, devices: list[str]) -> tuple[list[str], list[str]]:
        """Words of the trainer's command, and the devices that it is given."""
        return ["try", str(self._place.path)], devices if self._held.spread else devices[:1]

    def beat(self) -> StopMode | None:
        """Extend the lease; hand on the questions that are new."""
        reply = self._client.beat_session(self._held.session_id)
        for one in reply.questions:
            path = self._place.question(one.number)
            if not path.exists():
                write_json(path, one.model_dump())
        return reply.stop

    def finish(self, verdict: FinishRequest) -> None:
        """Report the end."""
        self._client.finish_session(self._held.session_id, verdict)
