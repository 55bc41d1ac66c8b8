"""What is done with many runs at once, and what would be."""

from typing import Annotated

from pydantic import Field, StrictBool

from backend.api.schemas.base import ApiReply, ApiRequest
from memgen.contract.problem import Problem
from memgen.contract.status import RunStatus, StopMode

MOST_AT_ONCE = 200
Id = Annotated[int, Field(ge=1, lt=2**63)]
Runs = Annotated[list[Id], Field(min_length=1, max_length=MOST_AT_ONCE)]


class BulkStop(ApiRequest):
    """Runs to stop, and how."""

    runs: Runs
    """Their ids; one that is named twice counts once."""
    mode: StopMode = StopMode.SAVE
    confirm: StrictBool = False
    """Without it only what would happen is told."""


class BulkDelete(ApiRequest):
    """Runs to delete with their files."""

    runs: Runs
    """Their ids; one that is named twice counts once."""
    confirm: StrictBool = False
    """Without it only what would happen is told."""


class BulkItem(ApiReply):
    """What becomes of one of the runs."""

    run_id: int
    status: RunStatus | None
    """Before anything was done; null where there is no such run."""
    outcome: str
    """What was done with it, or would be, in a few words that several runs may share; empty where it stays as it is."""
    problem: Problem | None = None
    """Why it stays as it is."""


class BulkOut(ApiReply):
    """What was done with many runs, or would be."""

    confirmed: bool
    """Whether it was done."""
    items: list[BulkItem]
    """In the order in which the runs were named."""
    also: list[str] = Field(default_factory=list)
    """What else happens because of it, a sentence each."""
    size_bytes: int = 0
    """Of the files that a deletion takes away."""
    left: list[str] = Field(default_factory=list)
    """Files of deleted runs that could not be removed, each path with the reason."""

    @property
    def done(self) -> list[int]:
        """Runs with which it was done, or would be."""
        return [item.run_id for item in self.items if item.problem is None]

    @property
    def refused(self) -> list[BulkItem]:
        """Runs that stay as they are."""
        return [item for item in self.items if item.problem is not None]
