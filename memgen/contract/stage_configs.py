"""What the configs of all stages share, of the evaluations, and of the trainings; `stages/` has a class for each stage.

The docstring under a field is its help text in the API, the launch form and the command line.
A config says what to compute; where things lie (home, data folders) is the machine's business.
Defaults are those of MemGen (arXiv 2509.24704) and LTPO (arXiv 2510.04182) as docs/method.md names them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from memgen.contract.added_fields import Added, as_stored
from memgen.contract.asking import ZERO_SHOT, Asking
from memgen.contract.data_sets.field import WORDS, DataName
from memgen.contract.data_sets.record import Split
from memgen.contract.data_sets.registry import DEFAULT
from memgen.contract.errors import BadInput
from memgen.contract.names import MOST_REVISION, REVISION
from memgen.contract.titles import ON_OFF, title_of
from memgen.contract.width import AUTO, CPU_ROWS, Width

DType = Literal["auto", "float32", "bfloat16"]
LENGTHS = ("prompt_latents_len", "inference_latents_len")
LIMITS = ("max_prompt_aug_num", "max_inference_aug_num")
INSERTION = (*LIMITS, "guard_numbers")
"""What the insertion rule depends on; a checkpoint carries it along with its lengths."""
GUARD_WORDS: JsonDict = {WORDS: dict(ON_OFF.items())}
"""What people read for `guard_numbers`."""
USUAL = {
    "prompt_latents_len": 8,
    "inference_latents_len": 8,
    "max_prompt_aug_num": 1,
    "max_inference_aug_num": 5,
    "guard_numbers": 0,
    "lora_r": 16,
}
"""What a new checkpoint has, and what the planner counts with where the checkpoint is not at hand."""


class StageConfig(BaseModel):
    """What the configs of all stages share."""

    if TYPE_CHECKING:  # every stage has these too, each in its own order, with its own limits and help
        checkpoint: str | None
        num_questions: int | None
        batch_size: int | Literal["auto"]

    width_field: ClassVar[str] = "batch_size"
    """The field that says how many rows are worked on at the same time."""
    learns_from_rewards: ClassVar[bool] = False
    """Whether it is a training from the rewards of completions, which keeps rollouts."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        field_title_generator=lambda name, _: title_of(name),
    )

    stage: str
    """What this run does."""
    preset: str = Field(default="HuggingFaceTB/SmolLM2-135M-Instruct", min_length=1, max_length=200)
    """The base model, by the name of its preset."""
    revision: str | None = Field(default=None, max_length=MOST_REVISION, pattern=REVISION)
    """Commit of the model's repository; empty pins the newest one when the run is submitted. A model that lies in a
    folder has none."""
    data: DataName = DEFAULT
    """Questions: the name of a data set; `memgen data-sets` lists them."""
    max_prompt_length: int = Field(default=1024, ge=16, le=32_768)
    """Longest prompt in tokens; a longer one fails the run instead of being cut in silence."""
    max_completion_length: int = Field(default=1024, ge=1, le=32_768)
    """Most tokens of a completion. An evaluation counts an answer that reaches it as truncated; a training leaves
    examples with a longer solution out and says how many."""
    dtype: DType = "auto"
    """Number format of the weights: `auto` is bfloat16 on a GPU and float32 on a CPU."""
    seed: int = Field(default=42, ge=0, le=2**31 - 1)
    """Seed of every random choice, and of the validation split."""

    @model_validator(mode="before")
    @classmethod
    def _fields_that_came_later(cls, data: Any) -> Any:
        return as_stored(cls, data) if isinstance(data, Mapping) else data

    @property
    def measured(self) -> str:
        """What is measured, as lists and comparisons name it; of a training empty."""
        return getattr(self, "setting", "")

    @property
    def width(self) -> int | None:
        """Rows that are worked on at the same time; None where they are as many as fit."""
        rows = getattr(self, self.width_field)
        return None if rows == AUTO else int(rows)

    @property
    def usual_width(self) -> int:
        """Rows at the same time where as many as fit are asked for and nobody measures what fits: on a CPU."""
        return CPU_ROWS

    @property
    def stops_on_alarm(self) -> bool:
        """Whether the run is saved and stopped once it shows that it learns nothing."""
        return False

    def kept_completions(self, steps: int) -> int:  # noqa: ARG002
        """How many completions a training of so many steps keeps to be looked at, at most."""
        return 0

    def with_width(self, rows: int) -> Self:
        """The same with so many rows at the same time."""
        return self.model_copy(update={self.width_field: rows})

    @property
    def asking(self) -> Asking:
        """How questions are asked."""
        return ZERO_SHOT

    @property
    def has_latents(self) -> bool:
        """Whether weaver and trigger are loaded."""
        return True

    @property
    def has_lora(self) -> bool:
        """Whether a LoRA changes the base itself, without latents."""
        return False

    @property
    def uses_trigger(self) -> bool:
        """Whether the trigger decides while completions are generated; without it latents are always inserted."""
        return False


class Evaluation(StageConfig):
    """What all evaluations share."""

    without_latents: ClassVar[tuple[str, ...]] = ("base",)
    """Settings of the plain model, which starts from no checkpoint."""
    with_lora: ClassVar[tuple[str, ...]] = ()
    """Settings of the model with a LoRA of its own, which has no latents either."""

    setting: str
    """What is measured."""
    checkpoint: str | None = Field(default=None, min_length=1, max_length=500, validate_default=True)
    """Checkpoint of what is measured: its id, or on the command line its folder; only `base` needs none."""
    split: Split = "test"
    """Part of the data: `test`, or `validation` (10 % of the training rows, by seed), or `train`."""
    num_questions: int | None = Field(default=None, ge=1, le=100_000)
    """How many questions, from the first on; empty takes the whole split. Differences between two models below
    about 5 points need several hundred."""
    batch_size: Width = AUTO
    """Questions answered at the same time, on each GPU: more is faster, until memory runs out. `auto` takes as many as
    fit into the GPU's free memory, and half of them where memory runs out after all; on a CPU 8. A number is kept as it
    is, and the run fails where its memory runs out. In bfloat16 some answers change with the width."""
    max_prompt_aug_num: int | None = Field(default=None, ge=0, le=1)
    """Insertions at the end of the prompt, 0 or 1; empty takes the checkpoint's."""
    max_inference_aug_num: int | None = Field(default=None, ge=0, le=1000)
    """Most insertions after delimiters in an answer; empty takes the checkpoint's."""
    guard_numbers: Annotated[int | None, Added(None)] = Field(default=None, ge=0, le=1, json_schema_extra=GUARD_WORDS)
    """Whether nothing is inserted inside numbers and `<<...>>`: 1 or 0; empty takes the checkpoint's."""
    prompt_latents_len: int | None = Field(default=None, ge=1, le=1024)
    """Latents at the end of the prompt. They are the checkpoint's; a number here must agree with it."""
    inference_latents_len: int | None = Field(default=None, ge=1, le=1024)
    """Latents after a delimiter. They are the checkpoint's; a number here must agree with it."""
    nll: Annotated[bool, Added(False)] = Field(default=False, title="Likelihood of the solutions")
    """Whether it is also measured how likely each question's own solution is, in nats per token (negative
    log-likelihood): one pass without generation, which tells settings apart where few answers are right, or few wrong.
    Latents stand at the points of the solution, as in training."""

    @field_validator("checkpoint")
    @classmethod
    def _checkpoint_fits_setting(cls, value: str | None, info: ValidationInfo) -> str | None:
        setting = info.data.get("setting")
        if setting in cls.without_latents and value is not None:
            raise PydanticCustomError("checkpoint_unused", f"the setting `{setting}` uses no checkpoint")
        if setting not in (None, *cls.without_latents) and value is None:
            raise PydanticCustomError("checkpoint_missing", f"the setting `{setting}` needs a checkpoint")
        return value

    @field_validator(*INSERTION, *LENGTHS)
    @classmethod
    def _base_has_no_latents(cls, value: int | None, info: ValidationInfo) -> int | None:
        setting = info.data.get("setting")
        if value is not None and setting in (*cls.without_latents, *cls.with_lora):
            raise PydanticCustomError("latents_unused", f"the setting `{setting}` has no latents")
        return value

    @property
    def has_latents(self) -> bool:
        """Whether weaver and trigger are loaded."""
        return self.setting not in (*self.without_latents, *self.with_lora)

    @property
    def has_lora(self) -> bool:
        """Whether a LoRA changes the base itself."""
        return self.setting in self.with_lora

    @property
    def uses_trigger(self) -> bool:
        """Whether the trigger decides; without it latents are always inserted."""
        return "+trigger" in self.setting

    @property
    def uses_training_rows(self) -> bool:
        """Whether the stage is given training rows beside its questions."""
        return False

    def lacks(self, left: int) -> BadInput | None:  # noqa: ARG002
        """Why so many training rows, those that are not evaluated, are too few for what is drawn from them."""
        return None


class Training(StageConfig):
    """What all trainings share. One step is one update of the optimizer."""

    if TYPE_CHECKING:  # every training has these too, with its own default and help
        batch_size: int
        gradient_accumulation_steps: int

    num_questions: int | None = Field(default=None, ge=1, le=100_000)
    """Training questions, drawn by the seed."""
    max_steps: int | None = Field(default=None, ge=1, le=10_000_000)
    """Steps at most; empty trains all epochs."""
    learning_rate: float = Field(gt=0, le=1)
    """Highest learning rate."""
    warmup_ratio: float = Field(ge=0, le=1)
    """Share of the steps in which the learning rate rises from 0."""
    lr_scheduler_type: Literal["cosine", "linear", "constant"]
    """How the learning rate falls after the warm-up; it ends where the training ends."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """Weight decay of AdamW."""
    max_grad_norm: float = Field(default=1.0, gt=0, le=1e9)
    """Gradients with a larger norm are scaled down to it."""
    gradient_checkpointing: bool = False
    """Whether layers run again in the backward pass instead of keeping their activations: less memory, more time."""
    save_steps: int = Field(default=100, ge=1, le=10_000_000)
    """Steps between two checkpoints from which the training can be resumed; the last two are kept."""
    stop_on_alarm: Annotated[bool, Added(False)] = False
    """Whether the training is saved and stopped at the first alarm, e.g. where rewards do not differ for ten steps.
    What only takes long, such as steps that have become slow, stops nothing."""

    @property
    def stops_on_alarm(self) -> bool:
        """Whether the run is saved and stopped once it shows that it learns nothing."""
        return self.stop_on_alarm


class TrainingInPieces(Training):
    """A training whose rows may go through the model in pieces: it learns the same however large they are."""

    if TYPE_CHECKING:  # each has it with its own help
        micro_batch_size: int | Literal["auto"] | None

    width_field: ClassVar[str] = "micro_batch_size"

    @property
    def width(self) -> int | None:
        """Rows that go through the model at the same time; None where they are as many as fit."""
        return self.batch_size if self.micro_batch_size is None else super().width

    @property
    def usual_width(self) -> int:
        """Rows at the same time where nobody measures what fits."""
        return self.batch_size


class WovenTraining(TrainingInPieces):
    """What the trainings of weaver and trigger share."""

    micro_batch_size: Annotated[Width | None, Added(None)] = AUTO
    """Rows of a step that go through the model at the same time, on each GPU: a step learns the same however many they
    are. `auto` takes as many as fit into the GPU's free memory, and half of them where memory runs out after all; on a
    CPU batch_size. Empty is batch_size, with dropout drawn for those rows together, as versions before did."""


class FromRewards(Training):
    """What the trainings share that compare the rewards of several completions per question (GRPO)."""

    if TYPE_CHECKING:  # each has these in its own order, with its own defaults and help
        num_generations: int
        num_train_epochs: int
        num_iterations: int
        temperature: float
        scale_rewards: Literal["none", "group"]
        beta: float
        epsilon: float

    kept_rollouts: Annotated[int, Added(0)] = Field(default=200, ge=0, le=10_000)
    """Most steps whose completions are kept to be looked at, with rewards and decisions: of a longer training so many
    at even distances, from its first step on. Nothing that is computed depends on it; 0 keeps none."""

    learns_from_rewards: ClassVar[bool] = True

    def kept_completions(self, steps: int) -> int:
        """How many completions a training of so many steps keeps to be looked at, at most."""
        rollouts = min(self.kept_rollouts, -(-steps // self.num_iterations))
        return rollouts * self.batch_size * self.gradient_accumulation_steps

    @field_validator("num_generations", check_fields=False)
    @classmethod
    def _batch_holds_whole_groups(cls, value: int, info: ValidationInfo) -> int:
        batch_size = info.data.get("batch_size")
        if batch_size is not None and batch_size % value:
            raise PydanticCustomError(
                "groups_uneven", f"batch_size {batch_size} is not a multiple of num_generations {value}"
            )
        return value


def some_insertion(value: int | None, info: ValidationInfo) -> int | None:
    """Refuse limits under which a training would have nothing to train."""
    if value == 0 and info.data.get("max_prompt_aug_num") == 0:
        raise PydanticCustomError("no_insertion", "without any insertion there is nothing to train")
    return value
