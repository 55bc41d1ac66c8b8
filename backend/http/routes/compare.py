"""Comparison of evaluations."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from backend.api import schemas as s
from backend.http.auth import require_user
from backend.http.context import ContextDep
from backend.http.routes.parameters import Cursor, Key
from backend.http.routes.route import Route
from backend.services import baseline
from backend.services.comparable import numbers
from backend.services.idempotency import once
from backend.views import compare as view
from backend.views import exports
from backend.views.baseline import baseline_out
from backend.views.insertions import insertion_groups

Show = Literal["all", "fixed", "broken", "both_right", "both_wrong", "without_box"]
Runs = Annotated[str, Query(max_length=300, description="Evaluations, e.g. 3,5,6.")]
Base = Annotated[
    int | None,
    Query(description="Which one is the base; else the pinned baseline, or the first with the setting base."),
]
Format = Annotated[exports.Format, Query(description="A text that a spreadsheet would run is made inert in CSV.")]
FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {kind.split(";")[0]: {} for kind in exports.MEDIA_TYPES.values()}}
}
router = APIRouter(route_class=Route, prefix="/compare", dependencies=[Depends(require_user)], tags=["compare"])


@router.get("")
def compare(
    context: ContextDep,
    runs: Runs,
    base: Base = None,
) -> s.CompareOut:
    """Evaluations on the same questions, each against the base."""
    with context.database.read() as session:
        return view.compare(session, numbers(runs), base)


@router.get("/answers")
def answers(
    context: ContextDep,
    before: int,
    after: int,
    show: Show = "all",
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


@router.get("/export", response_class=StreamingResponse, responses=FILE)
def export(context: ContextDep, runs: Runs, base: Base = None, format: Format = "csv") -> StreamingResponse:
    """The table of a comparison as a file, a row per evaluation."""
    with context.database.read() as session:
        reply = view.compare(session, numbers(runs), base)
    return _file(exports.lines(exports.result_rows(reply), exports.RESULT_COLUMNS, format), format)


@router.get("/answers/export", response_class=StreamingResponse, responses=FILE)
def export_answers(
    context: ContextDep,
    before: int,
    after: int,
    show: Show = "all",
    format: Format = "csv",
) -> StreamingResponse:
    """What two evaluations said as a file, a row per question."""

    def page(cursor: str | None) -> s.AnswerPairs:
        with context.database.read() as session:
            return exports.pairs_page(session, before, after, show, cursor)

    rows = exports.answer_rows(page(None), page)
    return _file(exports.lines(rows, exports.ANSWER_COLUMNS, format), format)


def _file(lines: Iterator[str], form: exports.Format) -> StreamingResponse:
    return StreamingResponse(lines, media_type=exports.MEDIA_TYPES[form], headers={"Cache-Control": "no-store"})


@router.get("/baseline")
def get_baseline(context: ContextDep) -> s.BaselineOut:
    """The pinned baseline."""
    with context.database.read() as session:
        return baseline_out(session, context.look_around())


@router.post("/baseline")
def pin_baseline(body: s.BaselineRequest, context: ContextDep, key: Key = None) -> s.BaselineOut:
    """Pin the evaluation that others are measured against, or unpin it."""
    around = context.look_around_first(ask_broker=False)
    with context.database.write() as session:

        def make() -> s.BaselineOut:
            baseline.pin(session, body.run_id)
            return baseline_out(session, around)

        return once(session, key, "POST /compare/baseline", body.model_dump(), s.BaselineOut, make, at=context.clock())
