"""Stage `lora_sft`: a plain LoRA learns the solutions that a weaver learns, by trl's `SFTTrainer`; the control.

Rows, prompt and supervised tokens are those of `weaver_sft`, and so is the loss: the mean cross entropy of a step's
supervised tokens. The order of the rows within an epoch is trl's, by the same seed.
"""

from typing import Any

import torch
from datasets import Dataset
from transformers import Trainer
from trl import SFTConfig, SFTTrainer  # type: ignore[attr-defined]  # it exports names as they are asked for

from memgen.contract.rows import num_rows, num_steps
from memgen.contract.stages.lora_sft import LoraSftConfig
from memgen.data.questions import Question
from memgen.environment import TRAINING_CONDITIONS
from memgen.stages.context import Context
from memgen.stages.loading import Loaded, load
from memgen.stages.lora_training import Course, arguments, start
from memgen.stages.training import drawn, resume_point
from memgen.stages.weaver_sft import Example, encode

IGNORED = -100


def lora_sft(
    config: LoraSftConfig, context: Context, questions: list[Question], held_out: list[Question]
) -> dict[str, float]:
    """Run the stage; returns its last metrics.

    Raises:
        BadInput: model, checkpoint or the folder to resume can't be used.
        Stopped: a stop was asked for.
    """
    return train(config, context, load(config, context, TRAINING_CONDITIONS), questions, held_out)


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
    trainer = SFTTrainer(
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
    measure = (Validation(validation, config.batch_size, context).loss, config.eval_steps) if validation else None
    course = Course(config, context, loaded, total_steps=total_steps, resumed=resumed, validate=measure)
    return {**course.run(trainer), "num_examples": len(examples)}


def as_row(example: Example) -> dict[str, list[int]]:
    """A row as trl reads it: tokens that are not supervised have the label that it leaves out."""
    answer = example.ids[example.prompt_length :]
    return {"input_ids": example.ids, "labels": [IGNORED] * example.prompt_length + answer}


class Validation:
    """The loss of rows that are held out, in nats per supervised token, without a change to the training."""

    def __init__(self, examples: list[Example], batch_size: int, context: Context) -> None:
        self._examples = examples
        self._batch_size = batch_size
        self._context = context

    def loss(self, trainer: Trainer) -> float | None:
        """Measure; None where a stop came in between."""
        model: Any = trainer.model
        nats, size = 0.0, self._batch_size
        model.eval()
        with torch.no_grad():
            for begin in range(0, len(self._examples), size):
                if self._context.stop.requested():
                    return None
                rows = self._examples[begin : begin + size]
                batch = trainer.data_collator([as_row(row) for row in rows])
                mean, _, _ = trainer.prediction_step(model, batch, prediction_loss_only=True)
                assert mean is not None
                nats += float(mean) * sum(row.num_labels for row in rows)
        model.train()
        return nats / sum(row.num_labels for row in self._examples)
