"""Stage `trigger_grpo`: the trigger learns from rewards where to insert latents; everything else stays frozen.

GRPO on decisions (MemGen, arXiv 2509.24704): several completions per question are generated with sampled decisions,
each is rewarded for its answer, and what it has more than the mean of its question's completions pushes the
log-probabilities of its [skip, insert] decisions. Tokens have no part in the loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from memgen.contract.errors import BadInput
from memgen.contract.rows import num_steps
from memgen.contract.stages.trigger_grpo import TriggerGrpoConfig
from memgen.data.questions import Question
from memgen.environment import REWARD_CONDITIONS
from memgen.model.checkpoint import restore
from memgen.model.drawing import NEWEST, Drawing
from memgen.model.memgen_model import MemGenModel, Row
from memgen.stages.advantages import penalised
from memgen.stages.context import Context
from memgen.stages.grpo import check_some_insertion, clipped_gain, copies, drawn_prompts, questions_of, swapped
from memgen.stages.loading import Loaded, load
from memgen.stages.rollout import Facts, Judged, Rollout, roll_out
from memgen.stages.rollout_book import RolloutBook
from memgen.stages.slices import slices
from memgen.stages.training import TrainingLoop, resume_point
from memgen.stages.width import Width, fixed_width


def trigger_grpo(config: TriggerGrpoConfig, context: Context, questions: list[Question]) -> dict[str, float]:
    """Run the stage; returns its last metrics.

    Raises:
        BadInput: model, checkpoint or the folder to resume can't be used.
        Stopped: a stop was asked for.
    """
    loaded = load(config, context, REWARD_CONDITIONS, may_halve=True)
    chosen, prompts = drawn_prompts(config, context, loaded.base, questions)
    resumed = resume_point(context)
    model, initial = _models(config, loaded, resumed[0] if resumed else None)
    loop = TrainingLoop(
        config,
        context,
        loaded,
        model,
        part="trigger",
        rates={"head": config.head_learning_rate},
        total_steps=num_steps(config, len(chosen)),
        resumed=resumed,
        block=config.num_iterations,
    )
    learner = Learner(config, context, model, initial, chosen, prompts, width=loaded.width, drawing=loop.drawing)
    book = RolloutBook(config, context, num_steps(config, len(chosen)), resumed[1] if resumed else 0)
    result = loop.run(learner.step, lambda done, _: book.keep(done, learner.judged))
    return {**result, "num_prompts": len(chosen)}


@dataclass(frozen=True)
class _Asked:
    """A completion whose trigger was asked."""

    row: Row
    """Prompt and completion, with a point per decision that the trigger was asked for."""
    actions: torch.Tensor
    """Of each decision 1 where latents were inserted, else 0, (n,)."""
    advantage: float


@dataclass
class _Before:
    """Log-probabilities of a completion's decisions before the first step from it."""

    taken: torch.Tensor
    """Of those that were taken, (n,)."""
    initial: torch.Tensor
    """Of both choices, by the trigger before any training, (n, 2); empty where no divergence is asked for."""


class Learner:
    """Computes the policy gradient of the trigger's decisions.

    Args:
        config: of the run.
        context: of the run.
        model: its trigger is trained.
        initial: the trigger's parameters before training, for the KL divergence.
        questions: of the training.
        prompts: their token ids.
        width: completions that go through the model at the same time; None takes the config's.
        drawing: how decisions and tokens are drawn.
    """

    def __init__(
        self,
        config: TriggerGrpoConfig,
        context: Context,
        model: MemGenModel,
        initial: list[torch.Tensor],
        questions: list[Question],
        prompts: list[list[int]],
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
        self._rollout: Rollout | None = None
        self._width = width or fixed_width(config)
        self._asked: list[_Asked] = []
        self._before: list[_Before] = []

    @property
    def judged(self) -> Judged | None:
        """The completions that the newest step learned from."""
        return self._rollout.judged if self._rollout is not None else None

    def step(self, number: int) -> dict[str, float]:
        """Loss and gradients of one step; the first of `num_iterations` generates the completions.

        Dropout stays off: the ratio of a first iteration is exactly 1.
        """
        if number % self._config.num_iterations == 0 or self._rollout is None:
            self._rollout = self.roll_out(number)
            self._asked = _asked(self._rollout)
            self._before = []
        rollout = self._rollout
        num_decisions = sum(len(one.decisions) for one in rollout.judged.facts)
        if not num_decisions:
            return {"loss": 0.0, **rollout.metrics}
        is_first = not self._before
        parts = self._width.halving(lambda: self._backward_all(num_decisions, is_first=is_first))
        own = [sum(part) for part in zip(*parts, strict=True)] or [0.0, 0.0, 0.0]
        loss, entropy, divergence = self._context.team.sum(*own)
        metrics = {"entropy": entropy, **rollout.metrics}
        if self._config.beta:
            metrics["kl"] = divergence
        return {"loss": loss, **metrics}

    def _backward_all(self, num_decisions: int, *, is_first: bool) -> list[tuple[float, float, float]]:
        """Gradients of all of this rank's completions, from none; returns what each batch of them says."""
        self._model.zero_grad()
        if is_first:
            self._before = []
        return [self._backward(batch, num_decisions) for batch in slices(range(len(self._asked)), self._width.rows)]

    def _backward(self, batch: Sequence[int], num_decisions: int) -> tuple[float, float, float]:
        """Gradients of a batch, by places; returns its part of the step's loss, mean entropy and mean KL divergence.

        The means are over all decisions of the step, so that a long completion does not count for less.
        """
        asked = [self._asked[place] for place in batch]
        is_first = batch[0] == len(self._before)
        at_start = self._initial_logprobs(asked) if is_first else []
        said = self._logprobs(asked)
        taken_by = [own.gather(1, one.actions[:, None])[:, 0] for own, one in zip(said, asked, strict=True)]
        if is_first:
            self._before += [_Before(own.detach(), first) for own, first in zip(taken_by, at_start, strict=True)]
        before = [self._before[place] for place in batch]
        logprobs, taken = torch.cat(said), torch.cat(taken_by)  # (n, 2), (n,)
        initial = torch.cat([one.initial for one in before])
        advantages = torch.cat([torch.full_like(own, one.advantage) for own, one in zip(taken_by, asked, strict=True)])
        gain = clipped_gain(taken, torch.cat([one.taken for one in before]), advantages, self._config.epsilon)
        probabilities = logprobs.exp()
        loss = -gain.sum() / num_decisions
        entropy = -(probabilities * logprobs).sum().detach() / num_decisions
        divergence = torch.zeros(())
        if self._config.beta:
            divergence = (probabilities * (logprobs - initial)).sum() / num_decisions
            loss = loss + self._config.beta * divergence
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()), float(entropy), float(divergence.detach())

    def roll_out(self, number: int) -> Rollout:
        """The completions of a step, with sampled decisions."""
        batch, seeds = questions_of(self._config, len(self._prompts), number)
        return roll_out(
            self._config,
            self._context,
            self._model,
            [self._questions[index] for index in batch],
            [self._prompts[index] for index in batch],
            seeds,
            trigger=True,
            tokens=self._config.sample_tokens,
            decisions=True,
            width=self._width,
            drawing=self._drawing,
            earn=self._earn,
        )

    def _earn(self, facts: Sequence[Facts]) -> list[float]:
        config = self._config
        scores, decisions = [one.score for one in facts], [one.decisions for one in facts]
        return penalised(
            scores, decisions, config.num_generations, config.insertion_penalty, config.insertion_penalty_form
        )

    def _logprobs(self, asked: Sequence[_Asked]) -> list[torch.Tensor]:
        said = self._model.decision_logprobs([one.row for one in asked])
        return [torch.log_softmax(own / self._config.temperature, dim=-1) for own in said]

    def _initial_logprobs(self, asked: Sequence[_Asked]) -> list[torch.Tensor]:
        if not self._config.beta:
            return [torch.empty(0) for _ in asked]
        with swapped(trigger_parameters(self._model), self._initial):
            return self._logprobs(asked)


def _asked(rollout: Rollout) -> list[_Asked]:
    """The completions whose trigger was asked."""
    found = []
    for prompt, completion, advantage in zip(rollout.prompts, rollout.completions, rollout.advantages, strict=True):
        decisions = [decision for decision in completion.decisions if decision.asked]
        if decisions:
            ids = torch.cat([prompt, torch.tensor(completion.ids, device=prompt.device)])
            row = Row(ids, [len(prompt) + decision.token for decision in decisions])
            actions = torch.tensor([int(decision.inserted) for decision in decisions], device=prompt.device)
            found.append(_Asked(row, actions, advantage))
    return found


def trigger_parameters(model: MemGenModel) -> list[torch.nn.Parameter]:
    """What the stage trains."""
    return [*model.adapters.parameters("trigger").values(), *model.trigger_head.parameters()]


def _models(config: TriggerGrpoConfig, loaded: Loaded, resumed: Path | None) -> tuple[MemGenModel, list[torch.Tensor]]:
    """The model to train, and the trigger's parameters before any training."""
    assert loaded.checkpoint is not None
    assert loaded.manifest is not None
    if "weaver" not in loaded.manifest.trained:
        raise BadInput(
            "untrained_weaver",
            "the weaver of this checkpoint was never trained",
            field="checkpoint",
            value=config.checkpoint,
            way_out="Choose the checkpoint of a weaver_sft or weaver_grpo run.",
        )
    model = loaded.model(config, loaded.checkpoint)
    check_some_insertion(model)
    initial = copies(trigger_parameters(model))
    if resumed is not None:
        restore(model, resumed)
    return model, initial
