"""Settings of the worker and its supervisors: environment variables with the prefix MEMGEN_, and REDIS_URL."""

import shlex
import sys
from typing import Annotated

from pydantic import AfterValidator, Field

from backend.api.schemas import Limits
from backend.serving.variables import RedisVariables, Seconds, Token, Url, read_token
from memgen.contract.errors import BadInput
from memgen.contract.service_files import worker_token_file


def _check_command(value: str) -> str:
    shlex.split(value)  # a ValueError tells what is wrong
    return value


class Settings(RedisVariables):
    """Where a worker lives and whom it asks."""

    backend_url: Url = "http://127.0.0.1:8000"
    """Where the backend listens."""
    worker_token: Token = Field(default="", repr=False)
    """Token of workers; empty reads HOME/backend/worker-token."""
    slots: str = ""
    """Slots to serve; empty for one per GPU."""
    trainer: Annotated[str, AfterValidator(_check_command)] = ""
    """Command of the trainer; empty is `python -m memgen`. Tests put a scripted one here."""
    probe: Annotated[str, AfterValidator(_check_command)] = ""
    """Command that asks whether a slot can work, before each claim and after a run that failed; empty is
    `python -m memgen probe` for slots of GPUs, and none for the processor. It ends with 0 where all is well, else its
    last line is a JSON object with `code`, `message` and `way_out`."""
    probe_seconds: Seconds = 60.0
    """Time that this command may take."""
    sick_pause_seconds: Seconds = 10.0
    """Time until a slot that can't work is asked again; doubles each time, up to sixty times that."""
    fetched_gigabytes: Annotated[float, Field(gt=0, le=1e6)] = 50.0
    """Disk for checkpoints that were fetched, where the backend's home is not this worker's, too; what was not used for
    longest goes first."""
    most_runs: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Runs, and sessions of Try, that this machine works on at the same time; empty for as many as it has slots."""
    memory_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of the memory of each GPU, or of the machine where a slot is the processor, that runs may be planned to use."""
    poll_seconds: Annotated[Seconds, Field(le=60)] = 0.5
    """Time between two looks of a supervisor at its trainer's files."""

    @property
    def follows_backend(self) -> bool:
        """Whether the backend is one of this machine, whose address its home folder tells."""
        return self.backend_url.startswith(("http://127.", "http://localhost", "http://[::1]"))

    @property
    def limits(self) -> Limits:
        """How much of this machine may be used."""
        return Limits(most_runs=self.most_runs, memory_share=self.memory_share)

    @property
    def trainer_command(self) -> list[str]:
        """The trainer's command as words."""
        return shlex.split(self.trainer) if self.trainer else [sys.executable, "-m", "memgen"]

    def probe_words(self, *, has_gpus: bool) -> list[str]:
        """The command that asks whether a slot can work, as words; none where there is nothing to ask."""
        if self.probe:
            return shlex.split(self.probe)
        return [sys.executable, "-m", "memgen", "probe"] if has_gpus else []

    @property
    def fetcher_command(self) -> list[str]:
        """The command that fetches weights, as words; none for another trainer than ours, which fetches by itself."""
        return [] if self.trainer else [sys.executable, "-m", "memgen", "fetch"]

    def token(self) -> str:
        """The workers' token.

        Raises:
            BadInput: `no_worker_token`.
        """
        path = worker_token_file(self.home)
        if self.worker_token:
            return self.worker_token
        if not path.exists():
            raise BadInput(
                "no_worker_token",
                "there is no token for workers",
                field="MEMGEN_WORKER_TOKEN",
                value=path,
                way_out="Set it to the content of the backend's HOME/backend/worker-token.",
            )
        return read_token(path)
