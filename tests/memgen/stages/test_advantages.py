"""Rewards and advantages of a group against numbers worked out by hand."""

import pytest

from memgen.stages.advantages import group_advantages, insert_rate, penalised

YES, NO = True, False  # latents inserted, or not


def test_rewards_are_compared_within_their_group_alone() -> None:
    assert group_advantages([1, 0, 0, 0, 5, 5], 2, scale=False) == [0.5, -0.5, 0, 0, 0, 0]


def test_scaled_advantages_are_those_over_the_deviation_of_their_own_group() -> None:
    # deviations of n - 1: of 1, 0, 0, 0 it is 0.5; of 8, 0, 0, 0 it is 4
    scaled = group_advantages([1, 0, 0, 0, 8, 0, 0, 0], 4, scale=True)
    assert scaled == pytest.approx([1.5, -0.5, -0.5, -0.5] * 2, rel=3e-4)
    assert group_advantages([3, 3, 3], 3, scale=True) == [0, 0, 0]


def test_penalty_by_decision_charges_each_insertion_by_what_the_better_half_left_out() -> None:
    decisions = [[YES, YES, YES, NO], [YES, YES, YES, NO], [YES, NO, NO, NO], [NO, NO]]
    rewards = penalised([1, 0, 0, 0], decisions, 4, 1.0, "decision")
    # each score is at least the median, 0: p = (3/4 + 3/4 + 1/4 + 0) / 4 = 7/16, and an insertion costs 9/16
    assert rewards == pytest.approx([1 - 27 / 16, -27 / 16, -9 / 16, 0])


def test_penalty_by_decision_of_three_of_four_at_a_usual_rate_of_three_quarters_is_three_quarters() -> None:
    decisions = [[YES, YES, YES, NO], [YES, YES, YES, NO]]
    assert penalised([1, 1], decisions, 2, 1.0, "decision") == [0.25, 0.25]
    assert penalised([1, 1], decisions, 2, 2.0, "decision") == [-0.5, -0.5]
    assert penalised([1, 1], decisions, 2, 1.0, "rate") == [1, 1]


def test_only_completions_with_at_least_the_median_score_say_what_is_usual() -> None:
    # median 0.5: the two right ones count, with rates of 1/4 and 3/4
    decisions = [[YES, NO, NO, NO], [YES, YES, YES, NO], [YES, YES, YES, YES], [NO]]
    assert penalised([1, 1, 0, 0], decisions, 4, 1.0, "decision") == [0.5, -0.5, -2.0, 0]
    assert penalised([1, 1, 0, 0], decisions, 4, 1.0, "rate") == [1, 0.75, -0.5, 0]


@pytest.mark.parametrize("form", ["decision", "rate"])
def test_without_weight_or_decisions_nothing_is_charged(form) -> None:
    assert penalised([1, 0], [[YES], [YES, NO]], 2, 0.0, form) == [1, 0]
    assert penalised([1, 0], [[], []], 2, 1.0, form) == [1, 0]


def test_insert_rate_is_the_share_of_the_decisions() -> None:
    assert [insert_rate(one) for one in ([], [NO], [YES, YES, YES, NO])] == [0, 0, 0.75]
