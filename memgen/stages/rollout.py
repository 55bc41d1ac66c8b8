"""A rollout: completions with sampled decisions, their rewards and advantages."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from memgen.contract.stage_configs import TriggerGrpoConfig
from memgen.data.questions import Question
from memgen.model.memgen_model import MemGenModel, Row
from memgen.model.woven_generation import Completion, Sampling, generate_woven
from memgen.scoring import accuracy
from memgen.stop import StopRequest

SAME = 1e-9  # rewards of a group that differ by less do not differ


@dataclass(frozen=True)
class Rollout:
    """Completions of one step, group by group; only those that were asked for a decision are rows."""

    rows: list[Row]
    """Prompt and completion, with a point per asked decision."""
    actions: list[torch.Tensor]
    """Per row 1 where latents were inserted, else 0, (n,)."""
    advantages: list[float]
    """Per row."""
    metrics: dict[str, float]


def correctness(completions: Sequence[str], solution: Sequence[str], **_: object) -> list[float]:
    """Reward of each completion: its boxed answer has the value of the solution's (a TRL reward function)."""
    return [accuracy(one, right, require_box=True) for one, right in zip(completions, solution, strict=True)]


def roll_out(
    config: TriggerGrpoConfig,
    model: MemGenModel,
    questions: Sequence[Question],
    prompts: Sequence[list[int]],
    generator: torch.Generator,
    stop: StopRequest,
) -> Rollout:
    """Generate `num_generations` completions per question and reward them.

    Raises:
        Stopped: a stop was asked for.
    """
    size = config.num_generations
    repeated = [torch.tensor(ids, device=model.base.device) for ids in prompts for _ in range(size)]
    completions = generate_woven(
        model,
        repeated,
        config.max_completion_length,
        trigger=True,
        sampling=Sampling(config.temperature, config.sample_tokens, generator),
        should_stop=lambda: stop.requested() is not None,
    )
    stop.check()
    texts = [model.base.tokenizer.decode(one.text_ids, skip_special_tokens=True) for one in completions]
    scores = correctness(texts, [question.solution for question in questions for _ in range(size)])
    rates = [_insert_rate(completion) for completion in completions]
    rewards = penalised(scores, rates, size, config.insertion_penalty)
    advantages = group_advantages(rewards, size, scale=config.scale_rewards == "group")
    asked = [[decision for decision in one.decisions if decision.asked] for one in completions]
    rows, actions, kept = [], [], []
    for prompt, completion, decisions, advantage in zip(repeated, completions, asked, advantages, strict=True):
        if decisions:
            ids = torch.cat([prompt, torch.tensor(completion.ids, device=prompt.device)])
            rows.append(Row(ids, [len(prompt) + decision.token for decision in decisions]))
            actions.append(torch.tensor([int(decision.inserted) for decision in decisions], device=prompt.device))
            kept.append(advantage)
    return Rollout(rows, actions, kept, _metrics(completions, scores, rewards, rates, size))


def group_advantages(rewards: Sequence[float], size: int, *, scale: bool) -> list[float]:
    """Reward minus the mean of its group of `size`; with `scale` over the group's standard deviation."""
    advantages: list[float] = []
    for group in _groups(rewards, size):
        mean = statistics.fmean(group)
        deviation = statistics.stdev(group) if scale else 1.0
        advantages += [(reward - mean) / (deviation + 1e-4 * scale) for reward in group]
    return advantages


def penalised(scores: Sequence[float], rates: Sequence[float], size: int, weight: float) -> list[float]:
    """Scores less `weight` times what a completion's insert rate exceeds that of its group's better half by.

    The better half are the completions whose score is at least the group's median (MemGen, eq. 18-20).
    """
    rewards: list[float] = []
    for group, own in zip(_groups(scores, size), _groups(rates, size), strict=True):
        median = statistics.median(group)
        usual = statistics.fmean(rate for score, rate in zip(group, own, strict=True) if score >= median)
        rewards += [score - weight * max(0.0, rate - usual) for score, rate in zip(group, own, strict=True)]
    return rewards


def _groups(values: Sequence[float], size: int) -> list[Sequence[float]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _insert_rate(completion: Completion) -> float:
    asked = [decision.inserted for decision in completion.decisions if decision.asked]
    return sum(asked) / len(asked) if asked else 0.0


def _metrics(
    completions: Sequence[Completion],
    scores: Sequence[float],
    rewards: Sequence[float],
    rates: Sequence[float],
    size: int,
) -> dict[str, float]:
    deviations = [statistics.pstdev(group) for group in _groups(rewards, size)]
    n = len(completions)
    return {
        "reward": statistics.fmean(rewards),
        "reward_std": statistics.fmean(deviations),
        "accuracy": statistics.fmean(scores),
        "frac_reward_zero_std": sum(deviation < SAME for deviation in deviations) / len(deviations),
        "insert_rate": statistics.fmean(rates),
        "insertions": sum(decision.inserted for one in completions for decision in one.decisions) / n,
        "completions/mean_length": sum(len(one.text_ids) for one in completions) / n,
        "completions/truncated": sum(not one.ended for one in completions) / n,
    }
