"""How many latents an evaluation inserted in each answer, and how these fared beside another evaluation's."""

from collections import defaultdict
from collections.abc import Sequence

from sqlmodel import Session, select

from backend.api import schemas as s
from backend.services.comparable import check_alike, evaluation, same_scorer
from backend.services.scoring import stored_answer
from backend.services.verdicts import answered_by, verdicts
from backend.store.models import Answer, AnswerScore
from memgen.contract.answers import Augmentation

PROMPT_FIRST = (True, False, None)


def insertion_groups(session: Session, before_id: int, after_id: int) -> s.InsertionGroups:
    """Questions by the insertions of the second evaluation, and how many each evaluation answered rightly.

    Args:
        session: a transaction.
        before_id: the evaluation compared with, e.g. of a weaver that inserts everywhere.
        after_id: whose insertions are looked at, e.g. the trigger's.

    Returns:
        One group for each decision at the prompt and number of insertions in the completion; none if the second
        evaluation has no decision points.

    Raises:
        NotComparable: as `compare`.
    """
    before, after = evaluation(session, before_id), evaluation(session, after_id)
    check_alike(before, after)
    scores = same_scorer(session, [before, after])
    was = {question: one.right for question, one in verdicts(session, before, scores[before_id]).items()}
    query = select(Answer.question_id, scores[after_id].right, Answer.record)
    rows = session.exec(query.outerjoin(AnswerScore, scores[after_id].beside).where(*answered_by(after_id)))
    groups: dict[tuple[bool | None, int], list[tuple[bool, bool]]] = defaultdict(list)
    any_point = False
    for question, right, record in rows:
        answer = stored_answer(record) if question in was else None
        if answer is not None:
            points = answer.augmentations
            any_point = any_point or bool(points)
            groups[_insertions(points)].append((was[question], bool(right)))
    ordered = sorted(groups, key=lambda key: (PROMPT_FIRST.index(key[0]), key[1]))
    return s.InsertionGroups(items=[_counted(key, groups[key]) for key in ordered] if any_point else [])


def _insertions(points: Sequence[Augmentation]) -> tuple[bool | None, int]:
    """The decision at the prompt, and the number of insertions in the completion."""
    at_prompt = next((point.inserted for point in points if point.token == 0), None)
    return at_prompt, sum(point.inserted for point in points if point.token > 0)


def _counted(key: tuple[bool | None, int], answers: Sequence[tuple[bool, bool]]) -> s.InsertionGroup:
    return s.InsertionGroup(
        at_prompt=key[0],
        in_completion=key[1],
        num_questions=len(answers),
        right_before=sum(was for was, _ in answers),
        right_after=sum(now for _, now in answers),
        fixed=sum(now and not was for was, now in answers),
        broken=sum(was and not now for was, now in answers),
    )
