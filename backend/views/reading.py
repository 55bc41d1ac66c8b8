"""What pages of a run read: answers and history."""

from sqlalchemy import func
from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.errors import ServiceError
from backend.services import scoring
from backend.services.cursors import cursor_number
from backend.services.lifecycle import start_of
from backend.store.models import Answer, AnswerScore, Run, RunEvent
from backend.views import views
from memgen.contract.answers import AnswerRecord
from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput
from memgen.scoring import answer_of

SHOWS = ("all", "right", "wrong", "truncated", "no_box")


def answers(
    session: Session,
    run: Run,
    *,
    show: str,
    text: str | None,
    cursor: str | None,
    limit: int,
    newest: bool = False,
    version: int | None = None,
) -> s.AnswersOut:
    """A page of the answers of the newest attempt that has any, in the questions' order or from the last one back.

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
    attempt = session.exec(
        select(func.max(Answer.attempt)).where(col(Answer.run_id) == run_id, col(Answer.attempt) >= start)
    ).one()
    mine = (col(Answer.run_id) == run_id, col(Answer.attempt) == attempt)
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
        place = cursor_number(cursor)
        matching.append(col(Answer.index) < place if newest else col(Answer.index) > place)
    query = select(Answer.index, Answer.record, AnswerScore.metrics).outerjoin(AnswerScore, scores.beside)
    order = col(Answer.index).desc() if newest else col(Answer.index)
    rows = list(session.exec(query.where(*matching).order_by(order).limit(limit + 1)))
    return s.AnswersOut(
        items=[
            _with_extracts(answer, run.data)
            for _, record, metrics in rows[:limit]
            if (answer := scoring.with_metrics(record, metrics)) is not None
        ],
        next_cursor=str(rows[limit - 1][0]) if len(rows) > limit else None,
        scorer_version=scores.version if scoring.is_known(run, scores) else None,
        total=total,
        counts=counts,
    )


def _with_extracts(answer: AnswerRecord, data: str) -> s.AnswerOut:
    """The answer with what its scorer compares; without it where the data set is not installed any more."""
    try:
        kind = data_set(data).answer
    except BadInput:
        return s.AnswerOut(**dict(answer))
    return s.AnswerOut(
        **dict(answer), expected=answer_of(answer.solution, kind), extracted=answer_of(answer.completion, kind)
    )


def history(session: Session, run_id: int, *, cursor: str | None, limit: int, newest: bool = False) -> s.RunEventList:
    """A page of a run's history, oldest first, or from the newest back."""
    order = col(RunEvent.id).desc() if newest else col(RunEvent.id)
    query = select(RunEvent).where(col(RunEvent.run_id) == run_id).order_by(order).limit(limit + 1)
    if cursor:
        place = cursor_number(cursor)
        query = query.where(col(RunEvent.id) < place if newest else col(RunEvent.id) > place)
    rows = list(session.exec(query))
    next_cursor = str(rows[limit - 1].id) if len(rows) > limit else None
    return s.RunEventList(items=[views.event_out(row) for row in rows[:limit]], next_cursor=next_cursor)
