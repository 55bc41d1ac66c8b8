"""What pages of a run read: log, answers and history."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import func
from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.errors import NotFound, ServiceError
from backend.services import scoring
from backend.services.cursors import cursor_number
from backend.services.lifecycle import start_of
from backend.store.models import Answer, AnswerScore, Attempt, Run, RunEvent
from backend.views import views
from memgen.contract.status import ATTEMPT_ENDED

SHOWS = ("all", "right", "wrong", "truncated", "no_box")


def log(
    session: Session,
    run_id: int,
    path_of: Callable[[int, int], Path],
    *,
    attempt: int | None,
    offset: int | None,
    limit: int,
) -> s.LogOut:
    """A piece of an attempt's log; without an offset its end, from a line's start.

    Raises:
        NotFound: `attempt_not_found`.
    """
    query = select(Attempt).where(col(Attempt.run_id) == run_id).order_by(col(Attempt.number).desc())
    rows = [row for row in session.exec(query) if attempt is None or row.number == attempt]
    if not rows:
        raise NotFound(
            "attempt_not_found",
            "the run has no such attempt",
            field="attempt",
            value=attempt,
            way_out=f"GET /api/v1/runs/{run_id} lists its attempts.",
        )
    # a run that waits for its next attempt shows the log of the last one that has any
    chosen = next((row for row in rows if row.log_offset), rows[0])
    path = path_of(run_id, chosen.number)
    size = min(chosen.log_offset, path.stat().st_size) if path.exists() else 0
    limit = max(limit, 4)  # the longest character must fit, or a reader would never get past it
    start = max(0, size - limit) if offset is None else min(max(0, offset), size)
    data = b""
    if size > start:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(min(limit, size - start))
    if offset is None and start > 0:
        cut = data.index(b"\n") + 1 if b"\n" in data else _continuation_bytes(data)
        start, data = start + cut, data[cut:]
    # a character that is not complete yet comes with the next piece
    held_back = 0 if start + len(data) == size and chosen.status in ATTEMPT_ENDED else _incomplete_tail(data)
    data = data[: len(data) - held_back]
    return s.LogOut(
        attempt=chosen.number,
        offset=start,
        next_offset=start + len(data),
        size=size,
        text=data.decode("utf-8", errors="replace"),
    )


def answers(
    session: Session,
    run: Run,
    *,
    show: str,
    text: str | None,
    cursor: str | None,
    limit: int,
    version: int | None = None,
) -> s.AnswersOut:
    """A page of the answers of the newest attempt that has any, in the questions' order.

    Their scores are those of one version of the scorer, of the newest where `version` is None.

    Raises:
        ServiceError: `unknown_filter`, `bad_cursor` or `unknown_scorer_version`.
    """
    run_id = run.id
    scores = scoring.scores_of(session, run, version)
    conditions = {
        "all": None,
        "right": scores.right.is_(True),
        "wrong": scores.right.is_(False),
        "truncated": col(Answer.truncated).is_(True),
        "no_box": scores.boxed.is_(False),
    }
    if show not in conditions:
        raise ServiceError(
            "unknown_filter",
            "answers can't be filtered so",
            field="show",
            value=show,
            way_out=f"Known: {', '.join(SHOWS)}.",
        )
    start = start_of(session, run_id)  # what a discarded attempt answered is no part of the run's result
    newest = session.exec(
        select(func.max(Answer.attempt)).where(col(Answer.run_id) == run_id, col(Answer.attempt) >= start)
    ).one()
    mine = (col(Answer.run_id) == run_id, col(Answer.attempt) == newest)
    counts = {
        name: session.exec(
            select(func.count())
            .select_from(Answer)
            .outerjoin(AnswerScore, scores.beside)
            .where(*mine, *(() if condition is None else (condition,)))
        ).one()
        for name, condition in conditions.items()
    }
    matching = [*mine]
    condition = conditions[show]
    if condition is not None:
        matching.append(condition)
    if text:
        matching.append(col(Answer.record).icontains(text, autoescape=True))
    counted = select(func.count()).select_from(Answer).outerjoin(AnswerScore, scores.beside)
    total = session.exec(counted.where(*matching)).one()
    if cursor:
        matching.append(col(Answer.index) > cursor_number(cursor))
    query = select(Answer.index, Answer.record, AnswerScore.metrics).outerjoin(AnswerScore, scores.beside)
    rows = list(session.exec(query.where(*matching).order_by(col(Answer.index)).limit(limit + 1)))
    return s.AnswersOut(
        items=[
            answer
            for _, record, metrics in rows[:limit]
            if (answer := scoring.with_metrics(record, metrics)) is not None
        ],
        next_cursor=str(rows[limit - 1][0]) if len(rows) > limit else None,
        scorer_version=scores.version if scoring.is_known(run, scores) else None,
        total=total,
        counts=counts,
    )


def history(session: Session, run_id: int, *, cursor: str | None, limit: int) -> s.RunEventList:
    """A page of a run's history, oldest first."""
    query = select(RunEvent).where(col(RunEvent.run_id) == run_id).order_by(col(RunEvent.id)).limit(limit + 1)
    if cursor:
        query = query.where(col(RunEvent.id) > cursor_number(cursor))
    rows = list(session.exec(query))
    next_cursor = str(rows[limit - 1].id) if len(rows) > limit else None
    return s.RunEventList(items=[views.event_out(row) for row in rows[:limit]], next_cursor=next_cursor)


def _continuation_bytes(data: bytes) -> int:
    """Bytes at the start that belong to a character before them: 0 to 3."""
    return next((n for n, byte in enumerate(data[:3]) if byte & 0xC0 != 0x80), min(3, len(data)))


def _incomplete_tail(data: bytes) -> int:
    """Bytes at the end that begin a UTF-8 character without finishing it: 0 to 3."""
    for back in range(1, min(4, len(data)) + 1):
        lead = data[-back]
        if lead & 0xC0 == 0x80:
            continue
        length = 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC0 else 1
        return back if length > back else 0
    return 0
