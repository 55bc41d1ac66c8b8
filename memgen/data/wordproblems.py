"""Word problems of our own, generated: one or two steps of arithmetic, in GSM8K's format.

They need no network and no files, so demos and tests run anywhere. They are easier than GSM8K and no substitute
for it in a result. Only integers are drawn, from `random.Random`, so the same parameters give the same bytes on every
machine and Python.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from random import Random

from memgen.contract.data_sets.wordproblems import WORDPROBLEMS, WORDPROBLEMS_EASY
from memgen.contract.errors import BadInput
from memgen.data.gsm8k_row import from_gsm8k_row
from memgen.data.questions import Question, check_split, split_validation
from memgen.data.wordproblem_templates import HE, NOUNS, SHE, TEMPLATES, WORDS, Noun, Steps, Template

# The rows are fixed, as a published data set's are: runs with different seeds still answer the same test questions.
DATA_SEED = 42
TRAIN_SIZE = 4000
TEST_SIZE = 1000
MAX_NUMBER = 50
SMALLEST_MAX_NUMBER = 10
SMALL_NUMBER = 12
TEST_ONE_IN = 5
ATTEMPTS_PER_ROW = 20


@dataclass(frozen=True)
class Level:
    """What the problems of one data set are drawn from."""

    steps: Steps | None
    """Calculations that a problem takes; None mixes both kinds."""
    max_number: int
    known: bool = False
    """Whether a rationale first says what is known: a line with a delimiter in front of the calculation."""


LEVELS = {WORDPROBLEMS.name: Level(None, MAX_NUMBER), WORDPROBLEMS_EASY.name: Level(1, 10, known=True)}
"""Data sets by name, which is also what the ids of their questions begin with."""


@dataclass(frozen=True)
class WordProblem:
    """One generated row: the name of its template, and question and answer as GSM8K has them."""

    template: str
    question: str
    answer: str


class Count(int):
    """A number that `f"{n:scarf|scarves}"` writes with its noun in agreement: `1 scarf`, `2 scarves`."""

    def __format__(self, noun: str) -> str:
        if not noun:
            return str(int(self))
        return f"{int(self)} {Noun(noun).one if self == 1 else Noun(noun).many}"


def load_wordproblems(split: str, seed: int = 42, folder: Path | None = None) -> list[Question]:  # noqa: ARG001
    """All questions of one split: 3,600 of `train`, 400 of `validation`, 1,000 of `test`.

    Args:
        split: one of `memgen.data.questions.SPLITS`.
        seed: parts train and validation; the questions themselves are the same for every seed.
        folder: not used; nothing lies on a disk.

    Raises:
        BadInput: `unknown_split`.
    """
    return _load(WORDPROBLEMS.name, split, seed)


def load_wordproblems_easy(split: str, seed: int = 42, folder: Path | None = None) -> list[Question]:  # noqa: ARG001
    """The same of the easy ones."""
    return _load(WORDPROBLEMS_EASY.name, split, seed)


def _load(data: str, split: str, seed: int) -> list[Question]:
    check_split(split)
    train_rows, test_rows = _all_questions(data)
    if split == "test":
        return list(test_rows)
    train, validation = split_validation(list(train_rows), seed)
    return validation if split == "validation" else train


@cache
def _all_questions(data: str) -> tuple[tuple[Question, ...], tuple[Question, ...]]:
    """Rows of train (validation among them) and of test; a training asks for two of its splits."""
    level = LEVELS[data]
    train_rows, test_rows = generate(steps=level.steps, max_number=level.max_number, known=level.known)
    return tuple(_questions(train_rows, data)), tuple(_questions(test_rows, data))


def generate(
    seed: int = DATA_SEED,
    *,
    train_size: int = TRAIN_SIZE,
    test_size: int = TEST_SIZE,
    steps: Steps | None = None,
    max_number: int = MAX_NUMBER,
    known: bool = False,
) -> tuple[list[WordProblem], list[WordProblem]]:
    """Generate train and test rows; no question occurs twice in either or in both.

    A hash of the question's text says on which side it belongs, so the sides are apart for any two seeds, too.

    Args:
        seed: of everything that is drawn.
        train_size, test_size: rows to return.
        steps: calculations a problem takes; None mixes both kinds.
        max_number: largest number in a question, at least 10; results may be larger.
        known: whether rationales begin with what the question says; templates of two steps have no such line.

    Raises:
        BadInput: `max_number_too_small`; `too_few_word_problems`, where the parameters allow for fewer.
    """
    if max_number < SMALLEST_MAX_NUMBER:
        raise BadInput(
            "max_number_too_small",
            "the templates need larger numbers",
            field="max_number",
            value=max_number,
            way_out=f"Use at least {SMALLEST_MAX_NUMBER}.",
        )
    random = Random(seed)
    templates = TEMPLATES[1] + TEMPLATES[2] if steps is None else TEMPLATES[steps]
    train: list[WordProblem] = []
    test: list[WordProblem] = []
    seen: set[str] = set()
    for _ in range(ATTEMPTS_PER_ROW * (train_size + TEST_ONE_IN * test_size)):
        if len(train) >= train_size and len(test) >= test_size:
            break
        problem = _draw_problem(random.choice(templates), random, max_number, known)
        side, size = (test, test_size) if _is_test(problem.question) else (train, train_size)
        if problem.question not in seen and len(side) < size:
            seen.add(problem.question)
            side.append(problem)
    if len(train) < train_size or len(test) < test_size:
        raise BadInput(
            "too_few_word_problems",
            f"only {len(train)} train and {len(test)} test problems were found",
            field="max_number",
            value=max_number,
            way_out="Ask for fewer, or allow larger numbers.",
        )
    return train, test


def _questions(problems: list[WordProblem], data: str) -> list[Question]:
    return [from_gsm8k_row({"question": row.question, "answer": row.answer}, data) for row in problems]


def _is_test(question: str) -> bool:
    digest = hashlib.sha256(question.encode()).digest()
    return int.from_bytes(digest[:8], "big") % TEST_ONE_IN == 0


def _draw_problem(template: Template, random: Random, max_number: int, known: bool) -> WordProblem:
    words = _draw_words(random)
    numbers = _draw_numbers(template, random, max_number)
    while numbers is None:
        numbers = _draw_numbers(template, random, max_number)
    lines = [template.known.format(**words, **numbers)] if known and template.known else []
    for step in template.steps:
        left, sign, right = step.formula.split()
        sides = f"{numbers[left]} {sign} {numbers[right]}"
        note = f"<<{sides.replace(' ', '')}={numbers[step.result]}>>"
        calculation = {"work": f"{sides} = {note}", "paid": f"{sides} = ${note}"}
        lines.append(step.line.format(**words, **numbers, **calculation))
    lines.append(f"#### {numbers[template.steps[-1].result]}")
    return WordProblem(template.name, template.question.format(**words, **numbers), "\n".join(lines))


def _draw_words(random: Random) -> dict[str, str]:
    """Words for all gaps, also those that a template does not have: every problem draws the same way."""
    is_woman = random.randrange(2) == 0
    name = random.choice(SHE if is_woman else HE)
    friend = random.choice([other for other in (*SHE, *HE) if other != name])
    words: dict[str, str] = {
        "name": name,
        "friend": friend,
        "he": "she" if is_woman else "he",
        "He": "She" if is_woman else "He",
        "his": "her" if is_woman else "his",
    }
    words |= {slot: random.choice(nouns) for slot, nouns in NOUNS.items()}
    return words | {slot: random.choice(choices) for slot, choices in WORDS.items()}


def _draw_numbers(template: Template, random: Random, max_number: int) -> dict[str, Count] | None:
    """Numbers by letter and results by name; None where a result is not a positive integer."""
    operands = "".join(step.formula for step in template.steps)
    numbers = {letter: Count(random.randint(2, max_number)) for letter in "abc" if letter in operands}
    small = min(SMALL_NUMBER, max_number)
    numbers |= {letter: Count(random.randint(2, small)) for letter in "mnk" if letter in operands}
    for step in template.steps:
        result = _calculate(step.formula, numbers)
        if result.denominator != 1 or result <= 0:
            return None
        numbers[step.result] = Count(int(result))
    return numbers


def _calculate(formula: str, numbers: Mapping[str, int]) -> Fraction:
    left, sign, right = formula.split()
    first, second = Fraction(int(numbers[left])), Fraction(int(numbers[right]))
    match sign:
        case "+":
            return first + second
        case "-":
            return first - second
        case "*":
            return first * second
        case _:
            return first / second
