"""Stage `trigger_grpo`: the trigger learns from rewards where to insert latents; everything else stays frozen.

GRPO on decisions (MemGen, arXiv 2509.24704): several completions per question are generated with sampled decisions,
each is rewarded for its answer, and what it has more than the mean of its question's completions pushes the
log-probabilities of its [skip, insert] decisions. Tokens have no part in the loss.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput
from memgen.contract.rows import num_rows, num_steps
from memgen.contract.stages.trigger_grpo import TriggerGrpoConfig
from memgen.data.prompt import question_prompt
from memgen.data.questions import Question
from memgen.environment import REWARD_CONDITIONS
from memgen.model.checkpoint import restore
from memgen.model.generation import encode_prompts
from memgen.model.memgen_model import MemGenModel
from memgen.stages.context import Context
from memgen.stages.loading import Loaded, load
from memgen.stages.rollout import Rollout, roll_out
from memgen.stages.training import TrainingLoop, batch_of, drawn, resume_point, seed_of


def trigger_grpo(config: TriggerGrpoConfig, context: Context, questions: list[Question]) -> dict[str, float]:
    """Run the stage; returns its last metrics.

    Raises:
        BadInput: model, checkpoint or the folder to resume can't be used.
        Stopped: a stop was asked for.
    """
    loaded = load(config, context, REWARD_CONDITIONS)
    chosen = drawn(questions, num_rows(config, context.data_folder), config.seed)
    texts = [question_prompt(data_set(config.data), question.question) for question in chosen]
    prompts = encode_prompts(loaded.base, texts, config.max_prompt_length)
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
    result = loop.run(Learner(config, context, model, initial, chosen, prompts).step)
    return {**result, "num_prompts": len(chosen)}


class Learner:
    """Computes the policy gradient of the trigger's decisions.

    Args:
        config: of the run.
        context: of the run.
        model: its trigger is trained.
        initial: the trigger's parameters before training, for the KL divergence.
        questions: of the training.
        prompts: their token ids.
    """

    def __init__(
        self,
        config: TriggerGrpoConfig,
        context: Context,
        model: MemGenModel,
        initial: list[torch.Tensor],
        questions: list[Question],
        prompts: list[list[int]],
    ) -> None:
        self._config = config
        self._context = context
        self._model = model
        self._initial = initial
        self._questions = questions
        self._prompts = prompts
        self._rollout: Rollout | None = None
        self._old = torch.empty(0)
        self._reference = torch.empty(0)

    def step(self, number: int) -> dict[str, float]:
        """Loss and gradients of one step; the first of `num_iterations` generates the completions.

        Dropout stays off: the ratio of a first iteration is exactly 1.
        """
        fresh = number % self._config.num_iterations == 0
        if fresh or self._rollout is None:
            self._rollout = self._roll_out(number)
        rollout = self._rollout
        if not rollout.num_decisions:
            return {"loss": 0.0, **rollout.metrics}
        own = self._backward(rollout, fresh) if rollout.rows else (0.0, 0.0, 0.0)
        loss, entropy, divergence = self._context.team.sum(*own)
        metrics = {"entropy": entropy, **rollout.metrics}
        if self._config.beta:
            metrics["kl"] = divergence
        return {"loss": loss, **metrics}

    def _backward(self, rollout: Rollout, fresh: bool) -> tuple[float, float, float]:
        """Gradients of this rank's rows; returns its part of the step's loss, mean entropy and mean KL divergence."""
        actions = torch.cat(rollout.actions)
        advantages = torch.cat(
            [
                torch.full((len(own),), advantage, device=own.device)
                for own, advantage in zip(rollout.actions, rollout.advantages, strict=True)
            ]
        )
        if fresh:
            self._reference = self._reference_of(rollout)
        logprobs = self._logprobs(rollout)  # (n, 2), of all decisions of the step
        taken = logprobs.gather(1, actions[:, None])[:, 0]
        if fresh:
            self._old = taken.detach()
        ratio = (taken - self._old).exp()
        epsilon = self._config.epsilon
        gain = torch.minimum(ratio * advantages, ratio.clamp(1 - epsilon, 1 + epsilon) * advantages)
        probabilities = logprobs.exp()
        n = rollout.num_decisions  # a mean over all decisions, so that a long completion does not count for less
        loss = -gain.sum() / n
        entropy = -(probabilities * logprobs).sum().detach() / n
        divergence = torch.zeros(())
        if self._config.beta:
            divergence = (probabilities * (logprobs - self._reference)).sum() / n
            loss = loss + self._config.beta * divergence
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()), float(entropy), float(divergence.detach())

    def _roll_out(self, number: int) -> Rollout:
        config = self._config
        per_rollout = config.batch_size // config.num_generations
        batch = batch_of(len(self._prompts), per_rollout, number // config.num_iterations, config.seed)
        return roll_out(
            config,
            self._context,
            self._model,
            [self._questions[index] for index in batch],
            [self._prompts[index] for index in batch],
            [seed_of(config.seed, "rollout", number, place) for place in range(config.batch_size)],
        )

    def _logprobs(self, rollout: Rollout) -> torch.Tensor:
        said = torch.cat(self._model.decision_logprobs(rollout.rows))
        return torch.log_softmax(said / self._config.temperature, dim=-1)

    def _reference_of(self, rollout: Rollout) -> torch.Tensor:
        if not self._config.beta:
            return torch.empty(0)
        with torch.no_grad(), _swapped(trigger_parameters(self._model), self._initial):
            return self._logprobs(rollout)


def trigger_parameters(model: MemGenModel) -> list[torch.nn.Parameter]:
    """What the stage trains."""
    return [*model.adapters.parameters("trigger").values(), *model.trigger_head.parameters()]


@contextmanager
def _swapped(parameters: list[torch.nn.Parameter], values: list[torch.Tensor]) -> Iterator[None]:
    kept = [parameter.detach().clone() for parameter in parameters]
    _set(parameters, values)
    try:
        yield
    finally:
        _set(parameters, kept)


def _set(parameters: list[torch.nn.Parameter], values: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)


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
            way_out="Choose the checkpoint of a weaver_sft run.",
        )
    model = loaded.model(config, loaded.checkpoint)
    if not (model.settings.max_prompt_aug_num or model.settings.max_inference_aug_num):
        raise BadInput(
            "no_insertion",
            "with these limits and the checkpoint's nothing is ever inserted, and there is nothing to decide",
            field="max_inference_aug_num",
            value=model.settings.max_inference_aug_num,
            way_out="Set max_inference_aug_num or max_prompt_aug_num above 0.",
        )
    initial = [parameter.detach().clone() for parameter in trigger_parameters(model)]
    if resumed is not None:
        restore(model, resumed)
    return model, initial
