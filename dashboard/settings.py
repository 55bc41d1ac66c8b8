"""Where the dashboard finds its backend and its token."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from backend.hosts import AllowedHosts, allowed_hosts, proxy_addresses
from memgen.contract.errors import BadInput
from memgen.contract.tokens import checked_token


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
    proxies: str = Field(default="", max_length=2000)
    """Addresses of reverse proxies in front, separated by commas; only their `X-Forwarded-For` is believed."""

    @property
    def token_file(self) -> Path:
        """Where the backend leaves its token."""
        return self.home / "backend" / "token"

    @property
    def ended_sessions_file(self) -> Path:
        """Sessions that were logged out, until their cookies end by themselves."""
        return self.home / "dashboard" / "ended-sessions"

    def read_token(self) -> str:
        """The token.

        Raises:
            BadInput: neither the environment nor the token file has one, or it is a bad one.
        """
        token = self.token.get_secret_value().strip() if self.token else ""
        if token:
            return checked_token(token, "MEMGEN_TOKEN")
        try:
            token = self.token_file.read_text(encoding="utf-8", errors="replace").strip()
        except OSError as error:
            raise BadInput(
                "no_token",
                f"the token file can't be read: {error.strerror}",
                field="MEMGEN_HOME",
                value=self.token_file,
                way_out="Start the backend first (it writes the file), or set MEMGEN_TOKEN.",
            ) from error
        return checked_token(
            token,
            str(self.token_file),
            way_out="Delete the file and start the backend again (it writes a new one), or set MEMGEN_TOKEN.",
        )

    def allowed_hosts(self, bind_host: str) -> AllowedHosts:
        """Host names that browsers may use.

        Raises:
            BadInput: `bad_host_name`.
        """
        return allowed_hosts(bind_host, self.dashboard_allowed_hosts, "MEMGEN_DASHBOARD_ALLOWED_HOSTS")

    def proxy_addresses(self) -> list[str]:
        """Proxies that say where a request came from; none by default.

        Raises:
            BadInput: `bad_proxy`.
        """
        return proxy_addresses(self.proxies, "MEMGEN_PROXIES")
