"""Tags, and the archive: what lists are put in order with."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool

from backend.api.schemas.base import ApiReply, ApiRequest
from backend.api.schemas.bulk import MOST_AT_ONCE, Id, Runs
from memgen.contract.problem import Problem

Shown = Literal["no", "also", "only"]
"""What a list does with what is in the archive."""
_Words = Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=50)]
_Pipelines = Annotated[list[Id], Field(min_length=1, max_length=MOST_AT_ONCE)]


class _TagChange(ApiRequest):
    add: _Words = Field(default_factory=list)
    """Tags that they get; a tag that is there in another spelling is taken as it is spelled there."""
    remove: _Words = Field(default_factory=list)
    """Tags that they lose."""
    confirm: StrictBool = False
    """Without it only what would happen is told."""


class RunTags(_TagChange):
    """Tags that runs get or lose, and their group."""

    runs: Runs
    """Their ids; one that is named twice counts once."""
    group: Annotated[str, Field(max_length=200)] | None = None
    """The tag that they are listed and drawn with from now on, which they get, too; empty for none, null leaves it."""


class PipelineTags(_TagChange):
    """Tags that pipelines get or lose."""

    pipelines: _Pipelines
    """Their numbers; one that is named twice counts once."""


class RunArchive(ApiRequest):
    """Runs to put into the archive, or to take out of it."""

    runs: Runs
    """Their ids; one that is named twice counts once."""
    archived: StrictBool = True
    """Whether they are to be in it."""
    confirm: StrictBool = False
    """Without it only what would happen is told."""


class PipelineArchive(ApiRequest):
    """Pipelines to put into the archive, or to take out of it, with the runs that they submitted."""

    pipelines: _Pipelines
    """Their numbers; one that is named twice counts once."""
    archived: StrictBool = True
    """Whether they are to be in it."""
    confirm: StrictBool = False
    """Without it only what would happen is told."""


class PipelineItem(ApiReply):
    """What becomes of one of the pipelines."""

    pipeline_id: int
    outcome: str
    """What was done with it, or would be, in a few words that several may share; empty where it stays as it is."""
    problem: Problem | None = None
    """Why it stays as it is."""


class PipelinesOut(ApiReply):
    """What was done with many pipelines, or would be."""

    confirmed: bool
    """Whether it was done."""
    items: list[PipelineItem]
    """In the order in which the pipelines were named."""


class TagOut(ApiReply):
    """A tag that is in use."""

    name: str
    num_runs: int
    num_group: int
    """Of the runs those whose group it is."""
    num_pipelines: int


class TagList(ApiReply):
    """Every tag in use, by its name."""

    items: list[TagOut]
    next_cursor: str | None = None
