"""Runs: submit, list, look at, stop, start again, delete."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, status

from backend.api import schemas as s
from backend.executors.sites import find_site
from backend.http.auth import require_user
from backend.http.context import Context, ContextDep
from backend.http.routes.parameters import (
    Archived,
    Cursor,
    Flag,
    Key,
    SortedCursor,
    Stage,
    Statuses,
    Tags,
    Text,
    sort_by,
)
from backend.http.routes.route import Route
from backend.services import runs, scoring, tags
from backend.services.checkpoints import check_files, check_parent, parent_of
from backend.services.comparable import evaluation
from backend.services.disk import size_of
from backend.services.fixing import check_run
from backend.services.idempotency import once, replayed
from backend.services.preflight import check, pin_revision
from backend.views import logs, reading, run_list, series, views
from backend.views import rollouts as rollout_views
from memgen.contract.config import parse_config

router = APIRouter(route_class=Route, prefix="/runs", dependencies=[Depends(require_user)], tags=["runs"])
Limit = Annotated[int, Query(ge=1, le=200)]
MOST_NUMBERS = 10_000


@router.post("", status_code=status.HTTP_201_CREATED)
def submit(body: s.RunCreate, context: ContextDep, key: Key = None) -> s.RunDetail:
    """Submit a run. Stored first, then workers are told; a worker that is away finds it later."""
    route, data = "POST /runs", body.model_dump()
    for name in ("fixes", "tags", "group", "site"):  # a key of a version before belongs to a body without them
        if not data[name]:
            del data[name]
    with context.database.read() as session:
        known = replayed(session, key, route, data, s.RunDetail)
    if known is not None:
        return known
    config = parse_config(body.config)
    find_site(context.board.sites, body.site)
    change = tags.at_creation(body.tags, body.group)
    check(config, context.settings)
    with context.database.read() as session:
        origin = check_parent(session, config, context.home)
    if origin is not None:
        check_files(origin[1], context.home)
    pinned = pin_revision(config, [origin[0]] if origin is not None else [])
    around = context.look_around_first()
    with context.database.write() as session:

        def make() -> s.RunDetail:
            parent = parent_of(session, pinned)
            if body.fixes is not None:
                check_run(session, body.fixes, pinned.stage)
            run = runs.submit(
                session, pinned, body.note, at=context.clock(), retries=context.settings.max_retries,
                parent_id=parent.id if parent is not None else None, fixes=body.fixes, site=body.site,
            )  # fmt: skip
            session.flush()
            if change is not None:
                tags.tag_runs(session, [run.id], change, confirm=True)
            return views.run_detail(session, run, around)

        reply = once(session, key, route, data, s.RunDetail, make, at=context.clock())
    context.doorbell.ring()
    return reply


async def run_filter(
    status: Statuses = None,
    stage: Stage = None,
    preset: Text = None,
    setting: Text = None,
    text: Annotated[str | None, Query(description="Part of the note or of the model's name.", max_length=200)] = None,
    metric: Annotated[str | None, Query(description="Only runs that have reported it.", max_length=200)] = None,
    tag: Tags = None,
    group: Annotated[str | None, Query(description="Only runs of this group.", max_length=200)] = None,
    archived: Archived = "no",
) -> run_list.RunFilter:
    """Which runs a list is to show."""
    return run_list.RunFilter(
        status=status, stage=stage, preset=preset, setting=setting, text=text, metric=metric, tag=tag, group=group,
        archived=archived,
    )  # fmt: skip


Wanted = Annotated[run_list.RunFilter, Depends(run_filter)]


@router.get("")
def list_runs(
    wanted: Wanted,
    context: ContextDep,
    sort: Annotated[str | None, sort_by(run_list.COLUMNS)] = None,
    cursor: SortedCursor = None,
    limit: Limit = 50,
) -> s.RunList:
    """Runs, newest first or in the order of a column."""
    with context.database.read() as session:
        page = run_list.list_runs(session, wanted, sort=sort, cursor=cursor, limit=limit)
        items = views.runs_out(session, page.rows, context.look_around())
    return s.RunList(items=items, next_cursor=page.next_cursor, total=page.total)


@router.get("/numbers")
def list_numbers(wanted: Wanted, context: ContextDep) -> s.RunNumbers:
    """The numbers of up to 10,000 runs, the newest first: for what is done with all that match."""
    with context.database.read() as session:
        numbers, total = run_list.numbers(session, wanted, limit=MOST_NUMBERS)
    return s.RunNumbers(runs=numbers, total=total)


@router.get("/{run_id}")
def get(run_id: int, context: ContextDep) -> s.RunDetail:
    """One run."""
    with context.database.read() as session:
        run = runs.get(session, run_id)
        return views.run_detail(session, run, context.look_around())


@router.post("/{run_id}/stop")
def stop(run_id: int, body: s.StopRequest, context: ContextDep, key: Key = None) -> s.RunDetail:
    """Ask a run to stop: save and stop, discard, or force."""
    around = context.look_around_first(ask_broker=False)
    with context.database.write() as session:

        def make() -> s.RunDetail:
            run = runs.get(session, run_id)
            runs.stop(session, run, body.mode, at=context.clock())
            return views.run_detail(session, run, around)

        route = f"POST /runs/{run_id}/stop"
        return once(session, key, route, body.model_dump(), s.RunDetail, make, at=context.clock())


@router.post("/{run_id}/priority")
def set_priority(run_id: int, body: s.PriorityRequest, context: ContextDep, key: Key = None) -> s.RunDetail:
    """Let a run that has not started stand further to the front of the queue, or to its back."""
    around = context.look_around_first()
    with context.database.write() as session:

        def make() -> s.RunDetail:
            run = runs.get(session, run_id)
            runs.set_priority(session, run, body.priority, at=context.clock())
            return views.run_detail(session, run, around)

        route = f"POST /runs/{run_id}/priority"
        return once(session, key, route, body.model_dump(), s.RunDetail, make, at=context.clock())


@router.post("/{run_id}/note")
def set_note(run_id: int, body: s.NoteRequest, context: ContextDep, key: Key = None) -> s.RunDetail:
    """Change the note of a run."""
    around = context.look_around_first(ask_broker=False)
    with context.database.write() as session:

        def make() -> s.RunDetail:
            run = runs.get(session, run_id)
            run.note = body.note
            session.add(run)
            return views.run_detail(session, run, around)

        route = f"POST /runs/{run_id}/note"
        return once(session, key, route, body.model_dump(), s.RunDetail, make, at=context.clock())


@router.post("/{run_id}/resume")
def resume(run_id: int, context: ContextDep, key: Key = None) -> s.RunDetail:
    """Next attempt of a failed or cancelled run, from where the last one got."""
    return _start_again(run_id, context, key, resume=True)


@router.post("/{run_id}/retry")
def retry(run_id: int, context: ContextDep, key: Key = None) -> s.RunDetail:
    """Next attempt of a failed or cancelled run, from the start."""
    return _start_again(run_id, context, key, resume=False)


@router.post("/{run_id}/rescore")
def rescore(run_id: int, context: ContextDep, key: Key = None) -> s.RunDetail:
    """Score a finished evaluation's answers with the newest version of the scorer, beside the scores that it has."""
    # takes a second or two: not in the writer's transaction
    with scoring.one_at_a_time(), context.database.read() as session:
        new_scores = scoring.rescored(session, evaluation(session, run_id))
    around = context.look_around_first(ask_broker=False)
    with context.database.write() as session:

        def make() -> s.RunDetail:
            run = runs.get(session, run_id)
            scoring.store(session, run, new_scores, at=context.clock())
            return views.run_detail(session, run, around)

        return once(session, key, f"POST /runs/{run_id}/rescore", {}, s.RunDetail, make, at=context.clock())


@router.delete("/{run_id}")
def delete(
    run_id: int,
    context: ContextDep,
    confirm: Annotated[Flag, Query(description="Without it only what would go is told.")] = False,
) -> s.DeletePreview:
    """Delete an ended run with its files."""
    paths = context.deleter.paths_of(run_id)
    names = [str(path.relative_to(context.home)) for path in paths]
    size = size_of(paths)
    left = context.deleter.delete(run_id) if confirm else []
    return s.DeletePreview(run_id=run_id, paths=names, size_bytes=size, deleted=confirm, left=left)


@router.get("/{run_id}/metrics")
def metrics(
    run_id: int,
    context: ContextDep,
    name: str | None = None,
    since: Annotated[int | None, Query(description="Only later steps.")] = None,
    until: Annotated[int | None, Query(description="Only steps up to this one.")] = None,
    max_points: Annotated[int, Query(ge=2, le=10_000)] = 2000,
    attempt: Annotated[
        int | None, Query(ge=1, lt=2**31, description="Only what this attempt reported; empty for all joined.")
    ] = None,
) -> s.MetricsOut:
    """Metrics, downsampled."""
    with context.database.read() as session:
        runs.get(session, run_id)
        found = series.metrics(
            session, run_id, name=name, since=since, until=until, max_points=max_points, attempt=attempt
        )
    return s.MetricsOut(series=found)


@router.get("/{run_id}/log")
def log(
    run_id: int,
    context: ContextDep,
    attempt: int | None = None,
    offset: Annotated[int | None, Query(ge=0, description="First byte; empty for the end of the log.")] = None,
    limit: Annotated[int, Query(ge=1, le=4 * 2**20)] = 65536,
) -> s.LogOut:
    """A piece of the log by byte offset."""
    return logs.piece(_log(context, run_id, attempt), offset=offset, limit=limit)


@router.get("/{run_id}/log/lines")
def log_lines(
    run_id: int,
    context: ContextDep,
    attempt: int | None = None,
    text: Text = None,
    level: s.LogLevel | None = None,
    offset: Annotated[int, Query(ge=0, lt=2**63, description="Byte at which the search begins.")] = 0,
    limit: Limit = 100,
) -> s.LogLines:
    """Lines of the log that hold a text or are of a level; a search reads 8 MB at most and says where to go on."""
    return logs.lines(_log(context, run_id, attempt), text=text, level=level, offset=offset, limit=limit)


@router.get("/{run_id}/answers")
def answers(
    run_id: int,
    context: ContextDep,
    show: Literal["all", "right", "wrong", "truncated", "no_box"] = "all",
    text: Text = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    newest: Annotated[Flag, Query(description="From the last question to the first.")] = False,
    scorer_version: Annotated[
        int | None, Query(ge=1, lt=2**31, description="Whose scores to show; empty for the newest version's.")
    ] = None,
) -> s.AnswersOut:
    """Answers, question by question."""
    with context.database.read() as session:
        run = runs.get(session, run_id)
        return reading.answers(
            session, run, show=show, text=text, cursor=cursor, limit=limit, newest=newest, version=scorer_version
        )


@router.get("/{run_id}/rollouts")
def rollouts(
    run_id: int,
    context: ContextDep,
    show: s.RolloutFilter = "all",
    step: Annotated[int | None, Query(description="Whose groups to send; empty for the page's first step.")] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most steps.")] = 200,
    newest: Annotated[Flag, Query(description="From the last step to the first.")] = False,
) -> s.RolloutsOut:
    """What a training from rewards had its model say: steps in short, and the groups of one of them in full."""
    with context.database.read() as session:
        run = runs.get(session, run_id)
        return rollout_views.rollouts(session, run, show=show, step=step, cursor=cursor, limit=limit, newest=newest)


@router.get("/{run_id}/events")
def events(
    run_id: int,
    context: ContextDep,
    cursor: Cursor = None,
    limit: Limit = 200,
    newest: Annotated[Flag, Query(description="From the newest entry back.")] = False,
) -> s.RunEventList:
    """The run's history: every change of status with its cause and actor."""
    with context.database.read() as session:
        runs.get(session, run_id)
        return reading.history(session, run_id, cursor=cursor, limit=limit, newest=newest)


def _start_again(run_id: int, context: Context, key: str | None, *, resume: bool) -> s.RunDetail:
    around = context.look_around_first()
    with context.database.write() as session:

        def make() -> s.RunDetail:
            run = runs.get(session, run_id)
            retries = context.settings.max_retries
            runs.start_again(session, run, resume=resume, at=context.clock(), retries=retries)
            return views.run_detail(session, run, around)

        route = f"POST /runs/{run_id}/{'resume' if resume else 'retry'}"
        reply = once(session, key, route, {}, s.RunDetail, make, at=context.clock())
    context.doorbell.ring()
    return reply


def _log(context: Context, run_id: int, attempt: int | None) -> logs.Log:
    with context.database.read() as session:
        runs.get(session, run_id)
        return logs.log_of(session, run_id, context.log_path, attempt)
