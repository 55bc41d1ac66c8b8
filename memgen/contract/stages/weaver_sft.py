"""Stage `weaver_sft`: the weaver learns from solutions."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from memgen.contract.added_fields import Added
from memgen.contract.planner.moments import Moment, learning_from_tokens
from memgen.contract.planner.parts import Parts
from memgen.contract.planner.shapes import Shape, batch_of_solutions
from memgen.contract.presets import Dimensions
from memgen.contract.stage import Charts, Form, Launch, Memory, Next, Panel, Stage, Work
from memgen.contract.stage_configs import GUARD_WORDS, LENGTHS, LIMITS, USUAL, WovenTraining, some_insertion
from memgen.contract.stages import trainings, weaver_trainings
from memgen.contract.weaver_variants import TargetsField, VariantField, told


class WeaverSftConfig(WovenTraining):
    """Train the weaver on solutions: latents, projections and its LoRA; the reasoner stays frozen."""

    stage: Literal["weaver_sft"] = "weaver_sft"
    """What this run does."""
    checkpoint: str | None = Field(default=None, min_length=1, max_length=500)
    """Checkpoint whose weaver is trained further: its id, or on the command line its folder; empty starts anew."""
    num_questions: int | None = Field(default=None, ge=1, le=100_000)
    """Training questions, drawn by the seed; empty takes all."""
    num_train_epochs: int = Field(default=2, ge=1, le=1000)
    """Passes over the training questions."""
    batch_size: int = Field(default=4, ge=1, le=512)
    """Examples of a step, times gradient_accumulation_steps; several GPUs share them."""
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=1024)
    """How many times batch_size a step has."""
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
    prompt_latents_len: int = Field(default=USUAL["prompt_latents_len"], ge=1, le=1024)
    """Latents at the end of the prompt."""
    inference_latents_len: int = Field(default=USUAL["inference_latents_len"], ge=1, le=1024)
    """Latents after a delimiter."""
    max_prompt_aug_num: int = Field(default=USUAL["max_prompt_aug_num"], ge=0, le=1)
    """Insertions at the end of the prompt, 0 or 1."""
    max_inference_aug_num: int = Field(default=USUAL["max_inference_aug_num"], ge=0, le=1000)
    """Most insertions after delimiters in an answer."""
    guard_numbers: Annotated[int, Added(0)] = Field(default=0, ge=0, le=1, json_schema_extra=GUARD_WORDS)
    """Whether nothing is inserted inside numbers and `<<...>>`, as far as the text up to a delimiter tells: with 1 a
    full stop directly after a digit gets no latents, even where it ends a sentence; 0, as the method has it, inserts
    there, too."""
    skip_probability: float = Field(default=0.0, ge=0, lt=1)
    """How likely a delimiter of a training example gets no latents, drawn anew at each step; the prompt keeps its own.
    0 inserts at the first delimiters up to the limit, as the released code does; the paper inserts at random
    punctuation. A weaver that has always seen all of them is at a loss where a trigger leaves some out."""
    skip_among: Annotated[Literal["all", "first"], Added("first")] = "all"
    """Which delimiters may be skipped. `all`: points are drawn first and what is left is limited, as in generation,
    where declined points do not count. `first`: the limit comes first, so that later delimiters never get latents."""
    lora_r: int = Field(default=USUAL["lora_r"], ge=1, le=1024)
    """Rank of both adapters' LoRA."""
    lora_targets: TargetsField = "qv"
    """Modules of each layer that get a LoRA, of weaver and trigger: q_proj and v_proj (`qv`, as the method has it), all
    four projections of the attention, the three of the MLP, or all seven."""
    weaver_variant: VariantField = "full"
    """What is left of the weaver, to see what its parts are good for. `no_lora`: latents and projections learn, and the
    weaver is the model as it is; `projections_only`: the two projections alone learn; `static`: no weaver reads the
    text, and the same learned vectors stand at each point."""
    lora_alpha: int = Field(default=32, ge=1, le=4096)
    """Scale of the LoRA: its product is multiplied by lora_alpha / lora_r."""
    lora_dropout: float = Field(default=0.1, ge=0, lt=1)
    """Dropout in front of the LoRA while the weaver is trained."""
    eval_questions: int = Field(default=64, ge=0, le=100_000)
    """Validation questions whose loss is measured; 0 measures none."""
    eval_steps: int = Field(default=100, ge=1, le=10_000_000)
    """Steps between two measurements of the validation loss; it is measured at start and end, too."""

    _something_is_inserted = field_validator("max_inference_aug_num")(some_insertion)


def _steps(config: WeaverSftConfig, rows: int) -> int:
    return trainings.at_most(config, -(-rows // trainings.rows_of_a_step(config)) * config.num_train_epochs)


def _moments(
    config: WeaverSftConfig, parts: Parts, dims: Dimensions, size: int, device: str, shape: Shape
) -> list[Moment]:
    adapter = weaver_trainings.adapter(parts, device, dropout=config.lora_dropout > 0)
    checkpointing = config.gradient_checkpointing
    return [learning_from_tokens(dims, size, shape, adapter, checkpointing=checkpointing, reads=parts.weaver.reads)]


STAGE: Stage[WeaverSftConfig] = Stage(
    name="weaver_sft",
    config=WeaverSftConfig,
    runner="memgen.stages.weaver_sft:weaver_sft",
    output=trainings.checkpoint("weaver_sft"),
    needs={"": None},
    makes="weaver",
    work=Work(
        reads=lambda _config: (("train", None), ("validation", None)),
        reads_solutions=True,
        rows=lambda size: size,
        at_once=trainings.rows_of_a_step,
        pace=trainings.PACE,
        steps=_steps,
    ),
    memory=Memory(
        batch_of_solutions,
        _moments,
        trained=weaver_trainings.trained,
    ),
    launch=Launch(
        forms=(
            Form(
                "weaver_sft",
                "Weaver SFT",
                "Train the weaver on solutions: its latents, projections and LoRA. The model itself stays frozen.",
            ),
        ),
        first=(
            "data", "num_questions", "num_train_epochs", "max_steps", "batch_size", "learning_rate",
            "max_completion_length", *LENGTHS, *LIMITS,
        ),
        empty={
            **trainings.EMPTY_IN_PIECES,
            "num_questions": "all",
            "latents_learning_rate": "learning rate",
            "projections_learning_rate": "learning rate",
        },
        variations=weaver_trainings.VARIATIONS,
    ),
    told=told(WeaverSftConfig),
    charts=Charts(
        figures=trainings.LOSSES,
        first_metrics="step",
        panels=(
            (
                trainings.LOSS,
                trainings.LEARNING_RATE,
                trainings.GRADIENT_NORM,
            ),
            (
                Panel(
                    "Size of latents",
                    ("train/latent_norm",),
                    "Their mean norm over that of token embeddings; far from 1 they speak to the reasoner as no token "
                    "does",
                ),
                Panel(
                    "Similarity of latents",
                    ("train/latent_similarity",),
                    "Mean cosine between two latents of an insertion; near 1 they all say the same",
                ),
            ),
        ),
    ),
    next=(
        Next("Evaluate it", "weaver_eval", "quiz"),
        Next("Train the trigger from it", "trigger_grpo", "school"),
        Next("Train it by rewards", "weaver_grpo", "trending_up"),
    ),
)  # fmt: skip
