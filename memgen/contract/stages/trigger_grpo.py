"""Stage `trigger_grpo`: the trigger learns from rewards where to insert latents."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from memgen.contract.added_fields import Added
from memgen.contract.planner.activations import FLOAT, Adapter, kept, kept_by_layer, widest
from memgen.contract.planner.moments import Moment, generation, keys_and_values
from memgen.contract.planner.parameters import head_parameters, lora_parameters
from memgen.contract.planner.parts import Lora, Parts
from memgen.contract.planner.shapes import Pass, Shape, batch_of_answers
from memgen.contract.presets import Dimensions
from memgen.contract.stage import Charts, Figure, Form, Launch, Memory, Next, Panel, Stage, Work
from memgen.contract.stage_configs import GUARD_WORDS, INSERTION, LENGTHS, FromRewards, WovenTraining, some_insertion
from memgen.contract.stages import trainings

PenaltyForm = Literal["decision", "rate"]


class TriggerGrpoConfig(WovenTraining, FromRewards):
    """Train the trigger's decisions to insert or skip with GRPO; everything else stays frozen."""

    stage: Literal["trigger_grpo"] = "trigger_grpo"
    """What this run does."""
    checkpoint: str = Field(min_length=1, max_length=500)
    """Checkpoint with a trained weaver: its id, or on the command line its folder."""
    num_questions: int | None = Field(default=None, ge=1, le=100_000)
    """Training questions, drawn by the seed; empty takes a third of the training rows."""
    num_train_epochs: int = Field(default=1, ge=1, le=1000)
    """Passes over the training questions."""
    batch_size: int = Field(default=8, ge=2, le=512)
    """Completions of a step, times gradient_accumulation_steps; a multiple of num_generations. Several GPUs share
    them."""
    gradient_accumulation_steps: Annotated[int, Added(1)] = Field(default=4, ge=1, le=1024)
    """Batches of one step. A question whose completions all have the same reward teaches nothing, so a step has several
    questions: batch_size / num_generations times this many. More of them need no more memory."""
    num_generations: int = Field(default=8, ge=2, le=512, validate_default=True)
    """Completions per question, whose rewards are compared with each other."""
    learning_rate: float = Field(default=1e-6, gt=0, le=1)
    """Highest learning rate; of the LoRA, and of the head where it has no rate of its own."""
    head_learning_rate: float | None = Field(default=None, gt=0, le=1)
    """Own rate of the trigger's head; empty takes learning_rate."""
    warmup_ratio: float = Field(default=0.1, ge=0, le=1)
    """Share of the steps in which the learning rate rises from 0."""
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after the warm-up; it ends where the training ends."""
    temperature: float = Field(default=1.0, gt=0, le=100)
    """Temperature at which decisions are sampled, and tokens where sample_tokens is on."""
    sample_tokens: bool = False
    """Whether tokens are sampled too; else they are greedy and completions differ by decisions alone."""
    scale_rewards: Literal["none", "group"] = "group"
    """Whether an advantage (reward minus group mean) is divided by the group's standard deviation: `group` as the paper
    has it for the trigger, `none` leaves it as it is."""
    beta: float = Field(default=0.0, ge=0, le=100)
    """Weight of the KL divergence from the initial trigger."""
    num_iterations: int = Field(default=1, ge=1, le=100)
    """Steps per batch of completions; with more than one the ratio is clipped as in PPO."""
    epsilon: float = Field(default=0.2, gt=0, lt=1)
    """Clip range of the ratio."""
    insertion_penalty: float = Field(default=0.0, ge=0, le=100)
    """Weight of the penalty on insertions beyond the mean insert rate of the group's better half; 0 has none."""
    insertion_penalty_form: Annotated[PenaltyForm, Added("rate")] = "decision"
    """What an insertion costs. `decision`, the paper's (eq. 18-20): each costs 1 less that mean rate, however few a
    completion has. `rate`: a completion pays once, by how much its own insert rate exceeds that mean."""
    prompt_latents_len: int | None = Field(default=None, ge=1, le=1024)
    """Latents at the end of the prompt. They are the checkpoint's; a number here must agree with it."""
    inference_latents_len: int | None = Field(default=None, ge=1, le=1024)
    """Latents after a delimiter. They are the checkpoint's; a number here must agree with it."""
    max_prompt_aug_num: int | None = Field(default=None, ge=0, le=1)
    """Insertions at the end of the prompt, 0 or 1; empty takes the checkpoint's."""
    max_inference_aug_num: int | None = Field(default=None, ge=0, le=1000)
    """Most insertions after delimiters in an answer; empty takes the checkpoint's."""
    guard_numbers: Annotated[int | None, Added(None)] = Field(default=None, ge=0, le=1, json_schema_extra=GUARD_WORDS)
    """Whether nothing is inserted inside numbers and `<<...>>`: 1 or 0; empty takes the checkpoint's."""

    _something_is_inserted = field_validator("max_inference_aug_num")(some_insertion)

    @property
    def uses_trigger(self) -> bool:
        """Whether the trigger decides."""
        return True


def _moments(
    config: TriggerGrpoConfig, parts: Parts, dims: Dimensions, size: int, _device: str, shape: Shape
) -> list[Moment]:
    learning = _backward(config, parts.loras["trigger"], dims, size, shape)
    return [*generation(config, dims, size, shape, shared_prompt=True), learning]


def _backward(config: TriggerGrpoConfig, lora: Lora, dims: Dimensions, size: int, shape: Shape) -> Moment:
    """The trigger has read the answers for their decisions, and nothing has gone back yet; no logits of tokens."""
    read = Pass(shape.prompt + shape.completion, shape.prompt + shape.completion)
    adapter = Adapter(lora, dropout=False, cuda=True)
    checkpointing = config.gradient_checkpointing
    layers = kept(dims, size, shape.rows, [read], adapter, checkpointing=checkpointing)
    transient = widest(dims, size, shape.rows, read)
    if checkpointing:
        transient += kept_by_layer(dims, size, shape.rows, read, adapter)
    caches = shape.rows * read.new * keys_and_values(dims, size)
    return Moment("backward", caches, transient, layers - caches, shape.rows * read.new * dims.hidden_size * FLOAT)


STAGE: Stage[TriggerGrpoConfig] = Stage(
    name="trigger_grpo",
    config=TriggerGrpoConfig,
    runner="memgen.stages.trigger_grpo:trigger_grpo",
    output=trainings.checkpoint("trigger_grpo"),
    needs={"": "weaver"},
    makes="trigger",
    work=Work(
        reads=lambda _config: (("train", None),),
        rows=lambda size: max(1, size // 3),
        at_once=trainings.rows_of_a_step,
        pace=trainings.PACE,
        steps=trainings.steps_of_rollouts,
    ),
    memory=Memory(
        batch_of_answers,
        _moments,
        trained=lambda _, parts, dims: lora_parameters(parts.loras["trigger"], dims) + head_parameters(dims),
        keeps_start=True,  # for the divergence from it
    ),
    launch=Launch(
        forms=(
            Form(
                "trigger_grpo",
                "Trigger GRPO",
                "Train the trigger to decide where the weaver inserts latents, by the reward of its completions.",
            ),
        ),
        first=(
            "data", "num_questions", "num_train_epochs", "max_steps", "batch_size", "gradient_accumulation_steps",
            "num_generations", "learning_rate", "max_completion_length",
        ),
        empty={
            **trainings.EMPTY_IN_PIECES,
            "num_questions": "a third",
            "head_learning_rate": "learning rate",
            **dict.fromkeys((*LENGTHS, *INSERTION), "the checkpoint's"),
        },
    ),
    charts=Charts(
        figures=(
            *trainings.REWARDS,
            Figure("insert_rate", "Last insert rate", "%"),
            trainings.NO_SIGNAL,
            trainings.PROMPTS,
        ),
        first_metrics="step",
        panels=(
            (
                trainings.REWARD,
                Panel("Insert rate", ("train/insert_rate",), "Share of decisions that insert"),
                trainings.WITHOUT_SIGNAL,
            ),
            (
                trainings.COMPLETION_LENGTH,
                trainings.TRUNCATED,
                Panel("Entropy", ("train/entropy",), "Of the decisions, in nats; 0.69 is a coin"),
                trainings.GRADIENT_NORM,
            ),
        ),
        shares=trainings.SHARES_OF_ROLLOUTS,
    ),
    next=(
        Next("Evaluate it", "trigger_eval", "quiz"),
        Next("Evaluate it with LTPO", "ltpo_eval", "trending_up"),
        Next("Train its weaver by rewards", "weaver_grpo", "school"),
    ),
)  # fmt: skip
