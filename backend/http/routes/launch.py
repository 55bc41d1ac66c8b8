"""What can be launched: presets, schemas, preflight."""

from typing import Any

from fastapi import APIRouter, Depends

from backend.api import schemas as s
from backend.executors.sites import find_site
from backend.http.auth import require_user
from backend.http.context import ContextDep
from backend.http.routes.route import Route
from backend.views.preflight import preflight
from backend.views.presets import preset_list
from memgen.contract.config import stage_class

router = APIRouter(route_class=Route, dependencies=[Depends(require_user)], tags=["launch"])


@router.get("/presets")
def presets() -> s.PresetList:
    """Models that can be launched."""
    return preset_list()


@router.get("/schema/{stage}")
def schema(stage: str) -> dict[str, Any]:
    """JSON schema of a stage's config; the description of a field is its help text."""
    return stage_class(stage).model_json_schema()


@router.post("/preflight")
def try_config(body: s.PreflightRequest, context: ContextDep) -> s.PreflightReply:
    """Would it work, and why not. Changes nothing."""
    around = context.look_around_first()
    site = find_site(around.sites, body.site)
    return preflight(context.database, body.config, context.settings, around, site)
