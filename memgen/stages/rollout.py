"""A rollout: completions with sampled decisions, their rewards and advantages.

Several ranks share the completions, and tell each other how they did: rewards are compared over all of a group's.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from memgen.contract.data_sets.record import AnswerKind
from memgen.contract.data_sets.registry import data_set
from memgen.contract.stages.trigger_grpo import TriggerGrpoConfig
from memgen.data.questions import Question
from memgen.model.memgen_model import MemGenModel
from memgen.model.woven_generation import Completion, Sampling, generate_woven
from memgen.scoring import accuracy
from memgen.stages.advantages import group_advantages, insert_rate, penalised
from memgen.stages.context import Context
from memgen.stages.slices import slices

SAME = 1e-9  # rewards of a group that differ by less do not differ


@dataclass(frozen=True)
class Rollout:
    """This rank's completions of one step, group by group."""

    prompts: list[torch.Tensor]
    """Token ids of each completion's prompt, (P,)."""
    completions: list[Completion]
    advantages: list[float]
    """Of each completion."""
    num_decisions: int
    """That the trigger was asked for, of all ranks."""
    metrics: dict[str, float]
    """Of all ranks."""


@dataclass(frozen=True)
class _Facts:
    """How one completion did."""

    score: float
    insertions: int
    decisions: tuple[bool, ...]
    """Those that the trigger was asked for: whether latents were inserted."""
    length: int
    ended: bool


def correctness(
    completions: Sequence[str], solution: Sequence[str], kind: AnswerKind = "number", **_: object
) -> list[float]:
    """Reward of each completion: its boxed answer is the solution's (a TRL reward function)."""
    return [accuracy(one, right, kind, require_box=True) for one, right in zip(completions, solution, strict=True)]


def roll_out(
    config: TriggerGrpoConfig,
    context: Context,
    model: MemGenModel,
    questions: Sequence[Question],
    prompts: Sequence[list[int]],
    seeds: Sequence[int],
) -> Rollout:
    """Generate `num_generations` completions per question and reward them.

    Args:
        config: of the run.
        context: of the run.
        model: in eval mode.
        questions: of the step.
        prompts: their token ids.
        seeds: one per completion, question by question.

    Raises:
        Stopped: a stop was asked for.
    """
    size, team = config.num_generations, context.team
    mine = team.share(range(len(prompts) * size))
    asked = [torch.tensor(prompts[number // size], device=model.base.device) for number in mine]
    completions = _complete(config, context, model, asked, [seeds[number] for number in mine])
    texts = [model.base.tokenizer.decode(one.text_ids, skip_special_tokens=True) for one in completions]
    scores = correctness(texts, [questions[number // size].solution for number in mine], data_set(config.data).answer)
    facts = team.gather([_facts(one, score) for one, score in zip(completions, scores, strict=True)])
    rewards = penalised(
        [one.score for one in facts],
        [one.decisions for one in facts],
        size,
        config.insertion_penalty,
        config.insertion_penalty_form,
    )
    advantages = team.share(group_advantages(rewards, size, scale=config.scale_rewards == "group"))
    num_decisions = sum(len(one.decisions) for one in facts)
    return Rollout(asked, completions, list(advantages), num_decisions, _metrics(facts, rewards, size))


def _complete(
    config: TriggerGrpoConfig,
    context: Context,
    model: MemGenModel,
    prompts: Sequence[torch.Tensor],
    seeds: Sequence[int],
) -> list[Completion]:
    """A completion per prompt, `batch_size` at the same time."""
    completions: list[Completion] = []
    for batch in slices(range(len(prompts)), config.batch_size):
        if context.stop.requested() is not None:
            break
        completions += generate_woven(
            model,
            [prompts[place] for place in batch],
            config.max_completion_length,
            trigger=True,
            sampling=Sampling(
                config.temperature,
                config.sample_tokens,
                [torch.Generator().manual_seed(seeds[place]) for place in batch],
            ),
            should_stop=lambda: context.stop.requested() is not None,
        )
    context.team.check_stop(context.stop)
    return completions


def _facts(completion: Completion, score: float) -> _Facts:
    return _Facts(
        score=score,
        insertions=sum(decision.inserted for decision in completion.decisions),
        decisions=tuple(decision.inserted for decision in completion.decisions if decision.asked),
        length=len(completion.text_ids),
        ended=completion.ended,
    )


def _metrics(facts: Sequence[_Facts], rewards: Sequence[float], size: int) -> dict[str, float]:
    deviations = [statistics.pstdev(group) for group in slices(rewards, size)]
    n = len(facts)
    return {
        "reward": statistics.fmean(rewards),
        "reward_std": statistics.fmean(deviations),
        "accuracy": statistics.fmean(one.score for one in facts),
        "frac_reward_zero_std": sum(deviation < SAME for deviation in deviations) / len(deviations),
        "insert_rate": statistics.fmean(insert_rate(one.decisions) for one in facts),
        "insertions": sum(one.insertions for one in facts) / n,
        "completions/mean_length": sum(one.length for one in facts) / n,
        "completions/truncated": sum(not one.ended for one in facts) / n,
    }
