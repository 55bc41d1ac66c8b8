"""Finished evaluations beside their bases, and checkpoints beside their best evaluations."""

from typing import Literal

from backend.api.schemas.base import ApiReply, ApiRequest
from backend.api.schemas.checkpoints import CheckpointOut
from backend.api.schemas.runs import RunOut


class GainOut(ApiReply):
    """An evaluation against its base on the questions that both answered, in percentage points."""

    base_id: int
    num_questions: int
    points: float
    low: float
    high: float
    """95 % interval from `low` to `high`."""
    p_value: float
    verdict: Literal["better", "worse", "no_difference", "too_few_questions"]


class BaselineRequest(ApiRequest):
    """Which evaluation to measure others against."""

    run_id: int | None
    """One that has succeeded; null unpins."""


class BaselineOut(ApiReply):
    """The evaluation that others are measured against."""

    run_id: int | None
    """Null where none is pinned."""
    run: RunOut | None
    """Null also where it was deleted."""


class ResultOut(ApiReply):
    """A finished evaluation."""

    run: RunOut
    gain: GainOut | None
    """Against the pinned baseline where it may be compared with that, else against its base; null where there is none
    that it may be compared with, and for the baseline or base itself."""


class CheckpointResult(ApiReply):
    """A checkpoint and what was measured of it."""

    checkpoint: CheckpointOut
    best: ResultOut | None
    """Of its finished evaluations the one with the highest accuracy."""
    num_evaluations: int
    """Finished ones."""


class CheckpointResults(ApiReply):
    """A page of checkpoints, newest first or as asked for."""

    items: list[CheckpointResult]
    next_cursor: str | None
    total: int
