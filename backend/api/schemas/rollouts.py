"""Rollouts: what trainings from rewards had their model say."""

from typing import Literal

from backend.api.schemas.base import ApiReply
from memgen.contract.rollouts import RolloutGroup

RolloutFilter = Literal["all", "without_variance", "truncated", "boxed_wrong"]
"""Groups whose completions all earn the same, that have a truncated one, or one whose boxed answer is wrong."""


class RolloutStep(ApiReply):
    """One step in short."""

    step: int
    groups: int
    """Questions of the step."""
    matching: int
    """Of them those that the filter lets through."""
    reward: float
    """Mean of its completions."""
    without_variance: float
    """Share of its groups whose completions all earn the same."""
    truncated: float
    """Share of its completions that ended at the length limit."""
    boxed_wrong: float
    """Share of its completions whose boxed answer is wrong."""


class RolloutsOut(ApiReply):
    """A page of a training's steps, and the groups of one of them."""

    steps: list[RolloutStep]
    """Those that have groups which the filter lets through."""
    next_cursor: str | None
    total: int
    """Such steps, on all pages."""
    counts: dict[str, int]
    """Groups by filter: `all`, `without_variance`, `truncated`, `boxed_wrong`."""
    step: int | None
    """Whose groups these are."""
    groups: list[RolloutGroup]
    """At most 64."""
