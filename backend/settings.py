"""Settings of the backend: environment variables with the prefix MEMGEN_, and REDIS_URL."""

import secrets
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from backend.hosts import AllowedHosts, allowed_hosts, proxy_addresses
from memgen.contract.gsm8k_folder import gsm8k_folder
from memgen.contract.rundir import write_whole
from memgen.contract.tokens import checked_token


class Settings(BaseSettings):
    """Where the backend lives and how patient it is."""

    model_config = SettingsConfigDict(env_prefix="MEMGEN_", use_attribute_docstrings=True, extra="ignore")

    home: Path = Path("data")
    """Folder of everything: database, runs, models, outputs."""
    host: str = "127.0.0.1"
    """Address that the backend listens on."""
    allowed_hosts: str = Field(default="", max_length=2000)
    """More host names under which the API is reached, separated by commas."""
    proxies: str = Field(default="", max_length=2000)
    """Addresses of reverse proxies in front, separated by commas; only their `X-Forwarded-For` is believed."""
    port: int = Field(default=8000, ge=1, le=65535)
    """Port of the backend."""
    token: str = ""
    """Token of users; empty reads or makes HOME/backend/token."""
    worker_token: str = ""
    """Token of workers; empty reads or makes HOME/backend/worker-token."""
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", validation_alias="REDIS_URL")
    """Where doorbells go."""
    gsm8k_dir: Path | None = None
    """Folder with train.jsonl and test.jsonl, instead of the hub."""
    lease_seconds: float = Field(default=60.0, gt=0)
    """Time within which an attempt must beat."""
    beat_seconds: float = Field(default=5.0, gt=0)
    """Time between two beats of a supervisor."""
    reconcile_seconds: float = Field(default=5.0, gt=0)
    """Time between two rounds of the reconciler."""
    stop_grace_seconds: float = Field(default=30.0, ge=0)
    """Time that a trainer has to end by itself after a stop before it is terminated, then killed."""
    max_retries: int = Field(default=2, ge=0, le=1000)
    """How often a lost attempt is tried again."""
    retry_pause_seconds: float = Field(default=5.0, ge=0)
    """Pause before the first retry of a lost attempt; doubles with each, up to an hour."""

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("gsm8k_dir", mode="before")
    @classmethod
    def _as_the_trainer_reads_it(cls, value: object) -> Path | None:
        return gsm8k_folder(None if value is None else str(value))

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("Redis is named by redis://HOST:PORT/DB or unix:///PATH")
        return value or "redis://127.0.0.1:6379/0"  # set to nothing counts as unset

    @model_validator(mode="after")
    def _beats_within_a_lease(self) -> Self:
        if self.beat_seconds >= self.lease_seconds:
            raise ValueError(
                f"beat_seconds {self.beat_seconds:g} is not below lease_seconds {self.lease_seconds:g}: every run "
                "would be lost between two beats"
            )
        return self

    def retry_pause(self, retries: int) -> float:
        """Seconds that a lost attempt rests after so many retries of its run."""
        return min(max(3600.0, self.retry_pause_seconds), self.retry_pause_seconds * 2.0 ** min(retries, 60))

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.home / "backend" / "memgen.db"

    @property
    def logs_dir(self) -> Path:
        """Where the backend keeps its copies of logs."""
        return self.home / "backend" / "attempts"

    def user_token(self) -> str:
        """The users' token, made on first use.

        Raises:
            BadInput: `bad_token`.
        """
        return _given_or_made(self.token, "MEMGEN_TOKEN", self.home / "backend" / "token")

    def workers_token(self) -> str:
        """The workers' token, made on first use.

        Raises:
            BadInput: `bad_token`.
        """
        return _given_or_made(self.worker_token, "MEMGEN_WORKER_TOKEN", self.home / "backend" / "worker-token")

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
        return read_or_make_token(self.home / "backend" / "instance")


def _given_or_made(given: str, setting: str, path: Path) -> str:
    if given.strip():
        return checked_token(given.strip(), setting)
    way_out = f"Delete the file and a new token is made at the next start, or set {setting}."
    return checked_token(read_or_make_token(path), str(path), way_out=way_out)


def read_or_make_token(path: Path) -> str:
    """The token in a file that only its owner can read; made if it is not there."""
    if not path.exists():
        write_whole(path, secrets.token_urlsafe(24) + "\n", mode=0o600)
    path.chmod(0o600)
    return path.read_text(encoding="utf-8").strip()
