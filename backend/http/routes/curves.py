"""Curves of several runs."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from backend.api import schemas as s
from backend.http.auth import require_user
from backend.http.context import ContextDep
from backend.http.routes.parameters import Flag
from backend.http.routes.route import Route
from backend.services.comparable import numbers
from backend.views import curves as view

router = APIRouter(route_class=Route, prefix="/curves", dependencies=[Depends(require_user)], tags=["runs"])


@router.get("")
def curves(
    context: ContextDep,
    runs: Annotated[str, Query(max_length=500, description=f"Up to {view.MOST_RUNS} runs, e.g. 3,5,6.")],
    name: Annotated[
        str | None, Query(max_length=200, description="The metric; empty for the one that says most about a run.")
    ] = None,
    since: Annotated[int | None, Query(description="Only later steps.")] = None,
    until: Annotated[int | None, Query(description="Only steps up to this one.")] = None,
    max_points: Annotated[int, Query(ge=2, le=2000)] = 500,
    epochs: Annotated[Flag, Query(description="With the passes over the rows that trainings tell.")] = False,
) -> s.CurvesOut:
    """One metric of several runs, thinned at the same steps, and in which settings the runs differ."""
    with context.database.read() as session:
        return view.curves(
            session, numbers(runs), name=name or None, since=since, until=until, max_points=max_points,
            with_epochs=epochs,
        )  # fmt: skip
