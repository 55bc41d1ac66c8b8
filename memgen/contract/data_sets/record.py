"""The record of a data set: everything that the product knows of it. How its rows are read is its loader's business."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Split = Literal["test", "validation", "train"]
AnswerKind = Literal["number", "choice", "expression", "exact text"]
FUNCTION = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$"
"""Dotted path of a function: `package.module:function`."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DataFolder(_Frozen):
    """A folder of the user's with the rows of a data set."""

    setting: str = Field(max_length=100, pattern=r"^MEMGEN_[A-Z][A-Z0-9_]*_DIR$")
    """Environment variable that names the folder. Backend, worker and trainer read it."""
    files: tuple[str, ...] = Field(min_length=1)
    """What must be in the folder."""
    way_out: str
    """What to do where the folder can't be used, in full sentences."""


class DataSet(_Frozen):
    """One data set."""

    name: str = Field(max_length=60, pattern=r"^[a-z][a-z0-9_-]*$")
    """What configs say. Ids of questions begin with it, and folders of outputs have its name."""
    word: str = Field(min_length=1, max_length=60)
    """How forms call it."""
    help: str = Field(min_length=1, max_length=300)
    """What it holds, one phrase without a full stop."""
    sizes: dict[Split, int] | str
    """Rows of each split; or the dotted path of a function that counts them, given the folder or None."""
    longest: tuple[int, int]
    """Tokens of the longest prompt and the longest solution, a little above what a usual tokenizer makes of them."""
    fullest: tuple[int, int]
    """Tokens per row, of prompt and solution, in the fullest batch of two training rows or more, rows being packed."""
    prompt: str = Field(min_length=1, max_length=10_000)
    r"""What stands before `Question: ...` in the user's turn. It should ask for the answer in `\boxed{}`."""
    answer: AnswerKind
    """How answers are found and compared; see docs/scoring.md."""
    loader: str = Field(pattern=FUNCTION)
    """Dotted path of the function that reads the rows: `load(split, seed, folder)` returns a list of
    `memgen.data.questions.Question` with unique ids. It imports no torch."""
    is_local: bool = True
    """Whether rows can be read in seconds without a network where no folder is set."""
    folder: DataFolder | None = None
    """Where the user may keep the rows."""
    place: Path | None = None
    """Of a registered data set the folder in the home that holds its rows."""

    @field_validator("sizes")
    @classmethod
    def _sizes_are_counts_or_a_function(cls, value: dict[Split, int] | str) -> dict[Split, int] | str:
        if isinstance(value, str):
            module, _, function = value.partition(":")
            if not module or not function.isidentifier():
                raise ValueError("name a function as package.module:function")
        elif not value or min(value.values()) < 1:
            raise ValueError("name at least one split, and no split without rows")
        return value

    @field_validator("longest", "fullest")
    @classmethod
    def _lengths_are_positive(cls, value: tuple[int, int]) -> tuple[int, int]:
        if min(value) < 1:
            raise ValueError("a prompt and a solution have at least one token each")
        return value
