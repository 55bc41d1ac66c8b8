"""Evaluations side by side."""

from collections.abc import Sequence

from backend.api import schemas as s
from backend.api.connection import Connection


class CompareCalls(Connection):
    """Evaluations side by side."""

    def compare(self, runs: Sequence[int], *, base: int | None = None) -> s.CompareOut:
        """Evaluations side by side; `base` is the one with the setting base where it is not given."""
        return self._get("/compare", s.CompareOut, runs=",".join(map(str, runs)), base=base)

    def compare_answers(
        self, before: int, after: int, *, show: str = "all", cursor: str | None = None, limit: int = 20
    ) -> s.AnswerPairs:
        """Questions that two evaluations answered; `show` is all, fixed, broken, both_right, both_wrong or
        without_box."""
        return self._get(
            "/compare/answers", s.AnswerPairs, before=before, after=after, show=show, cursor=cursor, limit=limit
        )

    def insertion_groups(self, before: int, after: int) -> s.InsertionGroups:
        """Questions by the insertions of the second evaluation, and how many of them both answered rightly."""
        return self._get("/compare/insertions", s.InsertionGroups, before=before, after=after)
