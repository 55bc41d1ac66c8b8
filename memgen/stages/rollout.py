"""A rollout: sampled completions, their rewards and advantages.

Several ranks share the completions, and tell each other how they did: rewards are compared over all of a group's.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from memgen.contract.data_sets.record import AnswerKind
from memgen.contract.data_sets.registry import data_set
from memgen.contract.rollouts import Decided, without_variance
from memgen.contract.stage_configs import FromRewards
from memgen.data.questions import Question
from memgen.model.drawing import Drawing
from memgen.model.memgen_model import MemGenModel
from memgen.model.woven_generation import Choose, Completion, Decision, Sampling, generate_woven
from memgen.scoring import accuracy, format_ok
from memgen.stages.advantages import group_advantages, insert_rate
from memgen.stages.context import Context
from memgen.stages.slices import slices
from memgen.stages.width import Width


@dataclass(frozen=True)
class Facts:
    """How one completion did."""

    score: float
    insertions: int
    decisions: tuple[bool, ...]
    """Those that the trigger was asked for: whether latents were inserted."""
    length: int
    tokens: int
    """With `<|im_end|>`, if it came."""
    ended: bool
    text: str
    boxed: bool
    points: tuple[Decided, ...] = ()
    """All decision points, those included where nobody was asked."""


@dataclass(frozen=True)
class Judged:
    """What the completions of one step have earned, those of all ranks, group by group."""

    questions: Sequence[Question]
    """Of each group."""
    facts: list[Facts]
    rewards: list[float]
    advantages: list[float]


@dataclass(frozen=True)
class Rollout:
    """This rank's completions of one step, group by group."""

    prompts: list[torch.Tensor]
    """Token ids of each completion's prompt, (P,)."""
    completions: list[Completion]
    advantages: list[float]
    """Of each completion."""
    judged: Judged
    metrics: dict[str, float]
    """Of all ranks."""


def correctness(
    completions: Sequence[str], solution: Sequence[str], kind: AnswerKind = "number", **_: object
) -> list[float]:
    """Reward of each completion: its boxed answer is the solution's (a TRL reward function)."""
    return [accuracy(one, right, kind, require_box=True) for one, right in zip(completions, solution, strict=True)]


def scores(facts: Sequence[Facts]) -> list[float]:
    """Rewards that are nothing but scores."""
    return [one.score for one in facts]


def roll_out(
    config: FromRewards,
    context: Context,
    model: MemGenModel,
    questions: Sequence[Question],
    prompts: Sequence[list[int]],
    seeds: Sequence[int],
    *,
    trigger: bool,
    tokens: bool,
    decisions: bool,
    width: Width,
    drawing: Drawing,
    choose: Callable[[int, int], bool] | None = None,
    earn: Callable[[Sequence[Facts]], list[float]] = scores,
) -> Rollout:
    """Generate `num_generations` completions per question and reward them.

    Args:
        config: of the run.
        context: of the run.
        model: in eval mode.
        questions: of the step.
        prompts: their token ids.
        seeds: one per completion, question by question.
        trigger: whether the trigger decides; else latents are always inserted.
        tokens: whether tokens are sampled; else they are greedy.
        decisions: whether the trigger's decisions are sampled; else they are greedy.
        width: completions under way at the same time; it halves where memory runs out.
        drawing: how sampled tokens and decisions are drawn.
        choose: from a completion's seed and the token that follows to whether latents are inserted, where no trigger
            decides.
        earn: the rewards of completions; as it stands, their scores.

    Raises:
        Stopped: a stop was asked for.
    """
    size, team = config.num_generations, context.team
    mine = team.share(range(len(prompts) * size))
    asked = [torch.tensor(prompts[number // size], device=model.base.device) for number in mine]

    def generate() -> list[Completion]:
        completions: list[Completion] = []
        for batch in slices(range(len(mine)), width.rows):
            if context.stop.requested() is not None:
                break
            drawn = [seeds[mine[place]] for place in batch]
            generators = [torch.Generator().manual_seed(seed) for seed in drawn]
            completions += generate_woven(
                model,
                [asked[place] for place in batch],
                config.max_completion_length,
                trigger=trigger,
                sampling=Sampling(config.temperature, tokens, generators, decisions, drawing),
                choose=_by_seed(drawn, choose) if choose is not None else None,
                should_stop=lambda: context.stop.requested() is not None,
            )
        return completions

    completions = width.halving(generate)
    team.check_stop(context.stop)
    texts = [model.base.tokenizer.decode(one.text_ids, skip_special_tokens=True) for one in completions]
    scored = correctness(texts, [questions[number // size].solution for number in mine], data_set(config.data).answer)
    facts = team.gather([_facts(model, *one) for one in zip(completions, texts, scored, strict=True)])
    rewards = earn(facts)
    advantages = group_advantages(rewards, size, scale=config.scale_rewards == "group")
    judged = Judged(questions, facts, rewards, advantages)
    return Rollout(asked, completions, list(team.share(advantages)), judged, _metrics(facts, rewards, size))


def _by_seed(seeds: Sequence[int], choose: Callable[[int, int], bool]) -> Choose:
    """What chooses points, by the number of the prompt in its batch."""
    return lambda number, token: choose(seeds[number], token)


def _facts(model: MemGenModel, completion: Completion, text: str, score: float) -> Facts:
    return Facts(
        score=score,
        insertions=sum(decision.inserted for decision in completion.decisions),
        decisions=tuple(decision.inserted for decision in completion.decisions if decision.asked),
        length=len(completion.text_ids),
        tokens=len(completion.ids),
        ended=completion.ended,
        text=text,
        boxed=format_ok(text),
        points=tuple(_decided(model, completion, decision) for decision in completion.decisions),
    )


def _decided(model: MemGenModel, completion: Completion, decision: Decision) -> Decided:
    before = model.base.tokenizer.decode(completion.text_ids[: decision.token], skip_special_tokens=True)
    taken = math.exp(min(0.0, decision.logprob))
    return Decided(
        token=decision.token,
        asked=decision.asked,
        inserted=decision.inserted,
        character=len(before),
        probability=(taken if decision.inserted else 1 - taken) if decision.asked else None,
    )


def _metrics(facts: Sequence[Facts], rewards: Sequence[float], size: int) -> dict[str, float]:
    groups = slices(rewards, size)
    n = len(facts)
    return {
        "reward": statistics.fmean(rewards),
        "reward_std": statistics.fmean(statistics.pstdev(group) for group in groups),
        "accuracy": statistics.fmean(one.score for one in facts),
        "frac_reward_zero_std": sum(map(without_variance, groups)) / len(groups),
        "insert_rate": statistics.fmean(insert_rate(one.decisions) for one in facts),
        "insertions": sum(one.insertions for one in facts) / n,
        "completions/mean_length": sum(one.length for one in facts) / n,
        "completions/truncated": sum(not one.ended for one in facts) / n,
        "completions/boxed": sum(one.boxed for one in facts) / n,
    }
