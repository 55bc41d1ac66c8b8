"""Data sets: list them, send rows, look at them, register, delete."""

import os
import shutil
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, status
from starlette.concurrency import run_in_threadpool

from backend.api import schemas as s
from backend.http.auth import require_user
from backend.http.context import ContextDep
from backend.http.routes.parameters import Cursor, Flag, Key, Text
from backend.http.routes.route import Route
from backend.services import data_sets
from backend.services.idempotency import once, replayed
from backend.services.uploads import Upload, forget
from backend.views.data_sets import data_set_detail, data_set_list
from backend.views.data_sets import questions as question_page
from memgen.contract.data_sets.hub_rows import allowed_repositories
from memgen.contract.data_sets.record import Split
from memgen.contract.data_sets.report import Report
from memgen.data.registered.files import allowed_files, allowed_folders

router = APIRouter(route_class=Route, prefix="/data-sets", dependencies=[Depends(require_user)], tags=["data sets"])
Name = Annotated[str, Path(max_length=60, description="Name of a data set, with its version.")]
Page = Annotated[int, Query(ge=1, le=100)]
PIECE = 2**20  # bytes that are written at once
_BODY = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}, "required": True}


@router.get("")
def list_data_sets(context: ContextDep) -> s.DataSetList:
    """Data sets that runs can use, and those that can't be used."""
    return data_set_list(context.settings)


@router.get("/files")
def files(context: ContextDep) -> s.DataFiles:
    """Files of this machine and data sets of the hub that the operator lets users name, and the limit of uploads."""
    return s.DataFiles(
        paths=allowed_files(allowed_folders(os.environ)),
        hub=allowed_repositories(os.environ),
        most_bytes=context.settings.upload_bytes,
    )


@router.post("/uploads", status_code=status.HTTP_201_CREATED, openapi_extra={"requestBody": _BODY})
async def upload(
    request: Request,
    name: Annotated[str, Query(max_length=300, description="Name of the file; of rows its ending says the format.")],
    context: ContextDep,
) -> s.UploadOut:
    """Send a file of rows or of a checkpoint as the body. It goes to the disk as it comes; one that is cut off leaves
    nothing."""
    length = request.headers.get("content-length", "")
    expected = int(length[:20]) if length.isdecimal() else 0
    with await run_in_threadpool(Upload, context.home, name, expected) as receiving:
        waiting: list[bytes] = []
        async for piece in request.stream():
            waiting.append(piece)
            if sum(map(len, waiting)) >= PIECE:
                await run_in_threadpool(receiving.add, b"".join(waiting))
                waiting.clear()
        await run_in_threadpool(receiving.add, b"".join(waiting))
        return await run_in_threadpool(receiving.keep)


@router.post("/preview")
def preview(body: s.DataSetCheck, context: ContextDep) -> Report:
    """What is right and wrong with rows, how a model will see them, and how their gold answers score. Keeps nothing."""
    return data_sets.look(body.files, body.registration, context.settings)


@router.post("", status_code=status.HTTP_201_CREATED)
def register(body: s.DataSetCreate, context: ContextDep, key: Key = None) -> Report:
    """Register rows as a data set. The same rows again are the data set that is there; others are a new version."""
    route, sent = "POST /data-sets", body.model_dump(mode="json")
    with context.database.read() as session:
        known = replayed(session, key, route, sent, Report)
    if known is not None:
        return known
    # takes seconds or minutes: not in the writer's transaction
    report = data_sets.look(body.files, body.registration, context.settings, keep=True)
    with context.database.write() as session:
        once(session, key, route, sent, Report, lambda: report, at=context.clock())
    for file in body.files:
        if file.upload is not None:
            forget(context.home, file.upload)
    return report


@router.get("/{name}")
def get(name: Name, context: ContextDep) -> s.DataSetDetail:
    """One data set."""
    with context.database.read() as session:
        return data_set_detail(session, name, context.settings)


@router.get("/{name}/questions")
def questions(
    name: Name, context: ContextDep, split: Split = "test", text: Text = None, cursor: Cursor = None, limit: Page = 20
) -> s.QuestionList:
    """Questions of a data set with their solutions, in the order in which evaluations answer them."""
    return question_page(name, split, text=text, cursor=cursor, limit=limit, settings=context.settings)


@router.delete("/{name}")
def delete(
    name: Name,
    context: ContextDep,
    confirm: Annotated[Flag, Query(description="Without it only what would go is told.")] = False,
) -> s.DataSetDeletion:
    """Delete a registered data set. Runs that used it stay; while one has not ended it is refused."""
    with context.database.read() as session:
        deletion = data_sets.deletion(session, name, context.home)
    if not confirm:
        return deletion
    with context.database.write() as session:
        gone = data_sets.delete(session, name, context.home)
    shutil.rmtree(gone, ignore_errors=True)
    return deletion.model_copy(update={"deleted": True})
