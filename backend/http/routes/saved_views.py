"""Views of lists that are kept under a name: list, keep, rename, delete."""

from fastapi import APIRouter, Depends

from backend.api import schemas as s
from backend.http.auth import require_user
from backend.http.context import ContextDep
from backend.http.routes.parameters import Key
from backend.http.routes.route import Route
from backend.services import saved_views
from backend.services.idempotency import once
from backend.store.models import SavedView
from backend.views.times import when

router = APIRouter(
    route_class=Route, prefix="/saved-views", dependencies=[Depends(require_user)], tags=["saved views"]
)  # fmt: skip


@router.get("")
def list_views(context: ContextDep, page: s.ListPage | None = None) -> s.SavedViewList:
    """Views of a list, or of all, by their names."""
    with context.database.read() as session:
        return s.SavedViewList(items=[_out(view) for view in saved_views.kept(session, page)])


@router.post("")
def save(body: s.SavedViewCreate, context: ContextDep, key: Key = None) -> s.SavedView:
    """Keep a view under a name. The same again changes nothing; another is refused unless it is to replace it."""
    at = context.clock()
    with context.database.write() as session:

        def make() -> s.SavedView:
            return _out(saved_views.save(session, body.page, body.name, body.query, replace=body.replace, at=at))

        return once(session, key, "POST /saved-views", body.model_dump(mode="json"), s.SavedView, make, at=at)


@router.post("/{view_id}/rename")
def rename(view_id: int, body: s.SavedViewRename, context: ContextDep, key: Key = None) -> s.SavedView:
    """Give a view another name."""
    with context.database.write() as session:

        def make() -> s.SavedView:
            return _out(saved_views.rename(session, view_id, body.name))

        route = f"POST /saved-views/{view_id}/rename"
        return once(session, key, route, body.model_dump(mode="json"), s.SavedView, make, at=context.clock())


@router.delete("/{view_id}")
def delete(view_id: int, context: ContextDep) -> s.SavedViewDeletion:
    """Keep a view no longer."""
    with context.database.write() as session:
        saved_views.delete(session, view_id)
    return s.SavedViewDeletion(id=view_id)


def _out(view: SavedView) -> s.SavedView:
    return s.SavedView(
        id=view.id,
        page=view.page,
        name=view.name,
        query=view.query,
        saved_at=when(view.saved_at),
    )
