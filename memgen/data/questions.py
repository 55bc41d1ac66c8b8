r"""One question with its solution, in the form that every data set of ours comes in.

Knows the names of the splits; knows neither files nor the hub.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from memgen.contract.data_sets.record import Split
from memgen.contract.errors import BadInput

SPLITS: tuple[str, ...] = tuple(reversed(get_args(Split)))
VALIDATION_ONE_IN = 10  # training rows, rounded up


@dataclass(frozen=True)
class Question:
    r"""A question and what its answer is measured against.

    Attributes:
        id: the data set's name and `:`, then the first 16 hex digits of sha256(stripped question in UTF-8).
        question: the text that goes into the prompt, as the data set has it.
        solution: what a weaver learns to answer and scorers compare with: a rationale, with GSM8K's `<<..>>`
            annotations, directly followed by `\boxed{answer}`.
        answer: the answer alone, as the data set writes it.
    """

    id: str
    question: str
    solution: str
    answer: str


def make_question(data: str, question: str, rationale: str, answer: str) -> Question:
    """A question with the id that follows from its text.

    Args:
        data: name of the data set.
        question: goes into the prompt.
        rationale: how the answer comes about; may be empty.
        answer: what is right.
    """
    digest = hashlib.sha256(question.strip().encode()).hexdigest()[:16]
    return Question(id=f"{data}:{digest}", question=question, solution=f"{rationale}\\boxed{{{answer}}}", answer=answer)


def rows_hash(*splits: Sequence[Question]) -> str:
    """First 16 hex digits of the sha256 of the ids and solutions of some splits, in their order."""
    digest = hashlib.sha256()
    for split in splits:
        digest.update(f"{len(split)}\n".encode())
        for row in split:
            digest.update(f"{row.id} {row.solution!r}\n".encode())
    return digest.hexdigest()[:16]


def drop_duplicates(questions: Iterable[Question]) -> list[Question]:
    """The questions in their order, of several with the same id the first."""
    unique: dict[str, Question] = {}
    for question in questions:
        unique.setdefault(question.id, question)
    return list(unique.values())


def split_validation(rows: Sequence[Question], seed: int) -> tuple[list[Question], list[Question]]:
    """Take a tenth (rounded up) of the train rows out as validation rows.

    A row's place in the order of sha256("seed:id") decides, so the split is the same on every machine and for
    every order of the rows. Both parts keep the order given.

    Args:
        rows: all rows of the train file, with unique ids; a limit is to be applied after this.
        seed: another seed takes other rows out.

    Returns:
        (train, validation), which have no row in common.
    """
    size = validation_rows(len(rows))
    by_hash = sorted(rows, key=lambda row: hashlib.sha256(f"{seed}:{row.id}".encode()).digest())
    chosen = {row.id for row in by_hash[:size]}
    train = [row for row in rows if row.id not in chosen]
    return train, [row for row in rows if row.id in chosen]


def validation_rows(train_rows: int) -> int:
    """How many of the rows of a train file `split_validation` takes out."""
    return -(-train_rows // VALIDATION_ONE_IN)


def check_split(split: str) -> None:
    """Refuse a split that is none of `SPLITS`.

    Raises:
        BadInput: `unknown_split`.
    """
    if split not in SPLITS:
        raise BadInput(
            "unknown_split",
            "there is no such split",
            field="split",
            value=split,
            way_out=f"Use one of {', '.join(SPLITS)}.",
        )
