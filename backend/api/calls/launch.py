"""What can be launched: the service, its models, data sets and schemas, and whether a config would run."""

from collections.abc import Mapping
from typing import Any

from backend.api import schemas as s
from backend.api.connection import Connection


class LaunchCalls(Connection):
    """What can be launched: the service, its models, data sets and schemas, and whether a config would run."""

    def health(self) -> s.HealthOut:
        """State of the service."""
        return self._get("/health", s.HealthOut)

    def presets(self) -> list[s.PresetOut]:
        """Models that can be launched."""
        return self._get("/presets", s.PresetList).items

    def data_sets(self) -> s.DataSetList:
        """Data sets that runs can use, and plug-ins that can't be used."""
        return self._get("/data-sets", s.DataSetList)

    def schema(self, stage: str) -> dict[str, Any]:
        """JSON schema of a stage's config, help texts included."""
        reply: dict[str, Any] = self._send("GET", f"/schema/{stage}").json()
        return reply

    def sites(self) -> list[s.SiteOut]:
        """Where runs may go beside the workers of the service."""
        return self._get("/sites", s.SiteList).items

    def drain_site(self, site: str, *, drained: bool) -> list[s.SiteOut]:
        """Hand nothing more in at a site while what it has goes on; or hand in there again."""
        return self._post("/sites/drain", s.SiteList, {"site": site, "drained": drained}).items

    def preflight(self, config: Mapping[str, Any], *, site: str | None = None) -> s.PreflightReply:
        """Would this config run, there if a site is named, and why not."""
        return self._post("/preflight", s.PreflightReply, {"config": dict(config)} | ({"site": site} if site else {}))
