"""What became of each question of a run: by which attempt, and by which version of the scorer."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from backend.services.scoring import Scores
from backend.store.models import Answer, AnswerScore, Run


def answered_by(run_id: int) -> tuple[ColumnElement[bool], ...]:
    """Conditions on `Answer`: of this run, by the newest attempt that answered any question."""
    newest = select(func.max(Answer.attempt)).where(col(Answer.run_id) == run_id).scalar_subquery()
    return col(Answer.run_id) == run_id, col(Answer.attempt) == newest


@dataclass(frozen=True)
class Verdict:
    """What became of one question."""

    index: int
    """Its place in the split."""
    right: bool
    boxed: bool
    """Whether the answer has a box, beside which nothing else counts."""
    nll: float | None = None
    """Negative log-likelihood of the question's solution, in nats per token; None where it was not measured."""

    @property
    def strict(self) -> bool:
        """Whether it is right with the box required."""
        return self.right and self.boxed


def verdicts(session: Session, run: Run, scores: Scores) -> dict[str, Verdict]:
    """What the newest attempt that answered any question made of each, by the question's id."""
    measured: dict[str, float | None] = {}
    if run.config.get("nll"):  # no scorer has a say in it, and stored answers are long: not read where it is not there
        nll = func.json_extract(Answer.record, "$.metrics.nll")
        measured = dict(session.exec(select(Answer.question_id, nll).where(*answered_by(run.id))).all())
    query = select(Answer.question_id, Answer.index, scores.right, scores.boxed)
    rows = session.exec(query.outerjoin(AnswerScore, scores.beside).where(*answered_by(run.id)))
    return {
        question: Verdict(index, bool(right), bool(boxed), measured.get(question))
        for question, index, right, boxed in rows
    }
