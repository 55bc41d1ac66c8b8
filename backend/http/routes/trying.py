"""Trying checkpoints out: sessions are opened, asked, followed, closed and kept."""

import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

import anyio
from anyio import to_thread
from fastapi import APIRouter, Depends, Query, status
from fastapi.responses import StreamingResponse

from backend.api import schemas as s
from backend.http.auth import require_user
from backend.http.context import Context, ContextDep
from backend.http.routes.parameters import Key
from backend.http.routes.route import Route
from backend.services import try_columns, try_data_set, try_sessions
from backend.services.checkpoints import check_files
from backend.services.idempotency import once, replayed
from backend.store.models import Checkpoint
from backend.views import try_sessions as view

router = APIRouter(route_class=Route, prefix="/try", dependencies=[Depends(require_user)], tags=["try"])
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events, each a session with the questions that have changed.",
        "content": {"text/event-stream": {}},
    }
}
LOOK_SECONDS = 0.2  # between two looks for something to tell
SILENT_SECONDS = 15.0  # until a line says that the stream still lives
LONGEST_SECONDS = 3600.0  # of a stream; its client asks again


def _around(context: Context) -> view.Around:
    return view.Around(context.look_around(), context.settings.try_idle_seconds)


@router.post("", status_code=status.HTTP_201_CREATED)
def open_session(body: s.TryCreate, context: ContextDep, key: Key = None) -> s.TrySessionDetail:
    """Open a session: its columns are loaded as soon as a slot is free that no run needs."""
    route, data = "POST /try", body.model_dump()
    with context.database.read() as session:
        known = replayed(session, key, route, data, s.TrySessionDetail)
        if known is not None:
            return known
        columns = try_columns.wanted(session, body.columns, body.checkpoint, body.shared, context.home)
        chosen = try_columns.check_columns(session, columns, context.home)
        stored = [session.get_one(Checkpoint, int(number)) for number in chosen.checkpoints]
    for one in stored:
        check_files(one, context.home)
    chosen = try_columns.pin_columns(chosen)
    with context.database.write() as session:

        def make() -> s.TrySessionDetail:
            one = try_sessions.open_session(
                session, chosen, body.note, at=context.clock(), most=context.settings.try_sessions
            )
            return view.session_detail(session, one, _around(context))

        reply = once(session, key, route, data, s.TrySessionDetail, make, at=context.clock())
    context.doorbell.ring()
    return reply


@router.get("")
def list_sessions(context: ContextDep, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> s.TrySessionList:
    """The newest sessions; those that nobody keeps are forgotten a day after their end."""
    with context.database.read() as session:
        rows = try_sessions.list_sessions(session, limit=limit)
        return s.TrySessionList(items=[view.session_out(session, one, _around(context)) for one in rows])


@router.get("/{session_id}")
def get(session_id: int, context: ContextDep) -> s.TrySessionDetail:
    """One session with its questions; whoever looks keeps it from ending."""
    return _looked_at(context, session_id)


@router.post("/{session_id}/questions", status_code=status.HTTP_201_CREATED)
def ask(session_id: int, body: s.TryAsk, context: ContextDep, key: Key = None) -> s.TrySessionDetail:
    """Ask all columns a question, or one of them with a change."""
    with context.database.write() as session:

        def make() -> s.TrySessionDetail:
            one = try_sessions.get(session, session_id)
            try_sessions.ask(session, one, body, at=context.clock())
            session.flush()
            return view.session_detail(session, one, _around(context))

        route = f"POST /try/{session_id}/questions"
        return once(session, key, route, body.model_dump(), s.TrySessionDetail, make, at=context.clock())


@router.post("/{session_id}/stop")
def close(session_id: int, context: ContextDep, key: Key = None) -> s.TrySessionDetail:
    """Let a session end after the answer under way."""
    with context.database.write() as session:

        def make() -> s.TrySessionDetail:
            one = try_sessions.get(session, session_id)
            try_sessions.close(session, one, s.TryEnd.CLOSED, at=context.clock())
            session.flush()
            return view.session_detail(session, one, _around(context))

        return once(session, key, f"POST /try/{session_id}/stop", {}, s.TrySessionDetail, make, at=context.clock())


@router.post("/{session_id}/keep")
def keep(session_id: int, body: s.TryKeep, context: ContextDep, key: Key = None) -> s.TrySessionDetail:
    """Keep a session as a record after its end, or not."""
    with context.database.write() as session:

        def make() -> s.TrySessionDetail:
            one = try_sessions.get(session, session_id)
            try_sessions.keep(session, one, body.kept)
            session.flush()
            return view.session_detail(session, one, _around(context))

        route = f"POST /try/{session_id}/keep"
        return once(session, key, route, body.model_dump(), s.TrySessionDetail, make, at=context.clock())


@router.post("/{session_id}/data-set", status_code=status.HTTP_201_CREATED)
def make_data_set(session_id: int, body: s.TryDataSet, context: ContextDep, key: Key = None) -> s.TryDataSetOut:
    """Register questions of a session as a data set, all of them in its test split."""
    route, sent = f"POST /try/{session_id}/data-set", body.model_dump(mode="json")
    with context.database.read() as session:
        known = replayed(session, key, route, sent, s.TryDataSetOut)
        if known is not None:
            return known
        collected = try_data_set.collect(session, try_sessions.get(session, session_id), body)
    reply = try_data_set.register(collected, context.settings)  # takes seconds: not in the writer's transaction
    with context.database.write() as session:
        return once(session, key, route, sent, s.TryDataSetOut, lambda: reply, at=context.clock())


@router.get("/{session_id}/stream", response_class=StreamingResponse, responses=EVENTS)
def stream(session_id: int, context: ContextDep) -> StreamingResponse:
    """Follow a session until it has ended: first all of it, then what changes."""
    first = _looked_at(context, session_id)
    return StreamingResponse(
        _changes(context, first), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


async def _changes(context: Context, first: s.TrySessionDetail) -> AsyncIterator[str]:
    """A session as events: with each change what is new of it."""
    told: dict[int, s.TryAskedOut] = {}
    now, version, told_at, until = first, -1, time.monotonic(), time.monotonic() + LONGEST_SECONDS
    while True:
        if now.version != version:
            news = [one for one in now.asked if told.get(one.number) != one]
            told |= {one.number: one for one in news}
            version, told_at = now.version, time.monotonic()
            yield _event(now.model_copy(update={"asked": news}))
        elif time.monotonic() - told_at > SILENT_SECONDS:
            told_at = time.monotonic()
            yield ": nothing new\n\n"
        if now.status is s.TryStatus.ENDED or time.monotonic() > until:
            return
        await anyio.sleep(LOOK_SECONDS)
        now = await to_thread.run_sync(_looked_at, context, first.id)


def _event(detail: s.TrySessionDetail) -> str:
    return f"event: session\ndata: {json.dumps(detail.model_dump(mode='json'))}\n\n"


def _looked_at(context: Context, session_id: int) -> s.TrySessionDetail:
    with context.database.read() as session:
        one = try_sessions.get(session, session_id)
        unseen = try_sessions.is_unseen(one, at=context.clock(), absent=context.settings.try_absent_seconds)
        detail = view.session_detail(session, one, _around(context))
    if unseen:
        with context.database.write() as session:
            try_sessions.note_seen(session, try_sessions.get(session, session_id), at=context.clock())
    return detail
