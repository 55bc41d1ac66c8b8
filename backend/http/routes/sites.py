"""Sites: where runs may go beside the workers of this service."""

from fastapi import APIRouter, Depends

from backend.api import schemas as s
from backend.http.auth import require_user
from backend.http.context import ContextDep
from backend.http.routes.route import Route
from backend.views.sites import site_list

router = APIRouter(route_class=Route, prefix="/sites", dependencies=[Depends(require_user)], tags=["sites"])


@router.get("")
def list_sites(context: ContextDep) -> s.SiteList:
    """The sites of the operator's file, and how many jobs of ours each has."""
    with context.database.read() as session:
        return site_list(session, context.look_around())
