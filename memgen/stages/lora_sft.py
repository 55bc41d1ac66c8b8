"""Stage `lora_sft`: a plain LoRA learns the solutions that a weaver learns, by trl's `SFTTrainer`; the control.

Rows, prompt and supervised tokens are those of `weaver_sft`, and so is the loss: the mean cross entropy of a step's
supervised tokens. The order of the rows within an epoch is trl's, by the same seed, and so is dropout.
"""

from typing import Any

import torch
from datasets import Dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from memgen.contract.rows import num_rows, num_steps
from memgen.contract.stages.lora_sft import LoraSftConfig
from memgen.data.questions import Question
from memgen.environment import TRAINING_CONDITIONS
from memgen.stages.context import Context
from memgen.stages.loading import Loaded, load
from memgen.stages.lora_training import Course, arguments, start
from memgen.stages.pieces import Batch, Pieces
from memgen.stages.slices import slices
from memgen.stages.training import drawn, resume_point
from memgen.stages.weaver_sft import Example, encode
from memgen.stages.width import Width

IGNORED = -100


def lora_sft(
    config: LoraSftConfig, context: Context, questions: list[Question], held_out: list[Question]
) -> dict[str, float]:
    """Run the stage; returns its last metrics.

    Raises:
        BadInput: model, checkpoint or the folder to resume can't be used.
        Stopped: a stop was asked for.
    """
    loaded = load(config, context, TRAINING_CONDITIONS, may_halve=True)
    return train(config, context, loaded, questions, held_out)


def train(
    config: LoraSftConfig, context: Context, loaded: Loaded, questions: list[Question], held_out: list[Question]
) -> dict[str, float]:
    """Train on a base that is loaded; as `lora_sft`."""
    rows = drawn(questions, num_rows(config, context.data_folder), config.seed)
    examples = encode(loaded.base, rows, config, context)
    validation = encode(loaded.base, held_out[: config.eval_questions], config, context)
    total_steps = num_steps(config, len(examples))
    resumed = resume_point(context)
    model, lora = start(config, loaded)
    trainer = SftInPieces(
        model=model,
        args=SFTConfig(
            **arguments(config, context, loaded, total_steps),
            gradient_accumulation_steps=config.gradient_accumulation_steps,
            max_length=None,  # rows that are too long were left out, and said
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=Dataset.from_list([as_row(example) for example in examples]),
        processing_class=loaded.base.tokenizer,
        peft_config=lora,
    )
    measure = (Validation(validation, loaded.width, context).loss, config.eval_steps) if validation else None
    course = Course(config, context, loaded, total_steps=total_steps, resumed=resumed, validate=measure)
    return {**course.run(trainer), "num_examples": len(examples)}


class SftInPieces(SFTTrainer, Pieces):
    """trl's, with batches in pieces."""

    def tokens_of(self, rows: Batch) -> int:
        """How many tokens are supervised."""
        return int((rows["labels"][:, 1:] != IGNORED).sum())

    def weight_of(self, rows: Batch, batch: Batch, num_items: Any) -> float:
        """None where losses are sums over the step's number of tokens, else the share of the batch's tokens."""
        if num_items is not None:
            return 1.0
        share = self.tokens_of(rows) / max(1, self.tokens_of(batch))
        return share / self.current_gradient_accumulation_steps


def as_row(example: Example) -> dict[str, list[int]]:
    """A row as trl reads it: tokens that are not supervised have the label that it leaves out."""
    answer = example.ids[example.prompt_length :]
    return {"input_ids": example.ids, "labels": [IGNORED] * example.prompt_length + answer}


class Validation:
    """The loss of rows that are held out, in nats per supervised token, without a change to the training."""

    def __init__(self, examples: list[Example], width: Width, context: Context) -> None:
        self._examples = examples
        self._width = width
        self._context = context

    def loss(self, trainer: Pieces) -> float | None:
        """Measure; None where a stop came in between."""
        model: Any = trainer.model
        model.eval()
        nats = self._width.halving(lambda: self._nats(trainer, model))
        model.train()
        return None if nats is None else nats / sum(row.num_labels for row in self._examples)

    def _nats(self, trainer: Pieces, model: Any) -> float | None:
        nats = 0.0
        with torch.no_grad():
            for rows in slices(self._examples, self._width.rows):
                if self._context.stop.requested():
                    return None
                batch = trainer.data_collator([as_row(row) for row in rows])
                mean, _, _ = trainer.prediction_step(model, batch, prediction_loss_only=True)
                assert mean is not None
                nats += float(mean) * sum(row.num_labels for row in rows)
        return nats
