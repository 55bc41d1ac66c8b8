"""Rollouts: what a training from rewards (GRPO) has its model say, group by group, as `rollouts.jsonl` holds it.

A group is the completions of one question in one step. A line holds a group, so that a step of many questions is no
line that nobody can take.
"""

import statistics
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from memgen.contract.answers import Augmentation
from memgen.contract.numbers import Finite, Whole
from memgen.contract.stage_configs import FromRewards

SAME = 1e-9  # rewards of a group that differ by less do not differ
Earned = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
"""A part of a reward: far beyond what scores and penalties can be, and their sums are numbers."""


class Decided(Augmentation):
    """One decision point of a rollout."""

    probability: Finite | None = Field(default=None, ge=0, le=1)
    """Of an insertion, as the trigger saw it at the training's temperature; null where it was not asked."""


class RolledOut(BaseModel):
    """One completion of a group."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    completion: str
    """Generated text up to the first end-of-sequence token."""
    extracted: str | None
    """The answer that was found in it; null where it gives none."""
    rewards: dict[str, Earned]
    """The parts that its reward is the sum of: `accuracy`, and `penalty` where insertions cost something."""
    advantage: Finite
    """How much its reward exceeds those of its group, as the step learned from it."""
    completion_tokens: Whole
    truncated: bool
    """Whether it ended at its length limit."""
    boxed: bool
    """Whether its answer stands in a box."""
    augmentations: list[Decided] = Field(default_factory=list)

    @property
    def reward(self) -> float:
        """What it earned."""
        return sum(self.rewards.values())

    @property
    def boxed_but_wrong(self) -> bool:
        """Whether it keeps to the format and answers wrong."""
        return self.boxed and self.rewards.get("accuracy", 0.0) <= 0


class RolloutGroup(BaseModel):
    """The completions of one question in one step."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    step: int = Field(ge=1, le=2**53 - 1)
    """The first step that learns from it, as metrics count steps."""
    place: Whole
    """Of the group in its step."""
    every: int = Field(default=1, ge=1, le=2**53 - 1)
    """One of so many rollouts of the training is kept."""
    id: str
    """Of the question: its data set and the first 16 hex digits of its hash."""
    question: str
    solution: str
    expected: str | None
    """The answer that the solution gives."""
    completions: list[RolledOut] = Field(min_length=1)

    @property
    def mean_reward(self) -> float:
        """Of its completions."""
        return statistics.fmean(one.reward for one in self.completions)

    @property
    def without_variance(self) -> bool:
        """Whether all completions earn the same, so that nothing is learned from them."""
        return without_variance([one.reward for one in self.completions])


def without_variance(rewards: Sequence[float]) -> bool:
    """Whether the rewards of a group do not differ."""
    return statistics.pstdev(rewards) < SAME


def kept_every(config: FromRewards, total_steps: int) -> int:
    """Of how many rollouts one is kept, so that those of `kept_rollouts` steps are spread over the training; 0: none.

    Args:
        config: of the training.
        total_steps: of the training.
    """
    if not config.kept_rollouts:
        return 0
    rollouts = -(-total_steps // config.num_iterations)
    return max(1, -(-rollouts // config.kept_rollouts))
