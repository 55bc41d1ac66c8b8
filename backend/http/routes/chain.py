"""Checkpoints and lineage: what a run can start from, and what it came from."""

import shutil
from typing import Annotated

from fastapi import APIRouter, Depends, Query, status

from backend.api import schemas as s
from backend.errors import LARGEST_INTEGER
from backend.http.auth import require_user
from backend.http.context import ContextDep
from backend.http.routes.parameters import Archived, Flag, Key, SortedCursor, sort_by
from backend.http.routes.route import Route
from backend.services import adding, pipelines, runs
from backend.services.descent import is_added
from backend.services.idempotency import once, replayed
from backend.services.shipped import add_shipped
from backend.services.uploads import forget
from backend.views import checkpoint_list, checkpoints, lineage

router = APIRouter(route_class=Route, dependencies=[Depends(require_user)], tags=["checkpoints"])


@router.get("/checkpoints")
def list_checkpoints(
    context: ContextDep,
    stage: Annotated[str | None, Query(description="Stage of the run that is to start from it.")] = None,
    setting: Annotated[str | None, Query(description="Setting of that run, of an evaluation.")] = None,
    preset: Annotated[str | None, Query(description="Model of that run.")] = None,
    prompt_latents_len: int | None = None,
    inference_latents_len: int | None = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Most that can be used, and most of the others.")] = 200,
    also: Annotated[list[int] | None, Query(max_length=20, description="Those to list whatever their age.")] = None,
) -> s.CheckpointList:
    """What training runs left, newest first, and why a run like the one asked about can't start from it."""
    wanted = {
        "stage": stage,
        "setting": setting,
        "preset": preset,
        "prompt_latents_len": prompt_latents_len,
        "inference_latents_len": inference_latents_len,
    }
    child = {name: value for name, value in wanted.items() if value is not None}
    with context.database.read() as session:
        return s.CheckpointList(items=checkpoints.listed(session, context.home, child, limit=limit, also=also or []))


@router.get("/checkpoints/results")
def list_results(
    context: ContextDep,
    archived: Archived = "no",
    sort: Annotated[str | None, sort_by(checkpoint_list.COLUMNS)] = None,
    cursor: SortedCursor = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> s.CheckpointResults:
    """Checkpoints with the best of their evaluations, newest first or in the order of a column."""
    around = context.look_around()
    with context.database.read() as session:
        return checkpoint_list.list_checkpoints(
            session, context.home, context.gains, around, archived=archived, sort=sort, cursor=cursor, limit=limit
        )


@router.get("/checkpoints/{checkpoint_id}")
def get_checkpoint(checkpoint_id: int, context: ContextDep) -> s.CheckpointOut:
    """One checkpoint, its files checked against their hashes."""
    return checkpoints.one(context.database, checkpoint_id, context.home)


@router.post("/checkpoints", status_code=status.HTTP_201_CREATED)
def add_checkpoint(body: s.CheckpointCreate, context: ContextDep, key: Key = None) -> s.CheckpointOut:
    """Add a checkpoint from outside, whose files were uploaded; one of the authors' layout is turned into ours."""
    route, sent = "POST /checkpoints", body.model_dump(mode="json")
    with context.database.read() as session:
        known = replayed(session, key, route, sent, s.CheckpointOut)
    if known is not None:
        return known
    # hashes and a conversion take seconds or minutes: not in the writer's transaction
    with adding.looked_at(body.files, body.preset, context.home) as looked, context.database.write() as session:

        def make() -> s.CheckpointOut:
            added = adding.add(session, looked, body, context.home, at=context.clock())
            return checkpoints.by_itself(session, added, context.home)

        reply = once(session, key, route, sent, s.CheckpointOut, make, at=context.clock())
    for file in body.files:
        forget(context.home, file.upload)
    return reply


@router.post("/checkpoints/shipped")
def add_shipped_checkpoints(context: ContextDep) -> s.ShippedCheckpoints:
    """The checkpoints that come with the project and that the demo starts from: added, if they are not there yet."""
    return s.ShippedCheckpoints.model_validate(add_shipped(context.database, context.home, at=context.clock()))


@router.delete("/checkpoints/{checkpoint_id}")
def delete_checkpoint(
    checkpoint_id: int,
    context: ContextDep,
    confirm: Annotated[Flag, Query(description="Without it only what would go is told.")] = False,
) -> s.CheckpointDeletion:
    """Delete a checkpoint that came from outside. Runs that started from it stay; while one has not ended it is
    refused."""
    with context.database.read() as session:
        checkpoints.get(session, checkpoint_id)
        deletion = adding.deletion(session, checkpoint_id, context.home)
    if not confirm:
        return deletion
    with context.database.write() as session:
        checkpoints.get(session, checkpoint_id)  # somebody may have been faster
        folder = adding.delete(session, checkpoint_id, context.home)
    shutil.rmtree(folder, ignore_errors=True)
    return deletion


@router.get("/lineage")
def get_lineage(
    context: ContextDep,
    run: int | None = None,
    pipeline: int | None = None,
    limit: Annotated[
        int,
        Query(ge=1, le=lineage.MOST_RUNS, description="Of the newest runs; what they descend from comes with them."),
    ] = 500,
    since: Annotated[
        int | None,
        Query(
            ge=0,
            le=LARGEST_INTEGER,
            description="`cursor` of an earlier reply: only runs whose history has grown since are told.",
        ),
    ] = None,
) -> s.LineageOut:
    """Which run started from which: a run's family, that of a checkpoint from outside, a pipeline, or the newest
    runs."""
    with context.database.read() as session:
        if run is not None and not is_added(session, run):
            runs.get(session, run)
        elif pipeline is not None:
            pipelines.get(session, pipeline)
        return lineage.lineage(session, run_id=run, pipeline_id=pipeline, limit=limit, since=since)
