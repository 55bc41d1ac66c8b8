"""Tags and the archive: many runs or pipelines at once; what would happen is told before it is confirmed."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter, Depends
from sqlmodel import Session

from backend.api import schemas as s
from backend.http.auth import require_user
from backend.http.context import Context, ContextDep
from backend.http.routes.parameters import Key
from backend.http.routes.route import Route
from backend.services import archiving, tags
from backend.services.idempotency import once
from backend.views.bulk import changed_pipelines, changed_runs

router = APIRouter(route_class=Route, dependencies=[Depends(require_user)], tags=["tags and archive"])
Outcomes = Mapping[int, tags.Outcome]


@router.get("/tags")
def list_tags(context: ContextDep) -> s.TagList:
    """Every tag in use, by its name."""
    with context.database.read() as session:
        return s.TagList(items=[s.TagOut(**vars(one)) for one in tags.known_tags(session)])


@router.post("/runs/tags")
def tag_runs(body: s.RunTags, context: ContextDep, key: Key = None) -> s.BulkOut:
    """Give tags to up to 200 runs or take some from them, and set the group that they are listed and drawn with."""
    change = tags.checked(body.add, body.remove, body.group)
    return _runs(
        context, "POST /runs/tags", body, key,
        lambda session, numbers: tags.tag_runs(session, numbers, change, confirm=body.confirm),
    )  # fmt: skip


@router.post("/runs/archive")
def archive_runs(body: s.RunArchive, context: ContextDep, key: Key = None) -> s.BulkOut:
    """Put up to 200 ended runs into the archive, which lists leave out, or take them out of it."""
    at = context.clock()
    return _runs(
        context, "POST /runs/archive", body, key,
        lambda session, numbers: archiving.archive_runs(
            session, numbers, archived=body.archived, confirm=body.confirm, at=at
        ),
    )  # fmt: skip


@router.post("/pipelines/tags")
def tag_pipelines(body: s.PipelineTags, context: ContextDep, key: Key = None) -> s.PipelinesOut:
    """Give tags to up to 200 pipelines, or take some from them."""
    change = tags.checked(body.add, body.remove)
    return _pipelines(
        context, "POST /pipelines/tags", body, key,
        lambda session, numbers: tags.tag_pipelines(session, numbers, change, confirm=body.confirm),
    )  # fmt: skip


@router.post("/pipelines/archive")
def archive_pipelines(body: s.PipelineArchive, context: ContextDep, key: Key = None) -> s.PipelinesOut:
    """Put up to 200 ended pipelines with their runs into the archive, or take them out of it."""
    at = context.clock()
    return _pipelines(
        context, "POST /pipelines/archive", body, key,
        lambda session, numbers: archiving.archive_pipelines(
            session, numbers, archived=body.archived, confirm=body.confirm, at=at
        ),
    )  # fmt: skip


Act = Callable[[Session, list[int]], Outcomes]


def _runs(context: Context, route: str, body: s.RunTags | s.RunArchive, key: str | None, act: Act) -> s.BulkOut:
    numbers = list(dict.fromkeys(body.runs))
    if not body.confirm:
        with context.database.read() as session:
            return changed_runs(session, act(session, numbers), confirmed=False)
    with context.database.write() as session:

        def make() -> s.BulkOut:
            return changed_runs(session, act(session, numbers), confirmed=True)

        return once(session, key, route, body.model_dump(mode="json"), s.BulkOut, make, at=context.clock())


def _pipelines(
    context: Context, route: str, body: s.PipelineTags | s.PipelineArchive, key: str | None, act: Act
) -> s.PipelinesOut:
    numbers = list(dict.fromkeys(body.pipelines))
    if not body.confirm:
        with context.database.read() as session:
            return changed_pipelines(act(session, numbers), confirmed=False)
    with context.database.write() as session:

        def make() -> s.PipelinesOut:
            return changed_pipelines(act(session, numbers), confirmed=True)

        return once(session, key, route, body.model_dump(mode="json"), s.PipelinesOut, make, at=context.clock())
