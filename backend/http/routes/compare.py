"""Comparison of evaluations."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from backend.api import schemas as s
from backend.http.auth import require_user
from backend.http.context import ContextDep
from backend.http.routes.parameters import Cursor
from backend.http.routes.route import Route
from backend.services.comparable import numbers
from backend.views import compare as view
from backend.views.insertions import insertion_groups

router = APIRouter(route_class=Route, prefix="/compare", dependencies=[Depends(require_user)], tags=["compare"])


@router.get("")
def compare(
    context: ContextDep,
    runs: Annotated[str, Query(max_length=300, description="Evaluations, e.g. 3,5,6.")],
    base: Annotated[int | None, Query(description="Which one is the base; else the one with the setting base.")] = None,
) -> s.CompareOut:
    """Evaluations on the same questions, each against the base."""
    with context.database.read() as session:
        return view.compare(session, numbers(runs), base)


@router.get("/answers")
def answers(
    context: ContextDep,
    before: int,
    after: int,
    show: Literal["all", "fixed", "broken", "both_right", "both_wrong", "without_box"] = "all",
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> s.AnswerPairs:
    """Question by question: what two evaluations said."""
    with context.database.read() as session:
        return view.answer_pairs(session, before, after, show=show, cursor=cursor, limit=limit)


@router.get("/insertions")
def insertions(context: ContextDep, before: int, after: int) -> s.InsertionGroups:
    """Questions by the insertions of the second evaluation, and how many of them both answered rightly."""
    with context.database.read() as session:
        return insertion_groups(session, before, after)
