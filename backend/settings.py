"""Settings of the backend and its launcher: environment variables with the prefix MEMGEN_, and REDIS_URL."""

import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from backend.serving.hosts import AllowedHosts, allowed_hosts, proxy_addresses
from backend.serving.notification_variables import NotificationVariables
from backend.serving.variables import Host, Pause, Port, Seconds, Token, Url, read_token, url_of
from memgen.contract.data_sets.folders import data_folders
from memgen.contract.errors import BadInput
from memgen.contract.home import group_id, look_into_home, open_home
from memgen.contract.rundir import write_whole
from memgen.contract.service_files import database_file, instance_file, token_file, worker_token_file


def _check_group(name: str) -> str:
    if name:
        group_id(name)
    return name


class Settings(NotificationVariables):
    """Where the backend lives and how patient it is."""

    host: Host = "127.0.0.1"
    """Address that the backend listens on."""
    allowed_hosts: str = Field(default="", max_length=2000)
    """More host names under which the API is reached, separated by commas."""
    proxies: str = Field(default="", max_length=2000)
    """Addresses of reverse proxies in front, separated by commas; only their `X-Forwarded-For` is believed."""
    port: Port = 8000
    """Port of the backend."""
    dashboard_host: Host = "127.0.0.1"
    """Address that the dashboard of `make up` listens on."""
    dashboard_port: Port = 8501
    """Port of that dashboard."""
    slots: str = ""
    """Slots of its worker; empty for one per GPU."""
    backend_url: Url | None = None
    """Where the command line finds the backend; None is host and port."""
    group: Annotated[str, AfterValidator(_check_group)] = ""
    """Group that may read published outputs; empty for none."""
    token: Token = Field(default="", repr=False)
    """Token of users; empty reads or makes HOME/backend/token."""
    worker_token: Token = Field(default="", repr=False)
    """Token of workers; empty reads or makes HOME/backend/worker-token."""
    lease_seconds: Seconds = 60.0
    """Time within which an attempt must beat."""
    beat_seconds: Seconds = 5.0
    """Time between two beats of a supervisor."""
    announce_seconds: Seconds = 15.0
    """Time between two signs of life of a worker; after four times as long without one it counts as gone."""
    reconcile_seconds: Seconds = 5.0
    """Time between two rounds of the reconciler."""
    stop_grace_seconds: Pause = 30.0
    """Time that a trainer has to end by itself after a stop before it is terminated, then killed."""
    sites: Annotated[Path | None, AfterValidator(lambda path: path and path.expanduser().absolute())] = None
    """File that describes where runs may go beside the workers of this service, e.g. to a Slurm cluster."""
    max_retries: int = Field(default=2, ge=0, le=1000)
    """How often a run is tried again by itself: one that was lost, or that its card or a lack of memory ended."""
    upload_bytes: int = Field(default=512 * 2**20, ge=2**20, le=2**40)
    """Most bytes of a file that a user sends to make a data set of."""
    try_idle_seconds: Seconds = 600.0
    """Time without a question after which a session on the page Try ends by itself."""
    try_absent_seconds: Seconds = 60.0
    """Time after which such a session ends when nobody looks at it any more."""
    try_sessions: int = Field(default=4, ge=0, le=100)
    """Most sessions that may be open at once."""
    retry_pause_seconds: Pause = 5.0
    """Pause before the first retry of a run that was lost or ran out of memory; doubles with each, up to an hour."""

    @cached_property
    def data_folders(self) -> dict[str, Path]:
        """Folders with rows of data sets, by data set, as the trainer reads their settings.

        Raises:
            BadInput: `bad_setting`.
        """
        return data_folders(os.environ)

    @model_validator(mode="after")
    def _data_folders_are_paths(self) -> Self:
        self.data_folders  # noqa: B018  # a setting that names no path is refused here and not by a request
        return self

    @model_validator(mode="after")
    def _two_beats_within_a_lease(self) -> Self:
        if self.lease_seconds < 2 * self.beat_seconds:
            raise BadInput(
                "bad_setting",
                f"a lease must hold two beats, and these come every {self.beat_seconds:g} s: runs would be lost "
                "between two beats",
                field="MEMGEN_LEASE_SECONDS",
                value=f"{self.lease_seconds:g}",
                way_out="Choose a longer lease, or a smaller MEMGEN_BEAT_SECONDS.",
            )
        return self

    @property
    def url(self) -> str:
        """Where the backend of these settings is reached from this machine."""
        return url_of(self.host, self.port)

    @property
    def alive_seconds(self) -> float:
        """How long a worker counts as alive after its last sign of life."""
        return 4 * self.announce_seconds

    def retry_pause(self, retries: int) -> float:
        """Seconds that a lost attempt rests after so many retries of its run."""
        return min(max(3600.0, self.retry_pause_seconds), self.retry_pause_seconds * 2.0 ** min(retries, 60))

    def pause_before_retry(self, retries_left: int) -> float:
        """Seconds that a run rests before its next attempt, by the retries that it has left."""
        return self.retry_pause(self.max_retries - retries_left)

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return database_file(self.home)

    @property
    def token_file(self) -> Path:
        """The users' token, where it was made here."""
        return token_file(self.home)

    def user_token(self) -> str:
        """The users' token, made on first use.

        Raises:
            BadInput: `bad_token_file`.
        """
        return self.token or self._kept(token_file(self.home))

    def workers_token(self) -> str:
        """The workers' token, made on first use.

        Raises:
            BadInput: `bad_token_file`.
        """
        return self.worker_token or self._kept(worker_token_file(self.home))

    def hosts(self) -> AllowedHosts:
        """Names under which the API is reached.

        Raises:
            BadInput: `bad_host_name`.
        """
        return allowed_hosts(self.host, self.allowed_hosts, "MEMGEN_ALLOWED_HOSTS")

    def proxy_addresses(self) -> list[str]:
        """Proxies that say where a request came from; none by default.

        Raises:
            BadInput: `bad_proxy`.
        """
        return proxy_addresses(self.proxies, "MEMGEN_PROXIES")

    def instance(self) -> str:
        """Name of this home, made on first use; a restored backup gets another."""
        return self._kept(instance_file(self.home))

    def open_home(self) -> None:
        """Make the home, or see that it can be used.

        Raises:
            BadInput: `bad_home`.
        """
        open_home(self.home, self.group)

    def _kept(self, path: Path) -> str:
        look_into_home(self.home)
        if not path.exists():
            self.open_home()
            write_whole(path, secrets.token_urlsafe(24) + "\n")
        return read_token(path)
