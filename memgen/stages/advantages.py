"""What a group's completions earn: rewards with the penalty on insertions, and advantages within the group.

Plain numbers of completions that stand group by group, `size` to a question; no torch, no config.
"""

import statistics
from collections.abc import Sequence

from memgen.contract.stages.trigger_grpo import PenaltyForm
from memgen.stages.slices import slices

LEAST_DEVIATION = 1e-4  # added to a deviation that is divided by, as in trl


def group_advantages(rewards: Sequence[float], size: int, *, scale: bool) -> list[float]:
    """Reward minus the mean of its group; with `scale` over the group's standard deviation (n - 1)."""
    advantages: list[float] = []
    for group in slices(rewards, size):
        mean = statistics.fmean(group)
        deviation = statistics.stdev(group) + LEAST_DEVIATION if scale else 1.0
        advantages += [(reward - mean) / deviation for reward in group]
    return advantages


def insert_rate(decisions: Sequence[bool]) -> float:
    """Share of a completion's decisions that insert; 0 where none was asked for."""
    return sum(decisions) / len(decisions) if decisions else 0.0


def penalised(
    scores: Sequence[float], decisions: Sequence[Sequence[bool]], size: int, weight: float, form: PenaltyForm
) -> list[float]:
    """Scores less `weight` times what a completion's insertions cost.

    Insertions cost by how much they exceed p, the mean insert rate of the group's better half: the completions whose
    score is at least the group's median.

    Args:
        scores: of the completions.
        decisions: of each completion, those that the trigger was asked for: True inserts.
        size: completions of a group.
        weight: of the penalty.
        form: `decision` sums max(0, d - p) over a completion's decisions d of 0 or 1 (MemGen, eq. 18-20): an insertion
            costs 1 - p, however few there are; `rate` takes max(0, r - p) once, r being the completion's insert rate.
    """
    rewards: list[float] = []
    for group, taken in zip(slices(scores, size), slices(decisions, size), strict=True):
        median = statistics.median(group)
        usual = statistics.fmean(insert_rate(own) for score, own in zip(group, taken, strict=True) if score >= median)
        for score, own in zip(group, taken, strict=True):
            excesses = own if form == "decision" else [insert_rate(own)]
            rewards.append(score - weight * sum(max(0.0, excess - usual) for excess in excesses))
    return rewards
