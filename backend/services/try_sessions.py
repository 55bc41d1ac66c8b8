"""Sessions in which checkpoints are tried out, as users see them: opened, asked, closed, kept, forgotten.

A session is no run: nothing of it is measured, resumed or compared, and any run that needs its slot ends it. What
workers do with it is in `try_work`.
"""

from collections.abc import Sequence

from sqlalchemy import delete as sql_delete
from sqlmodel import Session, col, func, select

from backend.api.schemas import TryAsk, TryEnd, TryStatus
from backend.errors import LARGEST_INTEGER, Conflict, NotFound
from backend.services.try_columns import Chosen
from backend.store.models import TryAnswer, TryAsked, TrySession
from memgen.contract.errors import BadInput
from memgen.contract.problem import Problem
from memgen.contract.status import StopMode
from memgen.contract.trying import MOST_ASKED, MOST_UNDER_WAY

KEPT_SECONDS = 24 * 3600.0
"""Time after its end in which a session that nobody keeps can still be read."""
SEEN_SECONDS = 10.0
"""How exactly it is known when somebody last looked, at least."""
HELD = (TryStatus.LOADING, TryStatus.READY)
"""Of a session that a worker has."""
OPEN_ANSWERS = ("waiting", "answering")
NOT_ANSWERED = Problem(code="session_ended", message="The session ended before the answer was complete.")


def get(session: Session, session_id: int) -> TrySession:
    """The session of this id.

    Raises:
        NotFound: `session_not_found`.
    """
    one = session.get(TrySession, session_id) if abs(session_id) <= LARGEST_INTEGER else None
    if one is None:
        raise NotFound(
            "session_not_found",
            "there is no session with this id",
            field="session_id",
            value=session_id,
            way_out="GET /api/v1/try lists them; those that nobody keeps are forgotten a day after their end.",
        )
    return one


def list_sessions(session: Session, *, limit: int) -> list[TrySession]:
    """The newest sessions, the last opened first."""
    return list(session.exec(select(TrySession).order_by(col(TrySession.id).desc()).limit(limit)))


def open_session(session: Session, chosen: Chosen, note: str, *, at: float, most: int) -> TrySession:
    """Store a session; a worker takes it as soon as no run wants a slot.

    Args:
        session: the transaction.
        chosen: its columns.
        note: of the user.
        at: seconds since 1970.
        most: sessions that may be open at once.

    Raises:
        Conflict: `too_many_sessions`.
    """
    is_open = col(TrySession.status) != TryStatus.ENDED
    open_now = session.exec(select(TrySession.id).where(is_open).order_by(col(TrySession.id))).all()
    if len(open_now) >= most:
        raise Conflict(
            "too_many_sessions",
            f"{most} sessions are open, and no more may be",
            field="MEMGEN_TRY_SESSIONS",
            value=most,
            way_out=f"Close one of {', '.join(map(str, open_now))}, or wait until one ends.",
        )
    one = TrySession(
        note=note,
        preset=chosen.configs[0].preset,
        columns=[config.model_dump(mode="json") for config in chosen.configs],
        checkpoints=chosen.checkpoints,
        status=TryStatus.QUEUED,
        created_at=at,
        seen_at=at,
        used_at=at,
    )
    session.add(one)
    session.flush()
    return one


def ask(session: Session, one: TrySession, asked: TryAsk, *, at: float) -> TryAsked:
    """Ask all columns, one of which answers after the other; or one of them with a change.

    Raises:
        Conflict: `session_ended`, `too_many_questions`.
        BadInput: `empty_question`, `no_such_column`, `change_without_column`.
    """
    if one.status == TryStatus.ENDED or one.stop_mode is not None:
        raise Conflict(
            "session_ended",
            f"session {one.id} ends or has ended",
            field="session_id",
            value=one.id,
            way_out="Open another with the same columns.",
        )
    _check_asked(one, asked)
    before, under_way = num_asked(session, one.id), open_questions(session, one.id)
    if len(under_way) >= MOST_UNDER_WAY or before >= MOST_ASKED:
        is_full = before >= MOST_ASKED
        raise Conflict(
            "too_many_questions",
            f"session {one.id} has {before} questions, and {len(under_way)} of them wait for an answer",
            field="question",
            value=len(under_way),
            way_out="Open another session." if is_full else "Wait for an answer.",
        )
    row = TryAsked(
        session_id=one.id,
        number=before + 1,
        question=asked.question,
        solution=asked.solution or None,
        place=asked.column,
        change=None if asked.change is None else asked.change.model_dump(),
        asked_at=at,
    )
    session.add(row)
    for place in range(len(one.columns)) if asked.column is None else (asked.column,):
        session.add(TryAnswer(session_id=one.id, number=row.number, place=place, status="waiting"))
    one.used_at = one.seen_at = at
    changed(session, one)
    return row


def _check_asked(one: TrySession, asked: TryAsk) -> None:
    if not asked.question.strip():
        raise BadInput(
            "empty_question", "this is no question", field="question", value=asked.question, way_out="Type one."
        )
    if asked.column is not None and asked.column >= len(one.columns):
        raise BadInput(
            "no_such_column",
            f"session {one.id} has {len(one.columns)} columns, the first of which is 0",
            field="column",
            value=asked.column,
            way_out="Choose one of them.",
        )
    if asked.change is not None and asked.column is None:
        raise BadInput(
            "change_without_column",
            "a change belongs to one column",
            field="column",
            way_out="Name the column that is to answer otherwise.",
        )


def close(session: Session, one: TrySession, reason: TryEnd, *, at: float, gives_way_to: int | None = None) -> None:
    """Let a session end: at once where nobody holds it, else after the answer under way. The first reason stays."""
    if one.status == TryStatus.ENDED or one.stop_mode is not None:
        return
    one.reason, one.gives_way_to = reason, gives_way_to
    one.stop_mode = StopMode.SAVE
    if one.status == TryStatus.QUEUED:
        ended(session, one, at=at)
    changed(session, one)


def ended(session: Session, one: TrySession, *, at: float) -> None:
    """A session has ended, whatever the reason; what is not answered by now never will be."""
    one.status, one.ended_at, one.lease_until = TryStatus.ENDED, at, None
    rows = select(TryAnswer).where(TryAnswer.session_id == one.id, col(TryAnswer.status).in_(OPEN_ANSWERS))
    for row in session.exec(rows):
        row.status, row.failure = "failed", NOT_ANSWERED
        session.add(row)
    changed(session, one)


def changed(session: Session, one: TrySession) -> None:
    """Store a session that has changed, so that those who follow it see it."""
    one.version += 1
    session.add(one)


def note_seen(session: Session, one: TrySession, *, at: float) -> None:
    """Somebody looks at a session."""
    one.seen_at = max(one.seen_at, at)
    session.add(one)


def is_unseen(one: TrySession, *, at: float, absent: float) -> bool:
    """Whether it is to be noted that somebody looks, given the seconds without that after which a session ends."""
    return one.status != TryStatus.ENDED and at - one.seen_at > min(SEEN_SECONDS, absent / 4)


def keep(session: Session, one: TrySession, kept: bool) -> None:
    """Keep a session as a record after its end, or not."""
    one.kept = kept
    changed(session, one)


def num_asked(session: Session, session_id: int) -> int:
    """How many questions a session was asked."""
    return session.exec(select(func.count()).where(TryAsked.session_id == session_id)).one()


def asked_of(session: Session, session_id: int) -> list[TryAsked]:
    """Questions of a session, first to last."""
    query = select(TryAsked).where(TryAsked.session_id == session_id).order_by(col(TryAsked.number))
    return list(session.exec(query))


def answers_of(session: Session, session_id: int) -> list[TryAnswer]:
    """Answers of a session, by question and column."""
    query = select(TryAnswer).where(TryAnswer.session_id == session_id)
    return list(session.exec(query.order_by(col(TryAnswer.number), col(TryAnswer.place))))


def open_questions(session: Session, session_id: int) -> list[TryAsked]:
    """Questions that some column has not answered yet, first to last."""
    waiting = select(TryAnswer.number).where(
        TryAnswer.session_id == session_id, col(TryAnswer.status).in_(OPEN_ANSWERS)
    )
    query = select(TryAsked).where(TryAsked.session_id == session_id, col(TryAsked.number).in_(waiting))
    return list(session.exec(query.order_by(col(TryAsked.number))))


def forget(session: Session, *, before: float) -> Sequence[int]:
    """Take sessions out of the database that ended before a time and that nobody keeps; returns their ids."""
    ended_then = col(TrySession.ended_at).is_not(None), col(TrySession.ended_at) < before, ~col(TrySession.kept)
    gone = session.exec(select(TrySession.id).where(*ended_then)).all()
    for table in (TryAnswer, TryAsked):
        session.execute(sql_delete(table).where(col(table.session_id).in_(gone)))
    session.execute(sql_delete(TrySession).where(col(TrySession.id).in_(gone)))
    return gone
