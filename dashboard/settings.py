"""Where the dashboard finds its backend and its token."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from memgen.contract.errors import BadInput

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


class Settings(BaseSettings):
    """Read from the environment, each name with the prefix `MEMGEN_`."""

    model_config = SettingsConfigDict(env_prefix="MEMGEN_", frozen=True, use_attribute_docstrings=True)

    backend_url: str = "http://127.0.0.1:8000"
    """Address of the backend."""
    token: SecretStr | None = None
    """Token of the backend; without it the token file is read."""
    home: Path = Path("data")
    """Folder of the project's data; the token lies in `backend/token` below it."""
    dashboard_allowed_hosts: str = Field(default="", max_length=2000)
    """More host names under which browsers may reach the dashboard, separated by commas."""

    @property
    def token_file(self) -> Path:
        """Where the backend leaves its token."""
        return self.home / "backend" / "token"

    def read_token(self) -> str:
        """The token.

        Raises:
            BadInput: neither the environment nor the token file has one.
        """
        token = self.token.get_secret_value().strip() if self.token else ""
        if token:
            return token
        try:
            token = self.token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadInput(
                "no_token",
                f"the token file can't be read: {error.strerror}",
                field="MEMGEN_HOME",
                value=self.token_file,
                way_out="Start the backend first (it writes the file), or set MEMGEN_TOKEN.",
            ) from error
        if not token:
            raise BadInput(
                "no_token",
                "the token file is empty",
                field="MEMGEN_HOME",
                value=self.token_file,
                way_out="Delete it and start the backend again (it writes a new one), or set MEMGEN_TOKEN.",
            )
        return token

    def allowed_hosts(self, bind_host: str) -> list[str]:
        """Host names that browsers may use; empty allows every name.

        Bound to loopback only its names are good, against DNS rebinding. Bound elsewhere the names
        are not known here, so all are good until the operator says which.
        """
        extra = [name.strip().lower() for name in self.dashboard_allowed_hosts.split(",") if name.strip()]
        if bind_host in LOOPBACK_HOSTS or extra:
            return [*LOOPBACK_HOSTS, *extra]
        return []
