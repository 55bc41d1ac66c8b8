"""Tags, groups, and the archive."""

from collections.abc import Sequence

from backend.api import schemas as s
from backend.api.connection import Connection


class TagCalls(Connection):
    """Tags, groups, and the archive."""

    def tags(self) -> list[s.TagOut]:
        """Every tag in use, by its name."""
        return self._get("/tags", s.TagList).items

    def tag_runs(
        self,
        run_ids: Sequence[int],
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        group: str | None = None,
        confirm: bool = False,
        key: str | None = None,
    ) -> s.BulkOut:
        """What changing the tags of many runs would do, with `confirm` it is done; an empty group is none."""
        body = {"runs": list(run_ids), "add": list(add), "remove": list(remove), "group": group, "confirm": confirm}
        return self._post("/runs/tags", s.BulkOut, body, key=key)

    def archive_runs(
        self, run_ids: Sequence[int], *, archived: bool = True, confirm: bool = False, key: str | None = None
    ) -> s.BulkOut:
        """What putting runs into the archive would do, or taking them out; with `confirm` it is done."""
        body = {"runs": list(run_ids), "archived": archived, "confirm": confirm}
        return self._post("/runs/archive", s.BulkOut, body, key=key)

    def tag_pipelines(
        self,
        numbers: Sequence[int],
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        confirm: bool = False,
        key: str | None = None,
    ) -> s.PipelinesOut:
        """What changing the tags of many pipelines would do; with `confirm` it is done."""
        body = {"pipelines": list(numbers), "add": list(add), "remove": list(remove), "confirm": confirm}
        return self._post("/pipelines/tags", s.PipelinesOut, body, key=key)

    def archive_pipelines(
        self, numbers: Sequence[int], *, archived: bool = True, confirm: bool = False, key: str | None = None
    ) -> s.PipelinesOut:
        """What putting pipelines with their runs into the archive would do, or taking them out; with `confirm` it is
        done."""
        body = {"pipelines": list(numbers), "archived": archived, "confirm": confirm}
        return self._post("/pipelines/archive", s.PipelinesOut, body, key=key)
