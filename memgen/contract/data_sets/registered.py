"""Data sets that users register: what they say of their rows, and the record that is kept in the home. No rows.

A registered data set never changes. Its name ends in a hash of its rows, its prompt and its kind of answer, so the name
that a config carries is that of these rows and of no others: other rows are another data set, with runs of its own.
"""

import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from memgen.contract.data_sets.prompts import PROMPTS
from memgen.contract.data_sets.record import AnswerKind, DataSet, Split
from memgen.contract.errors import first_error
from memgen.contract.json_file import Unreadable, read_object
from memgen.contract.numbers import Time, Whole
from memgen.contract.service_files import data_set_record, registered_dir

LOADER = "memgen.data.registered.load:load"
VERSION_DIGITS = 10
SHORT_NAME = 40  # characters of a name without its version
NAME = r"^[a-z][a-z0-9_]*(-[a-z0-9_]+)*$"
FULL_NAME = re.compile(rf"(?P<name>[a-z][a-z0-9_-]*)-(?P<version>[0-9a-f]{{{VERSION_DIGITS}}})")
"""A name with its version, as configs say it."""
MOST_RECORD = 2**20  # bytes
Column = Field(min_length=1, max_length=200)


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Columns(_Frozen):
    """Which column holds what. Names are those of the file, to the letter."""

    question: str = Column
    """The question."""
    answer: str = Column
    """What is right: a number, an expression, a text, or which of the choices."""
    rationale: str | None = Field(default=None, max_length=200)
    """How the answer comes about; a weaver learns to write it. Empty: solutions are the answer alone."""
    choices: tuple[str, ...] = Field(default=(), max_length=26)
    """Choices: one column that holds a list (or a JSON array, or a line for each), or a column for each choice."""
    split: str | None = Field(default=None, max_length=200)
    """Column that says train, validation or test."""


class Registration(_Frozen):
    """What a user says of a data set."""

    name: str = Field(max_length=SHORT_NAME, pattern=NAME)
    """Short name: small letters, digits, `-` and `_`. The version is appended to it."""
    word: str = Field(default="", max_length=40)
    """How forms call it; empty takes the name."""
    help: str = Field(default="", max_length=200)
    """What it holds, one phrase without a full stop."""
    columns: Columns
    """Which column holds what."""
    answer: AnswerKind = "number"
    """Kind of answer: how answers are found and compared."""
    answer_as: Literal["letter", "text", "index"] = "letter"
    """How the answer's column names a choice: by its letter, its text, or its place counted from 0."""
    shuffle_choices: bool = False
    """Whether each question's choices are put into another order, by the seed and the question."""
    prompt: str = Field(default="", max_length=10_000)
    r"""What stands before `Question: ...`; empty takes the usual one of the kind. It should ask for a `\boxed{}`."""
    seed: int = Field(default=42, ge=0, le=2**31 - 1)
    """Draws splits that no column and no file gives, and shuffles choices."""
    test_share: float = Field(default=0.2, ge=0, lt=1)
    """Share of the training rows that is drawn as the test split, where the rows have none."""
    validation_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of the remaining training rows that is drawn as the validation split, where the rows have none."""
    leave_out: bool = False
    """Whether rows that can't be used, repeat a question, or stand in the test split as well are left out; otherwise
    the data set is refused, with their numbers."""

    @field_validator("word", "help")
    @classmethod
    def _is_one_visible_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("write one line, without control characters")
        return value

    @model_validator(mode="after")
    def _choices_are_for_letters(self) -> Self:
        if self.answer == "choice" and not self.columns.choices and self.answer_as != "letter":
            raise ValueError("without columns of choices the answer can only be a letter")
        if self.answer != "choice" and self.columns.choices:
            raise ValueError("columns of choices are for the kind of answer `choice`")
        return self

    @property
    def full_prompt(self) -> str:
        """What stands before a question."""
        return self.prompt or PROMPTS[self.answer]


class Source(_Frozen):
    """A file that rows came from."""

    name: str
    """As the user knows it."""
    bytes: Whole
    sha256: str
    split: Split | None = None
    """Where the file is one split."""


class RegisteredRecord(_Frozen):
    """What the home keeps of a registered data set beside its rows."""

    format: Literal[1] = 1
    registration: Registration
    sizes: dict[Split, int]
    longest: tuple[int, int]
    fullest: tuple[int, int]
    rows_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the file of rows."""
    left_out: int = 0
    """Rows that were left out."""
    unscored: int = 0
    """Rows whose own gold answer scores 0."""
    sources: tuple[Source, ...]
    created: Time

    @property
    def version(self) -> str:
        """The hash of what a result depends on: rows, prompt and kind of answer."""
        said = [self.rows_sha256, self.registration.full_prompt, self.registration.answer]
        text = json.dumps(said, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:VERSION_DIGITS]

    @property
    def name(self) -> str:
        """What configs say."""
        return f"{self.registration.name}-{self.version}"

    def data_set(self, folder: Path) -> DataSet:
        """The record that the rest of the product knows.

        Args:
            folder: where the rows lie.
        """
        said = self.registration
        return DataSet(
            name=self.name,
            word=f"{said.word or said.name} ({self.version})",
            help=said.help or f"registered from {_printable(', '.join(one.name for one in self.sources))}"[:300],
            sizes=self.sizes,
            longest=self.longest,
            fullest=self.fullest,
            prompt=said.full_prompt,
            answer=said.answer,
            loader=LOADER,
            place=folder,
        )


def _printable(text: str) -> str:
    """Names of files may hold anything."""
    return "".join(character if character.isprintable() else "?" for character in text)


def read_record(folder: Path) -> RegisteredRecord:
    """The record of a registered data set.

    Raises:
        Unreadable: there is none, or it is damaged or of another version.
    """
    try:
        record = RegisteredRecord.model_validate(read_object(data_set_record(folder), MOST_RECORD))
    except ValidationError as error:
        raise Unreadable(f"its record can't be used: {first_error(error)}") from None
    if record.name != folder.name:
        raise Unreadable(f"its record is that of {record.name}")
    return record


def registered(home: Path | None) -> tuple[dict[str, DataSet], dict[str, str]]:
    """Data sets registered in a home, by name, and of those that can't be used the reasons."""
    if home is None:
        return {}, {}
    folder = registered_dir(home)
    try:
        names = sorted(one.name for one in folder.iterdir() if FULL_NAME.fullmatch(one.name))
    except OSError:  # none was registered yet, or the home can't be read, which whoever uses it says
        return {}, {}
    return _read(folder, tuple(names))


@lru_cache(maxsize=4)
def _read(folder: Path, names: tuple[str, ...]) -> tuple[dict[str, DataSet], dict[str, str]]:
    """Records never change, so they are read again only where one has come or gone."""
    usable, broken = {}, {}
    for name in names:
        try:
            usable[name] = read_record(folder / name).data_set(folder / name)
        except (Unreadable, ValidationError) as error:
            broken[name] = first_error(error) if isinstance(error, ValidationError) else str(error)
    return usable, broken
