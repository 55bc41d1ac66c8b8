"""Stage `weaver_grpo`: the weaver learns from rewards to write latents after which answers are right.

GRPO on tokens (MemGen, arXiv 2509.24704): several completions per question are sampled with latents in place, each is
rewarded for its answer, and what it has more than the mean of its question's completions pushes the log-probabilities
of its tokens. Those come from one pass over the row with its latents where they stood in the rollout, so that gradients
reach the weaver through them; reasoner and trigger stay frozen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from memgen.contract.rows import num_steps
from memgen.contract.stages.weaver_grpo import WeaverGrpoConfig, usual
from memgen.data.questions import Question
from memgen.environment import REWARD_CONDITIONS
from memgen.model.checkpoint import new_model, restore
from memgen.model.drawing import NEWEST, Drawing
from memgen.model.memgen_model import LatentSettings, MemGenModel, Row
from memgen.model.woven_generation import Completion
from memgen.stages.context import Context
from memgen.stages.grpo import check_some_insertion, clipped_gain, copies, drawn_prompts, questions_of, swapped
from memgen.stages.loading import Loaded, load, refuse_other_shape
from memgen.stages.rollout import Judged, Rollout, roll_out
from memgen.stages.rollout_book import RolloutBook
from memgen.stages.slices import slices
from memgen.stages.training import TrainingLoop, resume_point, seed_of
from memgen.stages.width import Width, fixed_width


def weaver_grpo(config: WeaverGrpoConfig, context: Context, questions: list[Question]) -> dict[str, float]:
    """Run the stage; returns its last metrics.

    Raises:
        BadInput: model, checkpoint or the folder to resume can't be used.
        Stopped: a stop was asked for.
    """
    loaded = load(config, context, REWARD_CONDITIONS, may_halve=True)
    chosen, prompts = drawn_prompts(config, context, loaded.base, questions)
    resumed = resume_point(context)
    model, initial = _models(config, loaded, resumed[0] if resumed else None)
    trigger = config.uses_trigger and loaded.manifest is not None and "trigger" in loaded.manifest.trained
    chance = f"at every point but for {config.skip_probability:.0%} of the delimiters, drawn by chance"
    everywhere = chance if config.skip_probability else "at every point"
    context.monitor.say(f"latents stand {'where the trigger of the checkpoint says' if trigger else everywhere}")
    loop = TrainingLoop(
        config,
        context,
        loaded,
        model,
        part="weaver",
        rates={"latents": config.latents_learning_rate, "projections": config.projections_learning_rate},
        total_steps=num_steps(config, len(chosen)),
        resumed=resumed,
        block=config.num_iterations,
    )
    learner = Learner(
        config, context, model, initial, chosen, prompts, trigger=trigger, width=loaded.width, drawing=loop.drawing
    )
    book = RolloutBook(config, context, num_steps(config, len(chosen)), resumed[1] if resumed else 0)
    result = loop.run(learner.step, lambda done, _: book.keep(done, learner.judged))
    return {**result, "num_prompts": len(chosen)}


@dataclass(frozen=True)
class Replay:
    """A completion to learn from."""

    row: Row
    """Prompt and completion, with latents where they stood."""
    seen: torch.Tensor
    """Log-probabilities (n,) of the completion's tokens in the rollout."""
    advantage: float
    weight: float
    """Of each of its tokens in the loss."""


@dataclass
class _Before:
    """Log-probabilities of a replay's tokens before the first step from it, (n,)."""

    old: torch.Tensor
    start: torch.Tensor
    """By the weaver before any training; the same as `old` where no divergence is asked for."""


class Learner:
    """Computes the policy gradient of the completions' tokens.

    Args:
        config: of the run.
        context: of the run.
        model: its weaver is trained.
        initial: the weaver's parameters before training, for the KL divergence.
        questions: of the training.
        prompts: their token ids.
        trigger: whether the model's trigger decides where latents stand.
        width: completions that go through the model at the same time; None takes the config's.
        drawing: how tokens are drawn.
    """

    def __init__(
        self,
        config: WeaverGrpoConfig,
        context: Context,
        model: MemGenModel,
        initial: list[torch.Tensor],
        questions: list[Question],
        prompts: list[list[int]],
        *,
        trigger: bool,
        width: Width | None = None,
        drawing: Drawing = NEWEST,
    ) -> None:
        self._config = config
        self._context = context
        self._model = model
        self._initial = initial
        self._questions = questions
        self._prompts = prompts
        self._drawing = drawing
        self._trigger = trigger
        self._width = width or fixed_width(config)
        self._metrics: dict[str, float] = {}
        self.judged: Judged | None = None
        """The completions that the newest step learned from."""
        self._replays: list[Replay] = []
        self._before: list[_Before] = []

    def step(self, number: int) -> dict[str, float]:
        """Loss and gradients of one step; the first of `num_iterations` generates the completions.

        Dropout stays off: the ratio of a first iteration is exactly 1.
        """
        is_first = number % self._config.num_iterations == 0
        if is_first or not self._metrics:
            rollout = self.roll_out(number)
            self._replays = self._taught_by(rollout)
            self._metrics = self._metrics_of(rollout)
            self.judged = rollout.judged
            self._before = []
        has_none_before = not self._before
        parts = self._width.halving(lambda: self._backward_all(is_first=has_none_before))
        own = [sum(part) for part in zip(*parts, strict=True)] or [0.0, 0.0, 0.0, 0]
        loss, divergence, gap, tokens = self._context.team.sum(*own)
        metrics = dict(self._metrics)
        if self._config.beta:
            metrics["kl"] = divergence
        if is_first and tokens:
            metrics["replay_gap"] = gap / tokens
        return {"loss": loss, **metrics}

    def roll_out(self, number: int) -> Rollout:
        """The completions of a step, with sampled tokens."""
        batch, seeds = questions_of(self._config, len(self._prompts), number)
        return roll_out(
            self._config,
            self._context,
            self._model,
            [self._questions[index] for index in batch],
            [self._prompts[index] for index in batch],
            seeds,
            trigger=self._trigger,
            tokens=True,
            decisions=False,
            width=self._width,
            drawing=self._drawing,
            choose=self._by_chance if self._config.skip_probability else None,
        )

    def _by_chance(self, seed: int, token: int) -> bool:
        """Whether latents stand before a token of the completion with this seed; the prompt keeps its own."""
        return token == 0 or seed_of(seed, "points", token) / 2**56 >= self._config.skip_probability

    def _taught_by(self, rollout: Rollout) -> list[Replay]:
        """This rank's completions that teach something: without a divergence those that differ from their group."""
        config = self._config
        lengths = [one.tokens for one in rollout.judged.facts]
        weights = self._context.team.share(token_weights(lengths, config.loss_type, config.max_completion_length))
        return [
            Replay(replayed(prompt, one), torch.tensor(one.logprobs, device=prompt.device), advantage, weight)
            for prompt, one, advantage, weight in zip(
                rollout.prompts, rollout.completions, rollout.advantages, weights, strict=True
            )
            if advantage or config.beta
        ]

    def _metrics_of(self, rollout: Rollout) -> dict[str, float]:
        logprobs = [logprob for one in rollout.completions for logprob in one.logprobs]
        total, count = self._context.team.sum(sum(logprobs), len(logprobs))
        metrics = rollout.metrics | {"entropy": -total / count}
        if not self._trigger:
            del metrics["insert_rate"]  # nobody was asked
        return metrics

    def _backward_all(self, *, is_first: bool) -> list[tuple[float, float, float, int]]:
        """Gradients of all of this rank's replays, from none; returns what each batch of them says."""
        self._model.zero_grad()
        if is_first:
            self._before = []
        return [self._backward(batch) for batch in slices(range(len(self._replays)), self._width.rows)]

    def _backward(self, batch: Sequence[int]) -> tuple[float, float, float, int]:
        """Gradients of a batch of replays, by their places.

        Returns:
            Its part of the step's loss and KL divergence, how far its tokens' log-probabilities are from those of the
            rollout, and how many tokens it has.
        """
        replays = [self._replays[place] for place in batch]
        is_first = batch[0] == len(self._before)
        at_start = self._at_start(replays) if is_first and self._config.beta else None
        logprobs = self._logprobs(replays)
        if is_first:
            old = [own.detach() for own in logprobs]
            self._before += [_Before(*pair) for pair in zip(old, at_start or old, strict=True)]
        loss, divergence, gap = (torch.zeros(()) for _ in range(3))
        for place, replay, own in zip(batch, replays, logprobs, strict=True):
            before = self._before[place]
            advantages = torch.full_like(own.detach(), replay.advantage)
            gain = clipped_gain(own, before.old, advantages, self._config.epsilon)
            loss = loss - replay.weight * gain.sum()
            divergence = divergence + replay.weight * divergence_of(own, before.start).sum()
            gap = gap + (replay.seen - own.detach()).abs().sum()
        if self._config.beta:
            loss = loss + self._config.beta * divergence
        if loss.requires_grad:  # without any insertion there is nothing to train
            loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()), float(divergence.detach()), float(gap), sum(len(own) for own in logprobs)

    def _logprobs(self, replays: Sequence[Replay]) -> list[torch.Tensor]:
        return self._model.token_logprobs([replay.row for replay in replays], self._config.temperature)

    def _at_start(self, replays: Sequence[Replay]) -> list[torch.Tensor]:
        with swapped(weaver_parameters(self._model), self._initial):
            return self._logprobs(replays)


def replayed(prompt: torch.Tensor, completion: Completion) -> Row:
    """Prompt (P,) and completion as a row that is learned from, with latents where they stood and nowhere else."""
    ids = torch.cat([prompt, torch.tensor(completion.ids, device=prompt.device)])
    inserted = [decision.token for decision in completion.decisions if decision.inserted]
    points = [len(prompt) + token for token in inserted]
    return Row(ids, points, first_label=len(prompt), at_prompt=0 in inserted)


def token_weights(lengths: Sequence[int], loss_type: Literal["grpo", "dr_grpo", "bnpo"], longest: int) -> list[float]:
    """Weight of each token of each completion in a step's loss.

    Args:
        lengths: tokens of each completion, of all ranks.
        loss_type: as of the config; the names are trl's.
        longest: most tokens of a completion.
    """
    if loss_type == "bnpo":
        return [1 / sum(lengths)] * len(lengths)
    divisors = [longest] * len(lengths) if loss_type == "dr_grpo" else lengths
    return [1 / (len(lengths) * divisor) for divisor in divisors]


def divergence_of(logprobs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """KL divergence (n,) from the reference, estimated at drawn tokens: exp(r - l) - (r - l) - 1, never negative."""
    gap = reference - logprobs
    return gap.exp() - gap - 1


def weaver_parameters(model: MemGenModel) -> list[torch.nn.Parameter]:
    """What the stage trains."""
    return [*model.adapters.parameters("weaver").values(), *model.weaver.parameters()]


def _models(config: WeaverGrpoConfig, loaded: Loaded, resumed: Path | None) -> tuple[MemGenModel, list[torch.Tensor]]:
    """The model to train, and the weaver's parameters before any training."""
    if loaded.checkpoint is None:
        numbers = usual(config)
        rank = numbers.pop("lora_r")
        torch.manual_seed(seed_of(config.seed, "weaver"))
        # without dropout, which would move the ratio of a first iteration away from 1
        model = new_model(
            loaded.base,
            LatentSettings.of(numbers),
            lora_r=rank,
            lora_alpha=config.lora_alpha,
            lora_dropout=0.0,
            lora_targets=config.lora_targets or "qv",
            variant=config.weaver_variant or "full",
        )
    else:
        refuse_other_shape(config, loaded.checkpoint)
        model = loaded.model(config, loaded.checkpoint)
    check_some_insertion(model)
    initial = copies(weaver_parameters(model))
    if resumed is not None:
        restore(model, resumed)
    return model, initial
