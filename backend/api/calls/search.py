"""One search through everything."""

from backend.api import schemas as s
from backend.api.connection import Connection


class SearchCalls(Connection):
    """One search through everything."""

    def search(self, text: str, *, limit: int = 10) -> s.SearchOut:
        """Runs, pipelines, checkpoints, tags, models and data sets with all these words, or with this number."""
        return self._get("/search", s.SearchOut, text=text, limit=limit)
