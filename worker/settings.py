"""Settings of the worker and its supervisors: environment variables with the prefix MEMGEN_, and REDIS_URL."""

import shlex
import sys
from pathlib import Path

import httpx
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from memgen.contract.errors import BadInput


class Settings(BaseSettings):
    """Where a worker lives and whom it asks."""

    model_config = SettingsConfigDict(
        env_prefix="MEMGEN_",
        use_attribute_docstrings=True,
        extra="ignore",
        env_ignore_empty=True,  # set to nothing counts as unset
        allow_inf_nan=False,
    )

    home: Path = Path("data")
    """Folder of everything."""
    backend_url: str = "http://127.0.0.1:8000"
    """Where the backend listens."""
    worker_token: str = ""
    """Token of workers; empty reads HOME/backend/worker-token."""
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", validation_alias="REDIS_URL")
    """Where doorbells come from."""
    trainer: str = ""
    """Command of the trainer; empty is `python -m memgen`. Tests put a scripted one here."""
    announce_seconds: float = Field(default=15.0, gt=0, le=30)
    """Time between two signs of life of a worker; after a minute without one it counts as gone."""
    poll_seconds: float = Field(default=0.5, gt=0, le=60)
    """Time between two looks of a supervisor at its trainer's files."""

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("backend_url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        try:
            url = httpx.URL(value)
        except httpx.InvalidURL as error:
            raise ValueError(f"this is no address: {error}") from None
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError("the backend is named by http://HOST:PORT")
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        if not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("Redis is named by redis://HOST:PORT/DB or unix:///PATH")
        return value

    @field_validator("trainer")
    @classmethod
    def _words(cls, value: str) -> str:
        shlex.split(value)  # raises ValueError, e.g. for a quote without an end
        return value

    @property
    def follows_backend(self) -> bool:
        """Whether the backend is one of this machine, whose address its home folder tells."""
        return self.backend_url.startswith(("http://127.", "http://localhost", "http://[::1]"))

    @property
    def trainer_command(self) -> list[str]:
        """The trainer's command as words."""
        return shlex.split(self.trainer) if self.trainer else [sys.executable, "-m", "memgen"]

    @property
    def fetcher_command(self) -> list[str]:
        """The command that fetches weights, as words; none for another trainer than ours, which fetches by itself."""
        return [] if self.trainer else [sys.executable, "-m", "memgen", "fetch"]

    def token(self) -> str:
        """The workers' token.

        Raises:
            BadInput: `no_worker_token`.
        """
        path = self.home / "backend" / "worker-token"
        try:
            token = self.worker_token.strip() or path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise _bad_token(f"there is no token for workers ({error})", path) from None
        if not token or not token.isascii() or not token.isprintable():
            raise _bad_token("the token for workers is empty, or no line of ASCII", path)
        return token


def _bad_token(message: str, path: Path) -> BadInput:
    return BadInput(
        "no_worker_token",
        message,
        field="MEMGEN_WORKER_TOKEN",
        value=path,
        way_out="Set it to the content of the backend's HOME/backend/worker-token.",
    )


def read_settings() -> Settings:
    """Settings of the environment.

    Raises:
        BadInput: `bad_setting`, with the variable's name.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise BadInput(
            "bad_setting",
            first["msg"],
            field=name if name.isupper() else f"MEMGEN_{name.upper()}",
            value=first["input"],
            way_out="Set it to another value or unset it.",
        ) from None
