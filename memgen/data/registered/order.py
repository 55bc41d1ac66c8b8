"""What a reader of rows is told, and what it says: see `memgen.data.registered.reader`."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from memgen.contract.data_sets.hub_rows import HubRows
from memgen.contract.data_sets.record import Split
from memgen.contract.data_sets.registered import Registration
from memgen.contract.data_sets.report import Report
from memgen.contract.problem import Problem


class OrderedFile(BaseModel):
    """A file to read, or rows of the hub to fetch."""

    model_config = ConfigDict(frozen=True)

    path: Path | None = None
    name: str
    hub: HubRows | None = None
    split: Split | None = None


class Order(BaseModel):
    """What to do."""

    model_config = ConfigDict(frozen=True)

    files: list[OrderedFile]
    registration: Registration | None = None
    """None: columns and first rows alone."""
    home: Path | None = None
    """Where to keep the rows; None keeps nothing."""


class Result(BaseModel):
    """What came of it."""

    report: Report | None = None
    problems: list[Problem] = []
