"""Views of lists that are kept under a name."""

from uuid import uuid4

from backend.api import schemas as s
from backend.api.connection import Connection


class SavedViewCalls(Connection):
    """Views of lists that are kept under a name."""

    def saved_views(self, page: s.ListPage | None = None) -> list[s.SavedView]:
        """Views of a list, or of all, by their names."""
        return self._get("/saved-views", s.SavedViewList, page=page).items

    def save_view(self, page: s.ListPage, name: str, query: str, *, replace: bool = False) -> s.SavedView:
        """Keep the query of a list's address under a name; another view of that name only goes with `replace`."""
        body = {"page": page, "name": name, "query": query, "replace": replace}
        return self._post("/saved-views", s.SavedView, body, key=uuid4().hex)

    def rename_view(self, view_id: int, name: str) -> s.SavedView:
        """Give a view another name."""
        return self._post(f"/saved-views/{view_id}/rename", s.SavedView, {"name": name})

    def delete_view(self, view_id: int) -> s.SavedViewDeletion:
        """Keep a view no longer."""
        return self._read(s.SavedViewDeletion, self._send("DELETE", f"/saved-views/{view_id}"))
