"""Pipelines and their steps."""

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.api.schemas.base import ApiReply
from backend.api.schemas.launch import PreflightReply
from backend.api.schemas.results import GainOut
from backend.api.schemas.runs import RunOut
from memgen.contract.pipeline import StepName
from memgen.contract.problem import Problem
from memgen.contract.status import PipelineStatus, RunStatus


class PipelineStepOut(ApiReply):
    """One step of a pipeline."""

    step: StepName
    label: str
    reused: bool
    """Whether the run, or the checkpoint, was there before the pipeline."""
    run: RunOut | None
    """None once the run was deleted, and where a checkpoint from outside stands for it."""
    checkpoint: int | None = None
    """Number of the checkpoint from outside that stands for the step."""
    reason: str
    """Why it was skipped or what it waits for, and whose fault it is."""
    gain: GainOut | None = None
    """Of a finished evaluation its change against the pipeline's base; told of one pipeline alone, not in lists."""
    warnings: list[str] = Field(default_factory=list)
    """What its trainer warned of; told of one pipeline alone."""
    can_be_fixed: bool = False
    """Whether it failed for a reason that its config can mend; told of one pipeline alone."""

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.checkpoint is not None or (self.run is not None and self.run.status is RunStatus.SUCCEEDED)


class PipelineOut(ApiReply):
    """A pipeline with its steps in their order."""

    id: int
    note: str
    preset: str
    data: str
    created_at: datetime
    ended_at: datetime | None
    status: PipelineStatus
    steps: list[PipelineStepOut]
    can_continue: bool
    continue_reason: str
    """What *continue* would do, or why there is nothing to continue."""
    spec: dict[str, Any]
    """What was asked for."""
    tags: list[str] = Field(default_factory=list)
    """Words that it is found by."""
    archived: bool = False
    """Whether lists leave it out unless they are asked for it."""
    fixed_by: int | None = None
    """Newest pipeline that mends it; told of one pipeline alone."""


class PipelineNumbers(ApiReply):
    """Pipelines that match a filter, by their numbers alone."""

    pipelines: list[int]
    """The newest first."""
    runs: list[int]
    """Runs that these have submitted and that are there, the newest first."""
    total: int
    """How many match; more than are named where there are more than a reply names."""


class PipelineList(ApiReply):
    """A page of pipelines, newest first or as asked for."""

    items: list[PipelineOut]
    next_cursor: str | None
    total: int | None = None
    """Pipelines on all pages; null from a backend of a version before."""


class OutsideBrief(ApiReply):
    """A checkpoint from outside, as far as it takes to choose it."""

    id: int
    name: str
    note: str


class Candidates(ApiReply):
    """What may stand for the steps of a pipeline."""

    steps: dict[str, list[RunOut]]
    """Finished runs by step, the newest first."""
    checkpoints: dict[str, list[OutsideBrief]] = Field(default_factory=dict)
    """Checkpoints from outside by step, the newest first."""


class PipelinePreflight(ApiReply):
    """Whether a pipeline would run, and what its steps would take."""

    ok: bool
    problems: list[Problem]
    steps: dict[StepName, PreflightReply]
    """Of the steps to run; empty where something is wrong."""
    outside: list[int] = Field(default_factory=list)
    """Numbers of the checkpoints from outside among what is reused."""
