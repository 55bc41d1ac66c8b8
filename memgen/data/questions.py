r"""One question with its solution, in the form that every data set of ours comes in.

Knows the row format of GSM8K and the names of the splits; knows neither files nor the hub.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from memgen.contract.datasets import VALIDATION_ONE_IN
from memgen.contract.errors import BadInput

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Question:
    r"""A question and what its answer is measured against.

    Attributes:
        id: the data set's name and `:`, then the first 16 hex digits of sha256(stripped question in UTF-8).
        question: the text that goes into the prompt, as the data set has it.
        solution: the rationale, with its `<<..>>` annotations, directly followed by `\boxed{answer}`.
        answer: what stands behind `####`, without commas.
    """

    id: str
    question: str
    solution: str
    answer: str


def from_gsm8k_row(row: Mapping[str, object], prefix: str) -> Question:
    """Build a question from a row in GSM8K's format, `{"question": ..., "answer": "rationale\\n#### 18"}`.

    Args:
        row: the row; other keys are ignored.
        prefix: name of the data set, the part of the id in front of the colon.

    Raises:
        BadInput: `bad_data_row`, where a key is missing or empty, a text can't be written in UTF-8, or the answer has
            nothing behind a `####`.
    """
    question, answer_text = _text(row, "question"), _text(row, "answer")
    rationale, _, answer = answer_text.rpartition("####")
    answer = answer.strip().replace(",", "")
    if "####" not in answer_text or not answer:
        raise BadInput(
            "bad_data_row",
            "the answer has no '####' with the final answer behind it",
            field="answer",
            value=answer_text,
            way_out="End each answer with a line such as '#### 18'.",
        )
    digest = hashlib.sha256(question.strip().encode()).hexdigest()[:16]
    return Question(
        id=f"{prefix}:{digest}",
        question=question,
        solution=f"{rationale.strip()}\\boxed{{{answer}}}",
        answer=answer,
    )


def _text(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(
            "bad_data_row",
            f"the row has no text under '{key}'",
            field=key,
            value=sorted(row) if value is None else value,
            way_out='Each row needs the keys "question" and "answer", both non-empty texts.',
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            "bad_data_row",
            f"the text under '{key}' holds half of a surrogate pair at character {error.start + 1}",
            field=key,
            value=ascii(value[error.start]),
            way_out="Write the whole character, or leave it out.",
        ) from None
    return value


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
        rows: all rows of the train file, with unique ids; a limit is to be applied behind this.
        seed: another seed takes other rows out.

    Returns:
        (train, validation), which have no row in common.
    """
    size = math.ceil(len(rows) / VALIDATION_ONE_IN)
    by_hash = sorted(rows, key=lambda row: hashlib.sha256(f"{seed}:{row.id}".encode()).digest())
    chosen = {row.id for row in by_hash[:size]}
    train = [row for row in rows if row.id not in chosen]
    return train, [row for row in rows if row.id in chosen]


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
