"""Settings of launches that are kept under a name."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from backend.api import schemas as s
from backend.api.connection import Connection
from memgen.contract.pipeline import PipelineSpec


class SavedLaunchCalls(Connection):
    """Settings of launches that are kept under a name."""

    def saved_launches(self) -> list[s.SavedLaunch]:
        """All settings that are kept, by their names."""
        return self._get("/saved-launches", s.SavedLaunchList).items

    def save_launch(
        self, name: str, settings: Mapping[str, Any] | PipelineSpec, *, note: str = "", replace: bool = False
    ) -> s.SavedLaunch:
        """Keep the config of a run, or a pipeline, under a name; other settings of that name only go with `replace`."""
        is_pipeline = isinstance(settings, PipelineSpec)
        body = s.SavedLaunchPut(
            config=None if is_pipeline else dict(settings),
            pipeline=settings if is_pipeline else None,
            note=note,
            replace=replace,
        )
        reply = self._send("PUT", _path(name), json=body.model_dump(mode="json"))
        return self._read(s.SavedLaunch, reply)

    def delete_saved_launch(self, name: str) -> s.SavedLaunchDeletion:
        """Keep these settings no longer."""
        return self._read(s.SavedLaunchDeletion, self._send("DELETE", _path(name)))


def _path(name: str) -> str:
    return f"/saved-launches/{quote(name, safe='')}"
