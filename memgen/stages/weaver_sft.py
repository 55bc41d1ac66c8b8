"""Stage `weaver_sft`: the weaver learns to write latents that make solutions likely; the reasoner stays frozen.

The loss is the mean cross entropy of the solution's tokens, teacher-forced over the reasoner's embeddings with latents
in place (MemGen, arXiv 2509.24704).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import torch

from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput, Diverged
from memgen.contract.rows import num_rows, num_steps
from memgen.contract.stage_configs import INSERTION, LENGTHS, Training
from memgen.contract.stages.weaver_sft import WeaverSftConfig
from memgen.data.prompt import answer_text, question_prompt
from memgen.data.questions import Question
from memgen.environment import TRAINING_CONDITIONS
from memgen.model.base import BaseModel
from memgen.model.checkpoint import new_model
from memgen.model.memgen_model import LatentSettings, MemGenModel, Row
from memgen.stages.context import Context
from memgen.stages.loading import Loaded, load, refuse_other_shape
from memgen.stages.signals import latent_signals
from memgen.stages.slices import slices
from memgen.stages.training import LOWER, TrainingLoop, batch_of, drawn, epochs_after, resume_point, seed_of
from memgen.stages.width import Width, fixed_width


@dataclass(frozen=True)
class Example:
    """A question with its solution, in tokens."""

    ids: list[int]
    prompt_length: int
    """Tokens in front of the first supervised one."""

    @property
    def num_labels(self) -> int:
        """Supervised tokens: the solution, `<|im_end|>` and the newline after it."""
        return len(self.ids) - self.prompt_length


def weaver_sft(
    config: WeaverSftConfig, context: Context, questions: list[Question], held_out: list[Question]
) -> dict[str, float]:
    """Run the stage; returns its last metrics.

    Raises:
        BadInput: model, checkpoint or the folder to resume can't be used.
        Stopped: a stop was asked for.
    """
    loaded = load(config, context, TRAINING_CONDITIONS, may_halve=True)
    examples = encode(
        loaded.base, drawn(questions, num_rows(config, context.data_folder), config.seed), config, context
    )
    validation = encode(loaded.base, held_out[: config.eval_questions], config, context)
    resumed = resume_point(context)
    model = _model(config, loaded, resumed[0] if resumed else loaded.checkpoint)
    loop = TrainingLoop(
        config,
        context,
        loaded,
        model,
        part="weaver",
        rates={"latents": config.latents_learning_rate, "projections": config.projections_learning_rate},
        total_steps=num_steps(config, len(examples)),
        resumed=resumed,
    )
    teacher = Teacher(config, context, model, examples, validation, loop.notes, loaded.width)
    result = loop.run(teacher.step, teacher.validate)
    return {**result, "num_examples": len(examples)}


class Teacher:
    """Computes the losses of a training and of its validation rows."""

    def __init__(
        self,
        config: WeaverSftConfig,
        context: Context,
        model: MemGenModel,
        examples: list[Example],
        held_out: list[Example],
        notes: dict[str, float],
        width: Width | None = None,
    ) -> None:
        self._config = config
        self._context = context
        self._model = model
        self._examples = examples
        self._held_out = held_out
        self._width = width or fixed_width(config)
        self._notes = notes  # validation loss before the training, and the newest one

    def step(self, number: int) -> dict[str, float]:
        """Loss and gradients of one step: the mean over all its supervised tokens, however they are batched."""
        config, team = self._config, self._context.team
        per_step = config.batch_size * config.gradient_accumulation_steps
        chosen = [self._examples[index] for index in batch_of(len(self._examples), per_step, number, config.seed)]
        labels = sum(example.num_labels for example in chosen)
        rows = [self._drawn(example, number, place) for place, example in enumerate(chosen)]
        self._model.train()
        own = self._width.halving(lambda: self._backward(team.share(rows), labels))
        self._model.eval()
        (total,) = team.sum(own)
        return {
            "loss": total,
            "epoch": epochs_after(number + 1, len(self._examples), per_step),
            "num_tokens": labels,
        }

    def _backward(self, rows: Sequence[Row], labels: int) -> float:
        """Gradients of this rank's rows, from none; returns its part of the step's loss."""
        self._model.zero_grad()
        own = 0.0
        for batch in slices(rows, self._width.rows):
            loss = self._summed_loss(batch) / labels
            if loss.requires_grad:  # a batch without any insertion point has nothing to train
                loss.backward()  # type: ignore[no-untyped-call]
            own += float(loss.detach())
        return own

    def validate(self, done: int, is_last: bool) -> None:
        """Measure the validation loss where it is due."""
        if not self._held_out or not (done % self._config.eval_steps == 0 or is_last):
            return
        context = self._context
        own = self._width.halving(lambda: self._nats(context.team.share(self._held_out)))
        context.team.check_stop(context.stop)
        (nats,) = context.team.sum(own)
        loss = nats / sum(example.num_labels for example in self._held_out)
        if not math.isfinite(loss):
            raise Diverged(f"the validation loss after step {done} is {loss}: the training has diverged", LOWER)
        self._notes.setdefault("eval_loss_before", loss)
        self._notes["eval_loss"] = loss
        context.monitor.metric("eval/loss", done, loss)
        context.monitor.say(f"validation loss {loss:.4f} nat per token after step {done}")
        if context.team.is_main:
            for name, value in latent_signals(
                self._model, self._rows(self._held_out[: self._config.batch_size])
            ).items():
                context.monitor.metric(f"train/{name}", done, value)
                self._notes[name] = value

    def _nats(self, examples: Sequence[Example]) -> float:
        """The loss of this rank's examples; too little where a stop is asked for meanwhile."""
        own = 0.0
        with torch.no_grad():
            for batch in slices(examples, self._width.rows):
                if self._context.stop.requested():
                    break
                own += float(self._summed_loss(self._rows(batch)))
        return own

    def _summed_loss(self, rows: Sequence[Row]) -> torch.Tensor:
        return -torch.cat(self._model.token_logprobs(rows)).sum()

    def _drawn(self, example: Example, number: int, place: int) -> Row:
        """A row of a step; its points and its dropout are its own, whatever it is read together with."""
        row = self._thinned(example, number, place)
        if self._config.micro_batch_size is None:
            return row
        return replace(row, seed=seed_of(self._config.seed, "dropout", number, place))

    def _thinned(self, example: Example, number: int, place: int) -> Row:
        """A row of a step with some delimiters' points left out; the same in every process and after every resume."""
        skipped = self._config.skip_probability
        if not skipped:
            return self._row(example)
        chance = Random(seed_of(self._config.seed, "points", number, place))
        if self._config.skip_among == "all":
            return self._row(example, lambda _: chance.random() >= skipped)
        row = self._row(example)
        prompt = example.prompt_length
        return replace(row, points=[point for point in row.points if point == prompt or chance.random() >= skipped])

    def _rows(self, examples: Sequence[Example]) -> list[Row]:
        return [self._row(example) for example in examples]

    def _row(self, example: Example, keeps: Callable[[int], bool] = lambda _: True) -> Row:
        ids = torch.tensor(example.ids, device=self._model.base.device)
        points = self._model.augmentation_points(example.ids, example.prompt_length, keeps)
        return Row(ids, points, example.prompt_length)


def encode(base: BaseModel, questions: list[Question], config: Training, context: Context) -> list[Example]:
    """Questions with their solutions in tokens; what is longer than the config allows is left out, and said.

    Raises:
        BadInput: `examples_too_long`, if nothing is left.
    """
    examples = []
    chosen = data_set(config.data)
    for question in questions:
        # prompt and answer are tokenised apart, as in generation
        prompt = base.tokenizer.encode(question_prompt(chosen, question.question), add_special_tokens=False)
        answer = base.tokenizer.encode(answer_text(question.solution), add_special_tokens=False)
        if len(prompt) <= config.max_prompt_length and len(answer) <= config.max_completion_length:
            examples.append(Example(prompt + answer, len(prompt)))
    missing = len(questions) - len(examples)
    if missing:
        context.monitor.warn(
            "examples_left_out",
            f"{missing} of {len(questions)} examples are longer than max_prompt_length {config.max_prompt_length} or "
            f"max_completion_length {config.max_completion_length} and are left out",
        )
    if questions and not examples:
        raise BadInput(
            "examples_too_long",
            "every example is longer than the config allows",
            field="max_completion_length",
            value=config.max_completion_length,
            way_out="Raise max_completion_length or max_prompt_length.",
        )
    return examples


def _model(config: WeaverSftConfig, loaded: Loaded, folder: Path | None) -> MemGenModel:
    if folder is None:
        torch.manual_seed(seed_of(config.seed, "weaver"))
        return new_model(
            loaded.base,
            LatentSettings(**config.model_dump(include={*LENGTHS, *INSERTION})),
            lora_r=config.lora_r,
            lora_alpha=config.lora_alpha,
            lora_dropout=config.lora_dropout,
            lora_targets=config.lora_targets,
            variant=config.weaver_variant,
        )
    refuse_other_shape(config, folder)
    return loaded.model(config, folder)
