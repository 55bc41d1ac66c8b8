r"""How answers of each kind are found and compared; numbers have tests of their own."""

import pytest

from memgen.contract.data_sets.record import AnswerKind
from memgen.scoring import accuracy, answer_of, score


@pytest.mark.parametrize(
    ("completion", "letter"),
    [
        (r"So it is \boxed{B}", "B"),
        (r"So it is \boxed{\text{B}}", "B"),
        (r"So it is \boxed{(B) seven}", "B"),
        ("A is wrong.\n#### B", "B"),
        ("The answer is (B).", "B"),
        ("I think A fails, so choose B", "B"),
        ("It could be B. I do not know why.", "B"),
        ("It is A.", "A"),
        ("B", "B"),
        ("Both are fine", None),
        ("A man sees a dog", None),
        (r"(B) it is. \boxed{7}", None),
        ("", None),
    ],
)
def test_choice_is_the_letter_that_the_text_settles_on(completion: str, letter: str | None) -> None:
    assert answer_of(completion, "choice") == letter


@pytest.mark.parametrize(
    ("kind", "completion", "solution", "right"),
    [
        ("choice", r"\boxed{C}", r"\boxed{C}", 1.0),
        ("choice", r"\boxed{C. 12}", r"\boxed{C}", 1.0),
        ("choice", r"\boxed{c}", r"\boxed{C}", 0.0),
        ("choice", r"\boxed{D}", r"\boxed{C}", 0.0),
        ("choice", "no idea", r"\boxed{C}", 0.0),
        ("expression", r"\boxed{\frac{1}{2}}", r"\boxed{0.5}", 1.0),
        ("expression", r"\boxed{x + 1}", r"\boxed{x+1}", 1.0),
        ("expression", "After 3 steps:\n#### x+1", r"\boxed{x+1}", 1.0),
        ("expression", r"\boxed{x + 2}", r"\boxed{x+1}", 0.0),
        ("exact text", r"\boxed{New  York}", r"\boxed{New York}", 1.0),
        ("exact text", "It is\nNew York", r"\boxed{New York}", 1.0),
        ("exact text", r"\boxed{new york}", r"\boxed{New York}", 0.0),
        ("exact text", r"\boxed{18.0}", r"\boxed{18}", 0.0),
        ("number", r"\boxed{18.0}", r"\boxed{18}", 1.0),
        ("exact text", "", r"\boxed{18}", 0.0),
    ],
)
def test_answers_are_compared_as_their_kind_asks(
    kind: AnswerKind, completion: str, solution: str, right: float
) -> None:
    assert accuracy(completion, solution, kind) == right
    assert score(completion, solution, kind)["accuracy"] == right


@pytest.mark.parametrize("kind", ["choice", "expression", "exact text"])
def test_a_reward_counts_the_box_alone(kind: AnswerKind) -> None:
    assert accuracy("#### B", r"\boxed{B}", kind) == 1.0
    assert accuracy("#### B", r"\boxed{B}", kind, require_box=True) == 0.0
    assert accuracy(r"\boxed{B}", r"\boxed{B}", kind, require_box=True) == 1.0


@pytest.mark.parametrize("kind", ["choice", "expression", "exact text"])
@pytest.mark.parametrize(
    "text", ["A" * 50_000, "A " * 50_000, r"\boxed{" * 20_000, r"\text{" * 20_000, "#### \n" * 10_000]
)
def test_no_kind_takes_long_over_a_long_text(kind: AnswerKind, text: str) -> None:
    assert accuracy(text, r"\boxed{B}", kind) == 0.0
