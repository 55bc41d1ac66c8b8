"""Settings of launches that are kept under a name: list, keep, delete."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from backend.api import schemas as s
from backend.http.auth import require_user
from backend.http.context import ContextDep
from backend.http.routes.route import Route
from backend.services import saved_launches
from backend.views.saved_launches import saved_launch

router = APIRouter(
    route_class=Route, prefix="/saved-launches", dependencies=[Depends(require_user)], tags=["saved launches"]
)
Name = Annotated[str, Path(max_length=200, description="Name of the settings.")]


@router.get("")
def list_saved(context: ContextDep) -> s.SavedLaunchList:
    """All settings that are kept, by their names."""
    with context.database.read() as session:
        return s.SavedLaunchList(items=[saved_launch(row) for row in saved_launches.kept(session)])


@router.put("/{name:path}")
def save(name: Name, body: s.SavedLaunchPut, context: ContextDep) -> s.SavedLaunch:
    """Keep settings under a name. The same again changes nothing; others are refused unless they are to replace it."""
    wanted = saved_launches.checked(name, body)
    with context.database.write() as session:
        return saved_launch(saved_launches.keep(session, wanted, replace=body.replace, at=context.clock()))


@router.delete("/{name:path}")
def delete(name: Name, context: ContextDep) -> s.SavedLaunchDeletion:
    """Keep these settings no longer."""
    with context.database.write() as session:
        saved_launches.delete(session, name)
    return s.SavedLaunchDeletion(name=name)
