"""Sessions in which checkpoints are tried out, as the API shows them."""

from collections import defaultdict
from dataclasses import dataclass

from sqlmodel import Session, select

from backend.api import schemas as s
from backend.services import try_sessions
from backend.services.claim import paused
from backend.services.machines import slots_of
from backend.services.openings import closed_slots
from backend.services.surroundings import Surroundings
from backend.services.try_work import place_session
from backend.store.models import TryAnswer, TryAsked, TrySession, Worker
from backend.views.times import when
from memgen.contract.answers import AnswerRecord, LtpoTrace
from memgen.contract.config import stored_config
from memgen.contract.rollouts import Decided
from memgen.contract.trying import Change


@dataclass(frozen=True)
class Around:
    """What a reply about sessions depends on beside them."""

    surroundings: Surroundings
    idle_seconds: float


def session_out(session: Session, one: TrySession, around: Around) -> s.TrySessionOut:
    """A session in short."""
    status = s.TryStatus(one.status)
    if status is not s.TryStatus.ENDED and one.stop_mode is not None:
        status = s.TryStatus.ENDING
    return s.TrySessionOut(
        id=one.id,
        note=one.note,
        preset=one.preset,
        columns=[_column(place, config) for place, config in enumerate(one.columns)],
        status=status,
        end=s.TryEnd(one.reason) if one.reason else None,
        says=_says(session, one, status, around.surroundings),
        gives_way_to=one.gives_way_to,
        failure=one.failure,
        traceback=one.traceback,
        created_at=when(one.created_at),
        loaded_at=when(one.loaded_at),
        ended_at=when(one.ended_at),
        idle_seconds_left=_idle_seconds_left(session, one, status, around),
        worker=one.host,
        slot=one.slot,
        kept=one.kept,
        num_asked=try_sessions.num_asked(session, one.id),
        version=one.version,
    )


def session_detail(session: Session, one: TrySession, around: Around) -> s.TrySessionDetail:
    """A session with its questions."""
    answers: defaultdict[int, list[s.TryAnswerOut]] = defaultdict(list)
    for row in try_sessions.answers_of(session, one.id):
        answers[row.number].append(_answer(row))
    asked = [_asked(row, answers[row.number]) for row in try_sessions.asked_of(session, one.id)]
    return s.TrySessionDetail(**dict(session_out(session, one, around)), asked=asked)


def _column(place: int, config: dict[str, object]) -> s.TryColumnOut:
    checkpoint = str(config.get("checkpoint") or "")
    label = stored_config(config).measured
    return s.TryColumnOut(
        place=place, label=label, checkpoint=int(checkpoint) if checkpoint.isdecimal() else None, config=config
    )


def _asked(row: TryAsked, answers: list[s.TryAnswerOut]) -> s.TryAskedOut:
    return s.TryAskedOut(
        number=row.number,
        question=row.question,
        solution=row.solution,
        column=row.place,
        change=None if row.change is None else Change.model_validate(row.change),
        asked_at=when(row.asked_at),
        answers=answers,
    )


def _answer(row: TryAnswer) -> s.TryAnswerOut:
    return s.TryAnswerOut(
        place=row.place,
        status=row.status,
        text=row.text,
        tokens=row.tokens,
        points=[Decided.model_validate(point) for point in row.points],
        ltpo=None if row.ltpo is None else [LtpoTrace.model_validate(trace) for trace in row.ltpo],
        record=None if row.record is None else AnswerRecord.model_validate_json(row.record),
        extracted=row.extracted,
        first_token_seconds=row.first_token_seconds,
        failure=row.failure,
    )


def _idle_seconds_left(session: Session, one: TrySession, status: s.TryStatus, around: Around) -> float | None:
    if status is not s.TryStatus.READY or try_sessions.open_questions(session, one.id):
        return None
    return max(0.0, one.used_at + around.idle_seconds - around.surroundings.at)


def _says(session: Session, one: TrySession, status: s.TryStatus, around: Surroundings) -> str:
    match status:
        case s.TryStatus.QUEUED:
            return _why_waiting(session, one, around)
        case s.TryStatus.LOADING:
            return _how_far(one)
        case s.TryStatus.READY:
            return "Ready: its columns are loaded."
        case s.TryStatus.ENDING:
            return f"{_reason(one)} It ends after the answer under way."
    return _reason(one)


def _reason(one: TrySession) -> str:
    end = s.TryEnd(one.reason) if one.reason else s.TryEnd.STOPPED
    if end is s.TryEnd.GAVE_WAY:
        return f"Run {one.gives_way_to} needs its slot."
    if end is s.TryEnd.FAILED and one.failure is not None:
        return f"{s.END_TEXT[end][:-1]}: {one.failure.message}"
    return s.END_TEXT[end]


def _how_far(one: TrySession) -> str:
    if one.progress_total and one.progress_done is not None:
        done = f"{one.progress_done:,.0f} of {one.progress_total:,.0f} {one.progress_unit}"
        return f"Starting: {one.phase or 'load'}, {done}."
    return f"Starting: {one.phase or 'its trainer'}."


def _why_waiting(session: Session, one: TrySession, around: Surroundings) -> str:
    if paused(session):
        return "The queue is paused."
    workers = [worker for worker in session.exec(select(Worker)) if around.is_alive(worker)]
    slots = [(worker, slot) for worker in workers for slot in slots_of(worker)]
    if not slots:
        return "No worker is alive. Start one with `make up`."
    fitting = [(w, slot) for w, slot in slots if place_session(session, one, slot.device, slot.device_memory)]
    if not fitting:
        return "No slot has the memory that its columns need. Choose a smaller model, or fewer columns."
    closed = closed_slots(session, workers)
    given = [slot for worker, slot in fitting if (worker.host, slot.name) not in closed]
    if not given:
        return "Every slot that could hold it is drained or of another version; the queue page says why."
    if all(slot.sick is not None for slot in given):
        return "Every slot that could hold it is sick; the queue page says why."
    return "Waits for a slot that no run needs."
