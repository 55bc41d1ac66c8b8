"""Solutions taken apart and put together again."""

import pytest

from memgen.contract.data_sets.record import AnswerKind
from memgen.data import load_questions
from memgen.data.questions import make_question
from memgen.data.solution import parts_of


def test_solution_of_a_data_set_is_the_same_when_it_is_put_together_again() -> None:
    for row in load_questions("wordproblems", "test", limit=50):
        parts = parts_of(row.solution, "number")
        assert parts is not None
        assert make_question("wordproblems", row.question, *parts) == row


@pytest.mark.parametrize(
    ("solution", "kind", "parts"),
    [
        ("\\boxed{4}", "number", ("", "4")),
        ("Two and two.\\boxed{\\frac{1}{2}} \n", "expression", ("Two and two.", "\\frac{1}{2}")),
        ("So \\boxed{4} apples.", "number", ("", "4")),
        ("1 + 1 = 2\n#### 2", "number", ("", "2")),
        ("It is (B).\\boxed{\\text{B}}", "choice", ("It is (B).", "B")),
        ("Seoul", "exact text", ("", "Seoul")),
        ("", "number", None),
        ("nobody knows", "number", None),
    ],
)
def test_rationale_is_what_stands_before_the_box_that_ends_a_solution(
    solution: str, kind: AnswerKind, parts: tuple[str, str] | None
) -> None:
    assert parts_of(solution, kind) == parts
