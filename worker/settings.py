"""Settings of the worker and its supervisors: environment variables with the prefix MEMGEN_, and REDIS_URL."""

import shlex
import sys
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from memgen.contract.errors import BadInput


class Settings(BaseSettings):
    """Where a worker lives and whom it asks."""

    model_config = SettingsConfigDict(env_prefix="MEMGEN_", use_attribute_docstrings=True, extra="ignore")

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
    announce_seconds: float = Field(default=15.0, gt=0)
    """Time between two signs of life of a worker."""
    poll_seconds: float = Field(default=0.5, gt=0)
    """Time between two looks of a supervisor at its trainer's files."""

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @property
    def follows_backend(self) -> bool:
        """Whether the backend is one of this machine, whose address its home folder tells."""
        return self.backend_url.startswith(("http://127.", "http://localhost", "http://[::1]"))

    @property
    def trainer_command(self) -> list[str]:
        """The trainer's command as words."""
        return shlex.split(self.trainer) if self.trainer else [sys.executable, "-m", "memgen"]

    def token(self) -> str:
        """The workers' token.

        Raises:
            BadInput: `no_worker_token`.
        """
        path = self.home / "backend" / "worker-token"
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
        return path.read_text(encoding="utf-8").strip()
