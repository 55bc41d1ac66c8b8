"""Pipelines: submit, watch, continue, stop."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, status
from sqlmodel import Session

from backend.api import schemas as s
from backend.executors.sites import find_site
from backend.http.auth import require_user
from backend.http.context import Context, ContextDep
from backend.http.routes.parameters import Archived, Key, SortedCursor, Tags, sort_by
from backend.http.routes.route import Route
from backend.services import fixing, pipelines, preflight, tags
from backend.services.candidates import candidates as candidates_of
from backend.services.candidates import outside as outside_of
from backend.services.idempotency import once, replayed
from backend.store.models import Pipeline
from backend.views import pipeline_list
from backend.views import pipelines as views
from backend.views.preflight import pipeline_preflight
from backend.views.views import runs_out
from memgen.contract.pipeline import PipelineSpec, plan_pipeline

router = APIRouter(route_class=Route, prefix="/pipelines", dependencies=[Depends(require_user)], tags=["pipelines"])
MOST_NUMBERS = 2_000


@router.post("", status_code=status.HTTP_201_CREATED)
def submit(body: s.PipelineCreate, context: ContextDep, key: Key = None) -> s.PipelineOut:
    """Submit a pipeline: all its runs are stored, and each starts once its parent's checkpoint is there."""
    spec = body.spec
    configs = plan_pipeline(spec)
    route, data = "POST /pipelines", body.model_dump(mode="json")
    for name in ("fixes", "site", "tags", "group"):  # a key of a version before belongs to a body without them
        if not data[name]:
            del data[name]
    with context.database.read() as session:
        known = replayed(session, key, route, data, s.PipelineOut)
    if known is not None:
        return known
    find_site(context.board.sites, spec.site)
    change = tags.at_creation(body.tags, body.group)
    preflight.check_all(configs, context.settings)
    with context.database.read() as session:
        reusable = pipelines.check_reuse(session, spec, context.home)
        parents = pipelines.reused_checkpoints(session, spec, reusable)
    pipelines.check_files(parents, context.home)
    pinned = preflight.pin_all(configs, list(reusable.values()))  # may ask the hub: in no transaction
    around = context.look_around_first()
    with context.database.write() as session:

        def make() -> s.PipelineOut:
            reused = pipelines.check_reuse(session, spec, context.home)
            retries = context.settings.max_retries
            fixes = fixing.failed_steps(session, spec)
            pipeline = pipelines.submit(session, spec, pinned, reused, at=context.clock(), retries=retries, fixes=fixes)
            if change is not None:
                tags.tag_new_pipeline(session, pipeline.id, change)
            return views.view(session, pipeline, around)

        reply = once(session, key, route, data, s.PipelineOut, make, at=context.clock())
    context.doorbell.ring()
    return reply


@router.post("/preflight")
def try_out(body: PipelineSpec, context: ContextDep) -> s.PipelinePreflight:
    """Would this pipeline run, and what would its steps take."""
    around = context.look_around_first()
    site = find_site(around.sites, body.site)
    return pipeline_preflight(context.database, body, context.settings, around, site)


async def pipeline_filter(
    text: Annotated[str | None, Query(description="Part of the note or of the model's name.", max_length=200)] = None,
    tag: Tags = None,
    archived: Archived = "no",
) -> pipeline_list.PipelineFilter:
    """Which pipelines a list is to show."""
    return pipeline_list.PipelineFilter(text=text, tag=tag, archived=archived)


Wanted = Annotated[pipeline_list.PipelineFilter, Depends(pipeline_filter)]


@router.get("")
def list_pipelines(
    wanted: Wanted,
    context: ContextDep,
    sort: Annotated[str | None, sort_by(pipeline_list.COLUMNS)] = None,
    cursor: SortedCursor = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> s.PipelineList:
    """Pipelines, newest first or in the order of a column."""
    with context.database.read() as session:
        around = context.look_around()
        page = pipeline_list.list_pipelines(session, wanted, sort=sort, cursor=cursor, limit=limit)
        items = views.page(session, page.rows, around)
    return s.PipelineList(items=items, next_cursor=page.next_cursor, total=page.total)


@router.get("/numbers")
def list_numbers(wanted: Wanted, context: ContextDep) -> s.PipelineNumbers:
    """The numbers of up to 2,000 pipelines, the newest first: for what is done with all that match."""
    with context.database.read() as session:
        numbers, runs, total = pipeline_list.numbers(session, wanted, limit=MOST_NUMBERS)
    return s.PipelineNumbers(pipelines=numbers, runs=runs, total=total)


@router.get("/candidates")
def candidates(
    context: ContextDep,
    preset: Annotated[str, Query(max_length=200, description="Model of the pipeline.")],
    data: Annotated[str, Query(max_length=200, description="Data set of the pipeline.")],
    also: Annotated[list[int] | None, Query(max_length=20, description="Runs to look for whatever their age.")] = None,
) -> s.Candidates:
    """Finished runs that may stand for each step, of trainings those that left a checkpoint, and checkpoints from
    outside."""
    with context.database.read() as session:
        by_step = candidates_of(session, preset, data, also or [])
        rows = {run.id: run for runs in by_step.values() for run in runs}
        shown = {out.id: out for out in runs_out(session, list(rows.values()), context.look_around())}
        steps: dict[str, list[s.RunOut]] = {name: [shown[run.id] for run in runs] for name, runs in by_step.items()}
        outside = {
            name: [s.OutsideBrief(id=one.id, name=one.name, note=one.note) for one in added]
            for name, added in outside_of(session, preset).items()
        }
    return s.Candidates(steps=steps, checkpoints=outside)


@router.get("/{pipeline_id}")
def get(pipeline_id: int, context: ContextDep) -> s.PipelineOut:
    """One pipeline with its steps, their changes against its base, and their warnings."""
    around = context.look_around()
    with context.database.read() as session:
        return views.detail(session, pipelines.get(session, pipeline_id), context.gains, around)


@router.post("/{pipeline_id}/continue")
def continue_(pipeline_id: int, context: ContextDep, key: Key = None) -> s.PipelineOut:
    """Go on from what failed, was stopped or was skipped; what succeeded stays."""

    def act(session: Session, pipeline: Pipeline) -> None:
        pipelines.continue_(session, pipeline, at=context.clock(), retries=context.settings.max_retries)

    return _change(context, pipeline_id, "continue", {}, key, act)


@router.post("/{pipeline_id}/stop")
def stop(pipeline_id: int, body: s.StopRequest, context: ContextDep, key: Key = None) -> s.PipelineOut:
    """Stop every step that has not ended."""

    def act(session: Session, pipeline: Pipeline) -> None:
        pipelines.stop(session, pipeline, body.mode, at=context.clock())

    return _change(context, pipeline_id, "stop", body.model_dump(), key, act)


def _change(
    context: Context, pipeline_id: int, word: str, body: object, key: str | None, act: pipelines.Act
) -> s.PipelineOut:
    around = context.look_around_first()
    with context.database.write() as session:

        def make() -> s.PipelineOut:
            pipeline = pipelines.get(session, pipeline_id)
            act(session, pipeline)
            session.flush()
            return views.view(session, pipeline, around)

        route = f"POST /pipelines/{pipeline_id}/{word}"
        reply = once(session, key, route, body, s.PipelineOut, make, at=context.clock())
    context.doorbell.ring()
    return reply
