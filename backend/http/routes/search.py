"""One search through everything."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from backend.api import schemas as s
from backend.http.auth import require_user
from backend.http.context import ContextDep
from backend.http.routes.route import Route
from backend.views import search as views

router = APIRouter(route_class=Route, dependencies=[Depends(require_user)], tags=["search"])


@router.get("/search")
def search(
    context: ContextDep,
    text: Annotated[str, Query(max_length=200, description="Words that all have to be there, or a number.")],
    limit: Annotated[int, Query(ge=1, le=50, description="Most runs; of pipelines and checkpoints half of it.")] = 10,
) -> s.SearchOut:
    """Runs, pipelines, checkpoints, tags, models and data sets with these words; the archive is searched, too."""
    with context.database.read() as session:
        return views.search(session, text, limit=limit)
