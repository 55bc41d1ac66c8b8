"""Sites: where runs may go beside the workers of this service."""

from fastapi import APIRouter, Depends

from backend.api import schemas as s
from backend.executors.sites import find_site
from backend.http.auth import require_user
from backend.http.context import Context, ContextDep
from backend.http.routes.route import Route
from backend.services import drains
from backend.views.sites import site_list

router = APIRouter(route_class=Route, prefix="/sites", dependencies=[Depends(require_user)], tags=["sites"])


@router.get("")
def list_sites(context: ContextDep) -> s.SiteList:
    """The sites of the operator's file, and how many jobs of ours each has."""
    return _sites(context)


@router.post("/drain")
def drain_site(body: s.SiteDrainRequest, context: ContextDep) -> s.SiteList:
    """Hand nothing more in at a site while what it has goes on; or hand in there again."""
    find_site(context.board.sites, body.site)
    with context.database.write() as session:
        drains.set_site(session, body.site, drained=body.drained, at=context.clock())
    return _sites(context)


def _sites(context: Context) -> s.SiteList:
    with context.database.read() as session:
        return site_list(session, context.look_around())
