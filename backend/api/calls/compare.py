"""Evaluations side by side."""

from collections.abc import Iterator, Sequence
from typing import Literal
from uuid import uuid4

from backend.api import schemas as s
from backend.api.connection import Connection

Format = Literal["csv", "jsonl"]


class CompareCalls(Connection):
    """Evaluations side by side."""

    def compare(self, runs: Sequence[int], *, base: int | None = None) -> s.CompareOut:
        """Evaluations side by side; without `base` against the pinned baseline, or the one with the setting base."""
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

    def export_comparison(
        self, runs: Sequence[int], *, base: int | None = None, form: Format = "csv"
    ) -> Iterator[bytes]:
        """The table of a comparison as a file, piece by piece."""
        return self._pieces("/compare/export", runs=",".join(map(str, runs)), base=base, format=form)

    def export_answers(self, before: int, after: int, *, show: str = "all", form: Format = "csv") -> Iterator[bytes]:
        """What two evaluations said as a file, piece by piece."""
        return self._pieces("/compare/answers/export", before=before, after=after, show=show, format=form)

    def baseline(self) -> s.BaselineOut:
        """The pinned baseline."""
        return self._get("/compare/baseline", s.BaselineOut)

    def pin_baseline(self, run_id: int | None) -> s.BaselineOut:
        """Pin the evaluation that others are measured against; None unpins."""
        return self._post("/compare/baseline", s.BaselineOut, {"run_id": run_id}, key=uuid4().hex)
