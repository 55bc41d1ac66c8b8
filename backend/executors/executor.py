"""What an executor is, as data: how the operator describes its sites, and what a site's batch system can be asked.

Knows no batch system, and nothing of runs: an order is a command that is to be started once, somewhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from backend.serving.variables import check_url

Phase = Literal["pending", "running", "ending", "cancelled", "ended"]
"""Where a batch system has a job: not begun, at work, on its way out, cancelled, or ended in any other way."""

NAME = r"[A-Za-z][A-Za-z0-9_\-]{0,39}"
GIB = 2**30
MOST_GPUS = 64


class NotAnswering(Exception):
    """The batch system says nothing now: whatever was asked may have been done or not."""


class Refused(Exception):
    """The batch system does not take an order; it says why."""


@dataclass(frozen=True)
class Order:
    """A command that a batch system is to start once."""

    name: str
    """Of the job: tells it from all others of this user."""
    size: "Size"
    command: list[str]
    output: Path
    """Takes what it prints."""


@dataclass(frozen=True)
class TheirJob:
    """A job as its batch system lists it."""

    number: str
    name: str
    phase: Phase
    words: str
    """Why it is pending, or how it ended; empty where there is nothing to say."""


class Described(BaseModel):
    """A part of the operator's file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Size(Described):
    """What a job may be given."""

    name: str = Field(pattern=rf"^{NAME}$")
    """How pages call it."""
    gpus: int = Field(default=0, ge=0, le=MOST_GPUS)
    """GPUs of a job; 0 for one that computes on the processor."""
    memory_gib: float = Field(gt=0, le=100_000)
    """Memory of each of these GPUs; without GPUs that of the whole job."""

    @property
    def device(self) -> Literal["cpu", "cuda"]:
        """What torch calls the device."""
        return "cuda" if self.gpus else "cpu"

    @property
    def device_memory(self) -> list[int]:
        """Bytes of each device."""
        return [int(self.memory_gib * GIB)] * max(1, self.gpus)


def _check_folder(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("this is no absolute path")
    return path


class Site(Described, ABC):
    """A place where runs may go, as the operator describes it; a subclass for each batch system knows how to ask it."""

    name: str = Field(pattern=rf"^{NAME}$")
    """How users call it: the heading in the file."""
    executor: str
    """Which batch system it has."""
    folder: Annotated[Path, AfterValidator(_check_folder)]
    """Takes tickets and output of jobs; its machines see it under the same path. Not inside MEMGEN_HOME, whose backup
    would hold the tickets."""
    backend_url: Annotated[str | None, AfterValidator(lambda url: url and check_url(url))] = None
    """Where its machines reach the backend; None for the address that the backend listens on."""
    python: str | None = None
    """Interpreter on its machines that has MemGen Studio installed; None for the backend's own."""
    most_jobs: int = Field(default=50, ge=1, le=10_000)
    """Jobs of ours that it has at the same time, pending ones included; other runs wait here."""
    ticket_hours: float = Field(default=24.0, ge=0.01, le=24 * 365)
    """How long a ticket is good for; while its job is pending it is renewed."""

    @property
    @abstractmethod
    def offers(self) -> Sequence[Size]:
        """What a job may be given; a run gets the first that holds it."""

    @abstractmethod
    def submit(self, order: Order) -> str:
        """Hand an order in; returns the number that it got.

        Raises:
            Refused: the batch system does not take it.
            NotAnswering: nobody knows whether it was taken; the order's name tells, once it answers.
        """

    @abstractmethod
    def ask(self, prefix: str) -> list[TheirJob]:
        """All jobs of this user whose names begin so, those included that ended a short time ago.

        Raises:
            NotAnswering: it does not say.
        """

    @abstractmethod
    def cancel(self, numbers: Sequence[str]) -> None:
        """End jobs, pending or not; those that have ended by themselves are none to worry about.

        Raises:
            NotAnswering: nobody knows whether it was done.
        """


@dataclass(frozen=True)
class Executor:
    """One way to start runs."""

    name: str
    title: str
    """How pages call it."""
    site: type[Site] | None
    """How its sites are described; None where nobody has to be asked, as workers come by themselves."""
