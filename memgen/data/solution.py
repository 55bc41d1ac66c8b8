r"""A solution taken apart: the rationale, and the answer that ends it."""

from memgen.contract.data_sets.record import AnswerKind
from memgen.scoring import answer_of

_BOX = "\\boxed"


def parts_of(solution: str, kind: AnswerKind) -> tuple[str, str] | None:
    r"""Rationale and answer of a solution; None where the scorer of its kind finds no answer in it.

    Of a text that a box ends, as those of all data sets, the rationale is what stands before the box; any other text is
    its answer alone.

    Args:
        solution: as `memgen.data.questions.Question` has it, or what somebody typed.
        kind: of answer.
    """
    answer = answer_of(solution, kind)
    if answer is None:
        return None
    text = solution.rstrip()
    rationale, box, _ = text.rpartition(_BOX)
    return (rationale if box and text.endswith("}") else "", answer)
