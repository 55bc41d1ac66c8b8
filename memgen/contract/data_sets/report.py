"""What is said of a user's rows before anything starts: what is wrong, where, and how the first ones look."""

from pydantic import BaseModel, ConfigDict

from memgen.contract.data_sets.record import Split
from memgen.contract.errors import BadInput
from memgen.contract.problem import Problem


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class Place(_Frozen):
    """Where a row stands."""

    file: str
    row: int
    """Counted from 1; a table's header does not count, in a file of JSON lines each line does."""
    split: Split | None = None

    def __str__(self) -> str:
        return f"{self.file}, row {self.row}" + (f" ({self.split})" if self.split else "")


class BadRow(_Frozen):
    """A row that can't be used."""

    place: Place
    column: str | None
    message: str
    value: str | None

    def __str__(self) -> str:
        column = f", column {self.column}" if self.column is not None else ""
        value = f" (got {self.value!r})" if self.value is not None else ""
        return f"{self.place}{column}: {self.message}{value}"


class Repeated(_Frozen):
    """A question that stands in several rows."""

    question: str
    """Its beginning."""
    places: tuple[Place, ...]

    def __str__(self) -> str:
        return f"{' and '.join(map(str, self.places))}: {self.question!r}"


class Sample(_Frozen):
    """A row as a model sees it."""

    place: Place
    prompt: str
    """As it is rendered."""
    solution: str
    """What a weaver learns to write; scorers compare with its answer."""
    answer: str | None
    """What the scorer finds in the solution."""
    score: float
    """Of the solution against itself, by its box: 1, or 0 where no completion can be right."""


class Report(_Frozen):
    """What is known of rows and of how their columns are mapped."""

    columns: tuple[str, ...]
    """Of the first file."""
    first_rows: tuple[dict[str, str], ...] = ()
    """Of the first file, each value as a short text."""
    rows: int = 0
    """That were read."""
    sizes: dict[Split, int] = {}
    """Questions of each split."""
    drawn: tuple[Split, ...] = ()
    """Splits that are drawn by the seed."""
    bad_rows: tuple[BadRow, ...] = ()
    """The first of them."""
    num_bad_rows: int = 0
    duplicates: tuple[Repeated, ...] = ()
    """The first of the questions that occur more than once in a split."""
    num_duplicates: int = 0
    leaks: tuple[Repeated, ...] = ()
    """The first of the questions that stand in two splits."""
    num_leaks: int = 0
    left_out: int = 0
    """Rows that are left out for it."""
    unscored: tuple[Place, ...] = ()
    """The first rows whose own gold answer scores 0."""
    num_unscored: int = 0
    samples: tuple[Sample, ...] = ()
    longest: tuple[int, int] | None = None
    """Tokens of the longest prompt and solution, about."""
    fullest: tuple[int, int] | None = None
    """Tokens per row in the fullest batch of training rows, about."""
    problems: tuple[Problem, ...] = ()
    """Why it can't be registered."""
    warnings: tuple[str, ...] = ()
    name: str | None = None
    """What configs will say, or say, of these rows; null where they can't be registered."""


class Refused(BadInput):
    """Rows that can't be registered; `problems` lists every reason, the first is the error itself."""

    def __init__(self, report: Report) -> None:
        super().__init__(**dict(report.problems[0]))
        self.report = report
        self.problems = [BadInput(**dict(one)) for one in report.problems]
