"""Where the dashboard finds its backend and its token."""

from pathlib import Path

from pydantic import Field

from backend.serving.hosts import AllowedHosts, allowed_hosts, proxy_addresses
from backend.serving.variables import Token, Url, Variables, read_token
from memgen.contract.service_files import ended_sessions_file, token_file


class Settings(Variables):
    """Read from the environment, each name with the prefix `MEMGEN_`."""

    backend_url: Url = "http://127.0.0.1:8000"
    """Address of the backend."""
    token: Token = Field(default="", repr=False)
    """Token of the backend; without it the token file is read."""
    dashboard_allowed_hosts: str = Field(default="", max_length=2000)
    """More host names under which browsers may reach the dashboard, separated by commas."""
    proxies: str = Field(default="", max_length=2000)
    """Addresses of reverse proxies in front, separated by commas; only their `X-Forwarded-For` is believed."""

    @property
    def token_file(self) -> Path:
        """Where the backend leaves its token."""
        return token_file(self.home)

    @property
    def ended_sessions_file(self) -> Path:
        """Sessions that were logged out, until their cookies end by themselves."""
        return ended_sessions_file(self.home)

    def read_token(self) -> str:
        """The token.

        Raises:
            BadInput: neither the environment nor the token file has one, or it is a bad one.
        """
        return self.token or read_token(self.token_file)

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
