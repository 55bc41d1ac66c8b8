"""Stage `weaver_grpo`: the weaver learns from rewards."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from memgen.contract.added_fields import Added
from memgen.contract.planner.moments import Moment, generation, learning_from_tokens
from memgen.contract.planner.parts import Parts, number_of
from memgen.contract.planner.shapes import Shape, batch_of_answers
from memgen.contract.presets import Dimensions
from memgen.contract.stage import Charts, Figure, Form, Launch, Memory, Next, Panel, Stage, Work
from memgen.contract.stage_configs import (
    GUARD_WORDS,
    INSERTION,
    LENGTHS,
    USUAL,
    FromRewards,
    WovenTraining,
    some_insertion,
)
from memgen.contract.stages import trainings, weaver_trainings
from memgen.contract.weaver_variants import TargetsOfCheckpoint, VariantOfCheckpoint, told


class WeaverGrpoConfig(WovenTraining, FromRewards):
    """Train the weaver with GRPO, by the reward of its completions; reasoner and trigger stay frozen."""

    stage: Literal["weaver_grpo"] = "weaver_grpo"
    """What this run does."""
    checkpoint: str | None = Field(default=None, min_length=1, max_length=500)
    """Checkpoint whose weaver is trained further: its id, or on the command line its folder. Where its trigger was
    trained, that decides, frozen, where latents stand; else they stand at every point. Empty starts anew."""
    num_questions: int | None = Field(default=None, ge=1, le=100_000)
    """Training questions, drawn by the seed; empty takes all."""
    num_train_epochs: int = Field(default=2, ge=1, le=1000)
    """Passes over the training questions."""
    batch_size: int = Field(default=8, ge=2, le=512)
    """Completions of a step, times gradient_accumulation_steps; a multiple of num_generations. Several GPUs share
    them."""
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=1024)
    """Batches of one step. A question whose completions all have the same reward teaches nothing; with more batches a
    step has more questions, and needs no more memory."""
    num_generations: int = Field(default=8, ge=2, le=512, validate_default=True)
    """Completions per question, whose rewards are compared with each other."""
    learning_rate: float = Field(default=1e-5, gt=0, le=1)
    """Highest learning rate; of the LoRA, and of what has no rate of its own."""
    latents_learning_rate: float | None = Field(default=None, gt=0, le=1)
    """Own rate of query latents, their norms and scales; empty takes learning_rate."""
    projections_learning_rate: float | None = Field(default=None, gt=0, le=1)
    """Own rate of the projections between reasoner and weaver; empty takes learning_rate."""
    warmup_ratio: float = Field(default=0.1, ge=0, le=1)
    """Share of the steps in which the learning rate rises from 0."""
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after the warm-up; it ends where the training ends."""
    temperature: float = Field(default=1.0, gt=0, le=100)
    """Temperature at which tokens are sampled; a trigger decides without chance."""
    loss_type: Literal["grpo", "dr_grpo", "bnpo"] = Field(default="grpo", title="Normalisation of the loss")
    """What the sum over a completion's tokens is divided by: `grpo` by its own length, so that completions count alike;
    `bnpo` by the mean length of the step's completions, so that tokens count alike; `dr_grpo` by
    max_completion_length."""
    scale_rewards: Literal["none", "group"] = "none"
    """Whether an advantage (reward minus group mean) is divided by the group's standard deviation; for the weaver the
    paper does not (eq. 15)."""
    beta: float = Field(default=0.0, ge=0, le=100)
    """Weight of the KL divergence from the weaver at the start."""
    num_iterations: int = Field(default=1, ge=1, le=100)
    """Steps per batch of completions; with more than one the ratio is clipped as in PPO."""
    epsilon: float = Field(default=0.2, gt=0, lt=1)
    """Clip range of the ratio."""
    prompt_latents_len: int | None = Field(default=None, ge=1, le=1024)
    """Latents at the end of the prompt; empty takes the checkpoint's, anew 8. A number must agree with a checkpoint."""
    inference_latents_len: int | None = Field(default=None, ge=1, le=1024)
    """Latents after a delimiter; empty takes the checkpoint's, anew 8. A number must agree with a checkpoint."""
    max_prompt_aug_num: int | None = Field(default=None, ge=0, le=1)
    """Insertions at the end of the prompt, 0 or 1; empty takes the checkpoint's, anew 1."""
    max_inference_aug_num: int | None = Field(default=None, ge=0, le=1000)
    """Most insertions after delimiters in an answer; empty takes the checkpoint's, anew 5."""
    guard_numbers: int | None = Field(default=None, ge=0, le=1, json_schema_extra=GUARD_WORDS)
    """Whether nothing is inserted inside numbers and `<<...>>`: 1 or 0; empty takes the checkpoint's, anew 0."""
    lora_r: int | None = Field(default=None, ge=1, le=1024)
    """Rank of both adapters' LoRA; empty takes the checkpoint's, anew 16. A number must agree with a checkpoint."""
    lora_alpha: int = Field(default=32, ge=1, le=4096)
    """Scale of a LoRA that starts anew: its product is multiplied by lora_alpha / lora_r."""
    lora_targets: TargetsOfCheckpoint = None
    """Modules of each layer that get a LoRA, of weaver and trigger: q_proj and v_proj (`qv`), all four projections of
    the attention, the three of the MLP, or all seven; empty takes the checkpoint's, anew `qv`."""
    weaver_variant: VariantOfCheckpoint = None
    """What is left of the weaver, to see what its parts are good for, as in `weaver_sft`; empty takes the checkpoint's,
    anew the whole weaver."""
    skip_probability: Annotated[float, Added(0.0)] = Field(default=0.0, ge=0, lt=1)
    """How likely a delimiter of a completion gets no latents, drawn anew for each completion; the prompt keeps its own,
    and what is left out does not count in the limit. Above 0 chance decides in the place of a checkpoint's trigger."""

    _something_is_inserted = field_validator("max_inference_aug_num")(some_insertion)

    @property
    def uses_trigger(self) -> bool:
        """Whether a trigger may decide: that of a checkpoint, if it was trained, and chance does not."""
        return self.checkpoint is not None and not self.skip_probability


def usual(config: WeaverGrpoConfig) -> dict[str, int]:
    """Lengths, limits and rank of a weaver that starts anew."""
    return {name: number_of(config, name) for name in USUAL}


def _moments(
    config: WeaverGrpoConfig, parts: Parts, dims: Dimensions, size: int, device: str, shape: Shape
) -> list[Moment]:
    adapter = weaver_trainings.adapter(parts, device, dropout=False)
    checkpointing = config.gradient_checkpointing
    learning = learning_from_tokens(dims, size, shape, adapter, checkpointing=checkpointing, reads=parts.weaver.reads)
    return [*generation(config, dims, size, shape, shared_prompt=True), learning]


STAGE: Stage[WeaverGrpoConfig] = Stage(
    name="weaver_grpo",
    config=WeaverGrpoConfig,
    runner="memgen.stages.weaver_grpo:weaver_grpo",
    output=trainings.checkpoint("weaver_grpo"),
    needs={"": None},
    makes="weaver",
    work=Work(
        reads=lambda _config: (("train", None),),
        rows=lambda size: size,
        at_once=trainings.rows_of_a_step,
        pace=trainings.PACE,
        steps=trainings.steps_of_rollouts,
    ),
    memory=Memory(
        batch_of_answers,
        _moments,
        trained=weaver_trainings.trained,
        keeps_start=True,  # for the divergence from it
    ),
    launch=Launch(
        forms=(
            Form(
                "weaver_grpo",
                "Weaver GRPO",
                "Train the weaver by the reward of completions that are sampled with its latents in place.",
            ),
        ),
        first=(
            "data", "num_questions", "num_train_epochs", "max_steps", "batch_size", "num_generations", "learning_rate",
            "max_completion_length",
        ),
        empty={
            **trainings.EMPTY_IN_PIECES,
            "num_questions": "all",
            "latents_learning_rate": "learning rate",
            "projections_learning_rate": "learning rate",
            **dict.fromkeys(
                (*LENGTHS, *INSERTION, "lora_r", "lora_targets", "weaver_variant"), "the checkpoint's, anew the usual"
            ),
        },
        variations=weaver_trainings.VARIATIONS,
    ),
    told=told(WeaverGrpoConfig),
    charts=Charts(
        figures=(
            *trainings.REWARDS,
            trainings.NO_SIGNAL,
            Figure("insertions", "Insertions", ".2f"),
            trainings.PROMPTS,
        ),
        first_metrics="step",
        panels=(
            (
                trainings.REWARD,
                trainings.WITHOUT_SIGNAL,
                Panel(
                    "Entropy",
                    ("train/entropy",),
                    "Of the next token, in nats, as the drawn ones tell; near 0 a question's completions are all alike",
                ),
            ),
            (
                trainings.COMPLETION_LENGTH,
                trainings.TRUNCATED,
                trainings.GRADIENT_NORM,
                Panel(
                    "Rollout and replay",
                    ("train/replay_gap",),
                    "Mean difference between a token's log-probability in the rollout and in the pass that is learned "
                    "from, in nats: rounding, and in bfloat16 more of it",
                ),
            ),
        ),
        shares=trainings.SHARES_OF_ROLLOUTS,
    ),
    next=(
        Next("Evaluate it", "weaver_eval", "quiz"),
        Next("Train the trigger from it", "trigger_grpo", "school"),
    ),
)  # fmt: skip
