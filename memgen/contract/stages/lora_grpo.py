"""Stage `lora_grpo`: a plain LoRA learns from the rewards that a weaver or a trigger learns from, as a control."""

from typing import Literal

from pydantic import Field

from memgen.contract.planner.moments import Moment, generation
from memgen.contract.planner.parts import Parts
from memgen.contract.planner.shapes import Shape, batch_of_answers
from memgen.contract.presets import Dimensions
from memgen.contract.stage import Charts, Figure, Form, Launch, Memory, Next, Panel, Stage, Work
from memgen.contract.stage_configs import FromRewards
from memgen.contract.stages import trainings
from memgen.contract.stages.lora_trainings import LoraTraining, backward, trained


class LoraGrpoConfig(LoraTraining, FromRewards):
    """Train a plain LoRA by the rewards of its completions, with trl's GRPOTrainer; no latents."""

    stage: Literal["lora_grpo"] = "lora_grpo"
    """What this run does."""
    checkpoint: str | None = Field(default=None, min_length=1, max_length=500)
    """Checkpoint whose LoRA is trained further, by `lora_sft` or this stage: its id, or on the command line its folder;
    empty starts anew."""
    num_questions: int | None = Field(default=None, ge=1, le=100_000)
    """Training questions, drawn by the seed; empty takes all."""
    num_train_epochs: int = Field(default=2, ge=1, le=1000)
    """Passes over the training questions; the last leaves out those that do not fill a step."""
    batch_size: int = Field(default=8, ge=2, le=512)
    """Completions of a batch; a multiple of num_generations. Those of all batches of a step are generated together."""
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=1024)
    """Batches of one step. A question whose completions all have the same reward teaches nothing; with more batches a
    step has more questions."""
    num_generations: int = Field(default=8, ge=2, le=512, validate_default=True)
    """Completions per question, whose rewards are compared with each other."""
    learning_rate: float = Field(default=1e-5, gt=0, le=1)
    """Highest learning rate."""
    warmup_ratio: float = Field(default=0.1, ge=0, le=1)
    """Share of the steps in which the learning rate rises from 0."""
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after the warm-up; it ends where the training ends."""
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout in front of the LoRA while it is trained; above 0 the ratio of a first iteration is not 1."""
    temperature: float = Field(default=1.0, gt=0, le=100)
    """Temperature at which tokens are sampled."""
    loss_type: Literal["grpo", "dr_grpo", "bnpo"] = Field(default="grpo", title="Normalisation of the loss")
    """What the sum over a completion's tokens is divided by: `grpo` by its own length, so that completions count alike;
    `bnpo` by the mean length of the batch's completions, so that tokens count alike; `dr_grpo` by
    max_completion_length."""
    scale_rewards: Literal["none", "group"] = "none"
    """Whether an advantage (reward minus group mean) is divided by the group's standard deviation."""
    beta: float = Field(default=0.0, ge=0, le=100)
    """Weight of the KL divergence from the model at the start."""
    num_iterations: int = Field(default=1, ge=1, le=100)
    """Steps per batch of completions; with more than one the ratio is clipped as in PPO."""
    epsilon: float = Field(default=0.2, gt=0, lt=1)
    """Clip range of the ratio."""


def _steps(config: LoraGrpoConfig, rows: int) -> int:
    """trl's steps are full: an epoch begins within a step where the one before has ended in it."""
    questions = trainings.rows_of_a_step(config) // config.num_generations
    return trainings.at_most(config, rows * config.num_train_epochs // questions * config.num_iterations)


def _moments(
    config: LoraGrpoConfig, _parts: Parts, dims: Dimensions, size: int, device: str, shape: Shape
) -> list[Moment]:
    step = Shape(trainings.rows_of_a_step(config), shape.prompt, shape.completion, 0, 0)
    learning = backward(config, dims, size, device, shape, dropout=config.lora_dropout > 0)
    return [*generation(config, dims, size, step), learning]


STAGE: Stage[LoraGrpoConfig] = Stage(
    name="lora_grpo",
    config=LoraGrpoConfig,
    runner="memgen.stages.lora_grpo:lora_grpo",
    output=trainings.checkpoint("lora_grpo"),
    needs={"": None},
    makes="lora_grpo",
    work=Work(
        reads=lambda _config: (("train", None),),
        rows=lambda size: size,
        at_once=lambda config, _rows: config.batch_size,  # trl's trainer takes the batches of a step one by one,
        is_shared=False,  # and works in one process here
        pace=trainings.PACE,
        steps=_steps,
    ),
    memory=Memory(batch_of_answers, _moments, trained=trained, keeps_start=True),
    launch=Launch(
        forms=(
            Form(
                "lora_grpo",
                "LoRA GRPO",
                "Train a plain LoRA by the reward of its completions: the control without latents.",
            ),
        ),
        first=(
            "data", "num_questions", "budget", "num_train_epochs", "max_steps", "max_seconds", "trained_numbers",
            "batch_size", "num_generations", "learning_rate", "max_completion_length", "lora_r", "lora_targets",
        ),
        empty=trainings.EMPTY_OF_LORA,
    ),
    charts=Charts(
        figures=(
            *trainings.REWARDS,
            trainings.NO_SIGNAL,
            trainings.PROMPTS,
            Figure("trained_numbers", "Trained numbers", ",.0f"),
        ),
        first_metrics="step",
        panels=(
            (
                trainings.REWARD,
                trainings.WITHOUT_SIGNAL,
                Panel(
                    "Entropy",
                    ("train/entropy",),
                    "Of the next token, in nats; near 0 a question's completions are all alike",
                ),
            ),
            (trainings.COMPLETION_LENGTH, trainings.TRUNCATED, trainings.GRADIENT_NORM),
        ),
        shares=trainings.SHARES_OF_ROLLOUTS,
    ),
    next=(Next("Evaluate it", "lora_grpo_eval", "quiz"),),
)  # fmt: skip
