"""From a row of a file to a question: which column is what, and what may stand in it."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from string import ascii_uppercase
from typing import Any

from memgen.contract.data_sets.record import Split
from memgen.contract.data_sets.registered import Registration
from memgen.contract.errors import BadInput
from memgen.contract.json_file import Unreadable, parse_json

MOST_QUESTION, MOST_RATIONALE, MOST_ANSWER, MOST_CHOICE = 20_000, 60_000, 2_000, 4_000
"""Characters."""
SPLIT_WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
_LABEL = re.compile(r"\s*\(?([A-Z])\s*[).:]\s*")


@dataclass(frozen=True)
class MappedRow:
    """A row as the data set keeps it."""

    question: str
    """With its choices."""
    rationale: str
    answer: str
    split: Split | None
    """What its column says; None where there is none."""
    same: bytes
    """Of two rows that ask the same, alike: spaces, and the order of choices, do not count."""


def mapped(values: Mapping[str, Any], said: Registration) -> MappedRow:
    """The question that a row holds.

    Raises:
        BadInput: `bad_data_row`, with the column as its field.
    """
    columns = said.columns
    question = _text(values, columns.question, MOST_QUESTION)
    rationale = _text(values, columns.rationale, MOST_RATIONALE, may_be_empty=True) if columns.rationale else ""
    split = _split(values, columns.split) if columns.split else None
    if said.answer != "choice":
        answer = _text(values, columns.answer, MOST_ANSWER)
        return MappedRow(question, rationale, answer, split, same_question(question))
    if not columns.choices:
        return MappedRow(question, rationale, _letter(values, columns.answer, 26), split, same_question(question))
    choices = _choices(values, columns.choices)
    right = _right_choice(values, said, choices)
    order = list(range(len(choices)))
    if said.shuffle_choices:
        order.sort(key=lambda place: hashlib.sha256(f"{said.seed}:{question}:{choices[place]}".encode()).digest())
    lines = [f"({ascii_uppercase[place]}) {choices[source]}" for place, source in enumerate(order)]
    return MappedRow(
        "\n".join([question, *lines]),
        rationale,
        ascii_uppercase[order.index(right)],
        split,
        same_question(question, choices),
    )


def _text(values: Mapping[str, Any], column: str, most: int, *, may_be_empty: bool = False) -> str:
    value = values.get(column)
    if value is None and (column in values or may_be_empty):
        text = ""
    elif column not in values:
        raise _bad(column, "the row does not have this column", None)
    elif isinstance(value, str):
        text = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        text = str(value)
        if text.lower() in {"nan", "inf", "-inf", "infinity", "-infinity"}:
            raise _bad(column, "this is no number", text)
    else:
        raise _bad(column, f"this is neither a text nor a number but a {type(value).__name__}", value)
    if not text and not may_be_empty:
        raise _bad(column, "this is empty", None)
    if len(text) > most:
        raise _bad(column, f"this has {len(text):,} characters, and at most {most:,} are taken", text)
    if "\0" in text:
        raise _bad(column, "this holds a NUL character", text)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _bad(column, "this holds half of a surrogate pair", ascii(text[error.start])) from None
    return text


def _split(values: Mapping[str, Any], column: str) -> Split:
    word = _text(values, column, 100)
    if word.lower() not in SPLIT_WORDS:
        raise _bad(column, f"this is none of the splits {', '.join(SPLIT_WORDS)}", word)
    return SPLIT_WORDS[word.lower()]


def _choices(values: Mapping[str, Any], columns: tuple[str, ...]) -> tuple[str, ...]:
    if len(columns) > 1:
        texts = [_text(values, column, MOST_CHOICE) for column in columns]
    else:
        texts = [_text({columns[0]: one}, columns[0], MOST_CHOICE) for one in _list(values, columns[0])]
    labels = [_LABEL.match(text) for text in texts]
    if all(label is not None and label[1] == ascii_uppercase[place] for place, label in enumerate(labels[:26])):
        texts = [text[label.end() :].strip() for text, label in zip(texts, labels, strict=True) if label is not None]
    if not 2 <= len(texts) <= len(ascii_uppercase):
        raise _bad(columns[0], f"a question has 2 to {len(ascii_uppercase)} choices", f"at least {len(texts)}")
    return tuple(texts)


def _list(values: Mapping[str, Any], column: str) -> list[Any]:
    value = values.get(column)
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = parse_json(value.strip().encode())
        except (Unreadable, UnicodeEncodeError):
            raise _bad(column, "this begins like a JSON array and is none", value) from None
    elif isinstance(value, str):
        value = [line for line in value.splitlines() if line.strip()]
    if isinstance(value, dict) and isinstance(value.get("text"), list):  # as some published sets have it
        value = value["text"]
    if not isinstance(value, list):
        raise _bad(column, "this is no list of choices", value)
    return value[: len(ascii_uppercase) + 1]


def _right_choice(values: Mapping[str, Any], said: Registration, choices: tuple[str, ...]) -> int:
    column = said.columns.answer
    match said.answer_as:
        case "letter":
            return ascii_uppercase.index(_letter(values, column, len(choices)))
        case "index":
            text = _text(values, column, MOST_ANSWER)
            if not text.isdecimal() or int(text[:4]) >= len(choices):
                raise _bad(column, f"this is no place among {len(choices)} choices, counted from 0", text)
            return int(text)
        case _:
            text = _text(values, column, MOST_ANSWER)
            places = [place for place, choice in enumerate(choices) if _spaced(choice) == _spaced(text)]
            if not places:
                raise _bad(column, "this is none of the choices", text)
            return places[0]


def _letter(values: Mapping[str, Any], column: str, count: int) -> str:
    text = _text(values, column, MOST_ANSWER)
    letter = text.strip("() .:").upper()
    if len(letter) != 1 or letter not in ascii_uppercase[:count]:
        raise _bad(column, f"this is no letter from A to {ascii_uppercase[count - 1]}", text)
    return letter


def same_question(question: str, choices: tuple[str, ...] = ()) -> bytes:
    """Alike for two questions that ask the same: spaces, and the order of choices, do not count."""
    text = "\0".join([_spaced(question), *sorted(map(_spaced, choices))])
    return hashlib.sha256(text.encode()).digest()


def _spaced(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _bad(column: str, message: str, value: object) -> BadInput:
    return BadInput("bad_data_row", message, field=column, value=value, way_out="Mend the row, or leave it out.")
