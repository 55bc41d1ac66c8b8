"""Stage `lora_sft`: a plain LoRA learns from the solutions that a weaver learns from, as a control."""

from typing import Literal

from pydantic import Field

from memgen.contract.planner.moments import Moment
from memgen.contract.planner.parts import Parts
from memgen.contract.planner.shapes import Shape, batch_of_solutions
from memgen.contract.presets import Dimensions
from memgen.contract.stage import Charts, Figure, Form, Launch, Memory, Next, Stage, Work
from memgen.contract.stages import trainings
from memgen.contract.stages.lora_trainings import LoraTraining, backward, trained


class LoraSftConfig(LoraTraining):
    """Train a plain LoRA on the solutions that a weaver learns from, with trl's SFTTrainer; no latents."""

    stage: Literal["lora_sft"] = "lora_sft"
    """What this run does."""
    checkpoint: str | None = Field(default=None, min_length=1, max_length=500)
    """Checkpoint whose LoRA is trained further: its id, or on the command line its folder; empty starts anew."""
    num_questions: int | None = Field(default=None, ge=1, le=100_000)
    """Training questions, drawn by the seed; empty takes all."""
    num_train_epochs: int = Field(default=2, ge=1, le=1000)
    """Passes over the training questions."""
    batch_size: int = Field(default=4, ge=1, le=512)
    """Examples of a batch."""
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=1024)
    """Batches of one step."""
    learning_rate: float = Field(default=1e-5, gt=0, le=1)
    """Highest learning rate."""
    warmup_ratio: float = Field(default=0.1, ge=0, le=1)
    """Share of the steps in which the learning rate rises from 0."""
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after the warm-up; it ends where the training ends."""
    eval_questions: int = Field(default=64, ge=0, le=100_000)
    """Validation questions whose loss is measured; 0 measures none."""
    eval_steps: int = Field(default=100, ge=1, le=10_000_000)
    """Steps between two measurements of the validation loss; it is measured at start and end, too."""


def _steps(config: LoraSftConfig, rows: int) -> int:
    return trainings.at_most(config, -(-rows // trainings.rows_of_a_step(config)) * config.num_train_epochs)


def _moments(
    config: LoraSftConfig, _parts: Parts, dims: Dimensions, size: int, device: str, shape: Shape
) -> list[Moment]:
    return [backward(config, dims, size, device, shape, dropout=config.lora_dropout > 0)]


STAGE: Stage[LoraSftConfig] = Stage(
    name="lora_sft",
    config=LoraSftConfig,
    runner="memgen.stages.lora_sft:lora_sft",
    output=trainings.checkpoint("lora_sft"),
    needs={"": None},
    makes="lora_sft",
    work=Work(
        reads=lambda _config: (("train", None), ("validation", None)),
        reads_solutions=True,
        rows=lambda size: size,
        at_once=lambda config, _rows: config.batch_size,  # trl's trainer takes the batches of a step one by one,
        is_shared=False,  # and works in one process here
        pace=trainings.PACE,
        steps=_steps,
    ),
    memory=Memory(batch_of_solutions, _moments, trained=trained),
    launch=Launch(
        forms=(
            Form(
                "lora_sft",
                "LoRA SFT",
                "Train a plain LoRA on the solutions that a weaver learns from: the control without latents.",
            ),
        ),
        first=(
            "data", "num_questions", "budget", "num_train_epochs", "max_steps", "max_seconds", "trained_numbers",
            "batch_size", "learning_rate", "max_completion_length", "lora_r", "lora_targets",
        ),
        empty=trainings.EMPTY_OF_LORA,
    ),
    charts=Charts(
        figures=(
            *trainings.LOSSES,
            Figure("trained_numbers", "Trained numbers", ",.0f"),
        ),
        first_metrics="step",
        panels=(
            (
                trainings.LOSS,
                trainings.LEARNING_RATE,
                trainings.GRADIENT_NORM,
            ),
        ),
    ),
    next=(
        Next("Evaluate it", "lora_eval", "quiz"),
        Next("Train it by rewards", "lora_grpo", "school"),
    ),
)  # fmt: skip
