"""Sessions as workers hold them: claimed where no run wants the slot, and ended when they are to give way."""

import hmac
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from sqlmodel import Session, col, select

from backend.api.schemas import ClaimRequest, FinishRequest, SessionBeatReply, TryEnd, TryStatus
from backend.errors import LARGEST_INTEGER, Stale, Unauthorized
from backend.services import fit, openings, try_sessions
from backend.services.claim import hash_token, may_take, paused, queued
from backend.services.ingest import expect_offset, warn_of, whole_lines
from backend.services.machines import Patience, busy_slots, name_of, slots_of
from backend.services.try_columns import plan_of
from backend.services.try_sessions import HELD
from backend.store.db import Database
from backend.store.models import TryAnswer, TrySession, Worker
from memgen.contract import events as ev
from memgen.contract.config import stored_config
from memgen.contract.errors import BadInput, first_error
from memgen.contract.numbers import sendable
from memgen.contract.planner.placement import Placement, place
from memgen.contract.service_files import try_dir
from memgen.contract.status import StopMode
from memgen.contract.trying import (
    Answered,
    Change,
    Grown,
    Loaded,
    SessionEvent,
    TryQuestion,
    Unanswered,
    read_session_event,
)

GIVE_WAY_SECONDS = 5.0
"""A run that has been queued for so long is one that no free slot takes: a session gives way to it."""
LOOK_SECONDS = 2.0
"""Between two beats that extend the lease and look at the queue; those in between only bring questions."""
MOST_QUEUED = 20
"""Runs of the queue that are looked at."""
MOST_TEXT = 200_000
"""Characters of an answer."""


@dataclass(frozen=True)
class TryTimes:
    """Seconds after which a session ends by itself."""

    idle: float
    """Since the last question or answer."""
    absent: float
    """Since somebody last looked."""


@dataclass(frozen=True)
class SessionClaim:
    """A session that a slot has got."""

    one: TrySession
    token: str
    """What its supervisor reports with; only a hash of it is stored."""
    placement: Placement


def claim(session: Session, request: ClaimRequest, patience: Patience, *, at: float) -> SessionClaim | None:
    """Give the oldest waiting session that fits to a slot that no run wants."""
    chosen = _choose(session, request, patience, at)
    if chosen is None:
        return None
    one, placement = chosen
    token = secrets.token_urlsafe(24)
    one.status, one.token_hash, one.claimed_at, one.used_at = TryStatus.LOADING, hash_token(token), at, at
    one.lease_until = at + patience.lease
    one.host = name_of(session, request.host, request.boot_id, patience, at)
    one.slot, one.device = request.slot.name, request.slot.device
    one.slot_memory = request.slot.device_memory
    try_sessions.changed(session, one)
    return SessionClaim(one, token, placement)


def has_work(session: Session, request: ClaimRequest, patience: Patience, *, at: float) -> bool:
    """Whether `claim` would give a slot something now."""
    return _choose(session, request, patience, at) is not None


def something_waits(session: Session) -> bool:
    """Whether a session waits for a slot."""
    waiting = col(TrySession.status) == TryStatus.QUEUED
    return not paused(session) and session.exec(select(TrySession.id).where(waiting).limit(1)).first() is not None


def _choose(
    session: Session, request: ClaimRequest, patience: Patience, at: float
) -> tuple[TrySession, Placement] | None:
    if not may_take(session, request, patience, at):
        return None
    waiting = select(TrySession).where(col(TrySession.status) == TryStatus.QUEUED).order_by(col(TrySession.id))
    for one in session.exec(waiting):
        placement = place_session(session, one, request.slot.device, request.free_device_memory)
        if placement is not None:
            return one, placement
    return None


def place_session(session: Session, one: TrySession, device: str, memory: list[int]) -> Placement | None:
    """How a session is placed on a slot; `parallel` if its preset is gone (its trainer will say so)."""
    try:
        return place(plan_of(session, [stored_config(column) for column in one.columns], device), memory)
    except BadInput:
        return "parallel"


def session_of(session: Session, session_id: int, token: str) -> TrySession:
    """The session that this token speaks for, ended or not.

    Raises:
        Unauthorized: `wrong_token`, whether the session is another's or never was.
    """
    one = session.get(TrySession, session_id) if abs(session_id) <= LARGEST_INTEGER else None
    stored = (one.token_hash if one is not None else None) or ""
    if one is None or not hmac.compare_digest(stored, hash_token(token)):
        raise Unauthorized(
            "wrong_token",
            "the token belongs to another session",
            field="Authorization",
            way_out="Use the token that the claim gave; a session that was forgotten takes no reports.",
        )
    return one


def authorize(session: Session, session_id: int, token: str) -> TrySession:
    """The session that is held with this token.

    Raises:
        Unauthorized: `wrong_token`.
        Stale: it has ended.
    """
    one = session_of(session, session_id, token)
    if one.status not in HELD:
        raise Stale(f"session {one.id} is {one.status}")
    return one


def glance(session: Session, one: TrySession, *, at: float, lease: float) -> SessionBeatReply | None:
    """The reply to a beat where nothing is to be stored, as one came a moment ago; None where `beat` is due."""
    since = at + lease - (one.lease_until or 0.0)
    return _reply(session, one) if 0 <= since < LOOK_SECONDS else None


def beat(session: Session, one: TrySession, times: TryTimes, *, at: float, lease: float) -> SessionBeatReply:
    """Extend the lease, and say what is to be answered and whether the session is to end."""
    one.lease_until = at + lease
    session.add(one)
    if one.stop_mode is None:
        _end_if_unneeded(session, one, times, at)
    return _reply(session, one)


def _reply(session: Session, one: TrySession) -> SessionBeatReply:
    asked = [] if one.stop_mode else try_sessions.open_questions(session, one.id)
    return SessionBeatReply(
        stop=StopMode(one.stop_mode) if one.stop_mode else None,
        questions=[
            TryQuestion(
                number=row.number,
                question=row.question,
                solution=row.solution,
                column=row.place,
                change=None if row.change is None else Change.model_validate(row.change),
            )
            for row in asked
        ],
    )


def _end_if_unneeded(session: Session, one: TrySession, times: TryTimes, at: float) -> None:
    if at - one.seen_at > times.absent:
        try_sessions.close(session, one, TryEnd.LEFT, at=at)
    elif at - one.used_at > times.idle and not try_sessions.open_questions(session, one.id):
        try_sessions.close(session, one, TryEnd.IDLE, at=at)
    elif (run_id := _run_that_waits(session, one, at)) is not None:
        try_sessions.close(session, one, TryEnd.GAVE_WAY, at=at, gives_way_to=run_id)


def _run_that_waits(session: Session, one: TrySession, at: float) -> int | None:
    """The first queued run that could use a session's slot, and for which no other session ends."""
    if paused(session):
        return None
    ending = select(TrySession.gives_way_to).where(col(TrySession.status).in_(HELD))
    served = set(session.exec(ending))
    room = _room_after(session, one)
    for attempt, run in queued(session, MOST_QUEUED):
        ready_at = max(attempt.not_before, attempt.created_at)
        if run.id in served or at - ready_at < GIVE_WAY_SECONDS:
            continue
        if any(fit.place_run(session, run, device, memory) is not None for device, memory in room):
            return run.id
    return None


def _room_after(session: Session, one: TrySession) -> list[tuple[str, list[int]]]:
    """Device and memory of each slot that could take a run once a session has ended.

    That is its own one; where its machine works on as much as it may, any other that is free there, too.
    """
    place = one.device or "cpu", one.slot_memory
    worker = session.get(Worker, one.host) if one.host is not None else None
    if worker is None:
        return [place]
    closed = openings.closed_slots(session, [worker])
    room = [] if (worker.host, one.slot or "") in closed else [place]
    if openings.full_machines(session, [worker]):
        taken = {*closed, *busy_slots(session), (worker.host, one.slot)}
        others = [slot for slot in slots_of(worker) if (worker.host, slot.name) not in taken and slot.sick is None]
        room += [(slot.device, slot.device_memory) for slot in others]
    return room


def take_events(session: Session, one: TrySession, offset: int, data: bytes, *, at: float) -> int:
    """Store whole lines of the events file; returns the offset after the last one."""
    expect_offset(one.events_offset, offset)
    lines, size = whole_lines(data)
    skipped: list[str] = []
    for line in lines:
        try:
            event = read_session_event(line)
        except ValidationError as error:
            skipped.append(first_error(error))
            continue
        _take_event(session, one, event, at)
    warn_of(skipped, f"session {one.id}", "events")
    one.events_offset = offset + size
    if lines:
        try_sessions.changed(session, one)
    session.add(one)
    return one.events_offset


def _take_event(session: Session, one: TrySession, event: SessionEvent, at: float) -> None:
    match event:
        case ev.Phase():
            one.phase, one.phase_detail = event.name, event.detail
            one.progress_done = one.progress_total = None
        case ev.Progress():
            one.progress_done, one.progress_total, one.progress_unit = event.done, event.total, event.unit
        case Loaded():
            if one.status == TryStatus.LOADING:
                one.status, one.loaded_at = TryStatus.READY, at
            one.used_at = at
        case Grown() | Answered() | Unanswered():
            one.used_at = at
            row = session.get(TryAnswer, (one.id, event.question, event.column))
            if row is not None and row.status in try_sessions.OPEN_ANSWERS:
                _take_answer(row, event)
                session.add(row)
        case _:
            pass  # a failure comes again with the end


def _take_answer(row: TryAnswer, event: Grown | Answered | Unanswered) -> None:
    match event:
        case Grown():
            row.status, row.tokens = "answering", event.tokens
            row.text = sendable(row.text[: event.start] + event.text)[:MOST_TEXT]
            row.points = [point.model_dump() for point in event.points]
            row.ltpo = None if event.ltpo is None else [trace.model_dump() for trace in event.ltpo]
        case Answered():
            record = event.record
            row.status, row.tokens, row.text = "answered", record.completion_tokens, sendable(record.completion)
            row.points = [point.model_dump() for point in event.points]
            row.ltpo = None if record.ltpo is None else [trace.model_dump() for trace in record.ltpo]
            row.record, row.extracted = record.model_dump_json(), event.extracted
            row.first_token_seconds = event.first_token_seconds
        case Unanswered():
            row.status, row.failure = "failed", event.problem


def finish(session: Session, one: TrySession, request: FinishRequest, *, at: float) -> None:
    """The trainer of a session has ended."""
    if request.outcome == "failed":
        one.reason, one.failure, one.traceback = TryEnd.FAILED, request.failure, request.traceback
    elif one.reason is None:
        one.reason = TryEnd.STOPPED
    try_sessions.ended(session, one, at=at)


def judge(session: Session, one: TrySession, times: TryTimes, *, at: float) -> None:
    """End a session that nobody holds any more, or that waits and nobody looks at."""
    if one.status == TryStatus.QUEUED:
        if at - one.seen_at > times.absent:
            try_sessions.close(session, one, TryEnd.LEFT, at=at)
    elif one.lease_until is not None and one.lease_until < at:
        one.reason = one.reason or TryEnd.LOST
        one.detail = f"last heard of on {one.host}, slot {one.slot}"
        try_sessions.ended(session, one, at=at)


def living(session: Session) -> list[TrySession]:
    """Sessions that have not ended."""
    return list(session.exec(select(TrySession).where(col(TrySession.status) != TryStatus.ENDED)))


def sweep(database: Database, home: Path) -> None:
    """Remove folders of sessions that have ended."""
    folder = try_dir(home)
    found = list(folder.iterdir()) if folder.is_dir() else []
    if not found:
        return
    with database.read() as session:  # after the look: a session that begins meanwhile keeps its folder
        alive = {str(one.id) for one in living(session)}
    for path in found:
        if path.name not in alive:
            shutil.rmtree(path, ignore_errors=True)
