"""Where an evaluation inserted latents, and how its answers fared there beside another evaluation's."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from backend import schemas as s
from backend.models import Answer
from backend.services.compare import check_alike, evaluation, verdicts
from memgen.contract.answers import AnswerRecord, Augmentation

MOST_POINTS = 12
MOST_PATTERNS = 10
Pattern = tuple[tuple[bool, ...], bool]
"""Decisions at the first points, and whether further points follow."""


@dataclass(frozen=True)
class _Pair:
    """One question that both evaluations answered."""

    pattern: Pattern
    before: bool
    after: bool


def insertion_patterns(session: Session, before_id: int, after_id: int) -> s.InsertionPatterns:
    """The second evaluation's decisions, and how many answers of each evaluation are right where it decided so.

    Args:
        session: a transaction.
        before_id: the evaluation compared with, e.g. of a weaver that inserts everywhere.
        after_id: whose decisions are looked at, e.g. the trigger's.

    Returns:
        The commonest patterns, then all others together; empty if the second evaluation knows no decision points.

    Raises:
        NotComparable: as `compare`.
    """
    before, after = evaluation(session, before_id), evaluation(session, after_id)
    check_alike(before, after)
    right_before = {question: right for question, (_, right) in verdicts(session, before_id).items()}
    newest = select(func.max(Answer.attempt)).where(col(Answer.run_id) == after_id).scalar_subquery()
    rows = session.exec(
        select(Answer.question_id, Answer.right, Answer.record).where(
            col(Answer.run_id) == after_id, col(Answer.attempt) == newest
        )
    )
    pairs = [
        _Pair(_pattern(AnswerRecord.model_validate_json(record).augmentations), right_before[question], right)
        for question, right, record in rows
        if question in right_before
    ]
    if not any(decisions for decisions, _ in (pair.pattern for pair in pairs)):
        return s.InsertionPatterns(items=[])
    numbers = Counter(pair.pattern for pair in pairs)
    common = sorted(numbers, key=lambda pattern: (-numbers[pattern], pattern))[:MOST_PATTERNS]
    items = [_counted(pattern, [pair for pair in pairs if pair.pattern == pattern]) for pattern in common]
    others = [pair for pair in pairs if pair.pattern not in common]
    return s.InsertionPatterns(items=items + ([_counted(None, others)] if others else []))


def _pattern(points: Sequence[Augmentation]) -> Pattern:
    return tuple(point.inserted for point in points[:MOST_POINTS]), len(points) > MOST_POINTS


def _counted(pattern: Pattern | None, pairs: Sequence[_Pair]) -> s.InsertionPattern:
    return s.InsertionPattern(
        decisions=None if pattern is None else list(pattern[0]),
        more_points=pattern is not None and pattern[1],
        num_questions=len(pairs),
        right_before=sum(pair.before for pair in pairs),
        right_after=sum(pair.after for pair in pairs),
        fixed=sum(pair.after and not pair.before for pair in pairs),
        broken=sum(pair.before and not pair.after for pair in pairs),
    )
