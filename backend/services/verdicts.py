"""Whether a run answered each question rightly: by which attempt, and by which version of the scorer."""

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from backend.services.scoring import Scores
from backend.store.models import Answer, AnswerScore, Run


def answered_by(run_id: int) -> tuple[ColumnElement[bool], ...]:
    """Conditions on `Answer`: of this run, by the newest attempt that answered any question."""
    newest = select(func.max(Answer.attempt)).where(col(Answer.run_id) == run_id).scalar_subquery()
    return col(Answer.run_id) == run_id, col(Answer.attempt) == newest


def verdicts(session: Session, run: Run, scores: Scores) -> dict[str, tuple[int, bool]]:
    """Place and verdict of each question in the newest attempt that answered any, by the question's id."""
    query = select(Answer.question_id, Answer.index, scores.right).outerjoin(AnswerScore, scores.beside)
    rows = session.exec(query.where(*answered_by(run.id)))
    return {question: (index, bool(right)) for question, index, right in rows}
