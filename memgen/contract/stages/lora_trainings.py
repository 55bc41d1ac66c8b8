"""What both trainings of a plain LoRA share: the controls that a weaver is compared with, trained by trl's trainers."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from memgen.contract.added_fields import Added
from memgen.contract.data_sets.field import WORDS
from memgen.contract.errors import BadInput
from memgen.contract.planner.activations import FLOAT, Adapter, kept_by_layer, widest
from memgen.contract.planner.moments import Moment
from memgen.contract.planner.parameters import module_widths, numbers_of_rank
from memgen.contract.planner.parts import Lora, Parts
from memgen.contract.planner.shapes import Pass, Shape
from memgen.contract.presets import Dimensions
from memgen.contract.stage_configs import USUAL, TrainingInPieces
from memgen.contract.weaver_variants import LORA_TARGETS, TargetsField
from memgen.contract.width import AUTO, Width

Budget = Literal["steps", "time", "numbers"]
BUDGET_FIELDS: Mapping[str, str] = {"time": "max_seconds", "numbers": "trained_numbers"}
MOST_RANK = 4096
TILE = (4096, 32_768)  # tokens and words of the vocabulary whose logits trl holds at a time
COPIES = 7  # of a tile in float32, and a mask of it, that trl makes where it has no kernels of Triton: on a CPU


class LoraTraining(TrainingInPieces):
    """A plain LoRA on the base, without latents."""

    micro_batch_size: Annotated[Width | None, Added(None)] = AUTO
    """Rows of a batch that go through the model at the same time: a step learns the same however many they are. `auto`
    takes as many as fit into the GPU's free memory, and half of them where memory runs out after all; on a CPU
    batch_size. Empty is batch_size, and the run fails where its memory runs out."""
    budget: Budget = Field(
        default="steps", title="Matched by", json_schema_extra={WORDS: {"numbers": "trained numbers"}}
    )
    """What the training has in common with the one that it is compared with: `steps`, as many of them (epochs or
    max_steps); `time`, as many seconds (max_seconds); `numbers`, as many trained numbers (trained_numbers), which then
    decide the rank."""
    max_seconds: float | None = Field(default=None, gt=0, le=1e8, validate_default=True, title="Most seconds")
    """With the budget `time`: the training ends after the step in which its time has passed, validation included; a
    result's `seconds` is that of the training to match. Learning rates fall as if all steps were done, so `constant`
    suits it best. Such a training ends elsewhere each time it is run."""
    trained_numbers: int | None = Field(default=None, ge=1, le=10**12, validate_default=True, title="Trained numbers")
    """With the budget `numbers`: the rank is the one that trains nearest to as many; lora_r is not read then. A
    result's `trained_numbers` is that of the training to match."""
    lora_r: int = Field(default=USUAL["lora_r"], ge=1, le=1024)
    """Rank of the LoRA."""
    lora_alpha: int = Field(default=32, ge=1, le=4096)
    """Scale of the LoRA: its product is multiplied by lora_alpha / rank."""
    lora_dropout: float = Field(default=0.1, ge=0, lt=1)
    """Dropout in front of the LoRA while it is trained."""
    lora_targets: TargetsField = "qv"
    """Modules of each decoder layer that get a LoRA: `qv` is q_proj and v_proj, as in the weaver; `attention` all four
    of the attention, `mlp` the three of the MLP, `all` all seven."""

    @field_validator("max_seconds", "trained_numbers")
    @classmethod
    def _goes_with_its_budget(cls, value: float | None, info: ValidationInfo) -> float | None:
        budget = info.data.get("budget")
        wanted = BUDGET_FIELDS.get(str(budget)) == info.field_name
        if wanted and value is None:
            raise PydanticCustomError("budget_missing", f"the budget `{budget}` needs a number here")
        if value is not None and not wanted and budget is not None:
            raise PydanticCustomError("budget_unused", f"the budget `{budget}` does not read this")
        return value

    @property
    def has_latents(self) -> bool:
        """Whether weaver and trigger are loaded."""
        return False

    @property
    def has_lora(self) -> bool:
        """Whether a LoRA changes the base itself."""
        return True


def rank_of(config: LoraTraining, dims: Dimensions) -> int:
    """Rank of the LoRA that a training makes, by its budget.

    Raises:
        BadInput: `no_such_rank`, if so many numbers ask for a rank that no LoRA has here.
    """
    if config.trained_numbers is None:
        return config.lora_r
    one = numbers_of_rank(dims, LORA_TARGETS[config.lora_targets])
    rank = max(1, round(config.trained_numbers / one))
    if rank > MOST_RANK:
        raise BadInput(
            "no_such_rank",
            f"a rank trains {one:,} numbers, so this would be rank {rank:,}, above {MOST_RANK:,}",
            field="trained_numbers",
            value=config.trained_numbers,
            way_out="Train fewer, or put LoRA into more layers (lora_targets).",
        )
    return rank


def trained(config: LoraTraining, _parts: Parts, dims: Dimensions) -> int:
    """Numbers that are trained."""
    return rank_of(config, dims) * numbers_of_rank(dims, LORA_TARGETS[config.lora_targets])


def backward(config: LoraTraining, dims: Dimensions, size: int, device: str, shape: Shape, *, dropout: bool) -> Moment:
    """The loss is known and nothing has gone back yet; of the logits trl holds a tile at a time, with its gradients.

    On a GPU it has kernels of Triton, which work in the tile itself and at labels alone: here all positions count.
    """
    rows, tokens = shape.rows, shape.prompt + shape.completion
    lora = Lora(rank_of(config, dims), LORA_TARGETS[config.lora_targets])
    adapter = Adapter(lora, dropout=dropout, cuda=device == "cuda")
    checkpointing = config.gradient_checkpointing
    one = Pass(tokens, tokens)
    # rows of several lengths have a mask: each layer keeps it as numbers, and repeats keys and values for the queries
    # that share them
    padding = rows * tokens * tokens * size
    repeated = rows * tokens * 2 * (dims.num_heads - dims.num_kv_heads) * dims.head_dim * size
    layer = kept_by_layer(dims, size, rows, one, adapter) + padding + repeated
    layers = dims.num_layers * (rows * tokens * dims.hidden_size * size if checkpointing else layer)
    ends = rows * tokens * dims.hidden_size * FLOAT
    tile = min(rows * tokens, TILE[0]) * TILE[1] * size
    if device == "cpu":
        tile += min(rows * tokens, TILE[0]) * min(dims.vocab_size, TILE[1]) * (COPIES * FLOAT + 1)
    inside = widest(dims, size, rows, one)
    if dropout and rows < config.batch_size:  # it is drawn for the whole batch
        inputs = max(module_widths(dims)[module][0] for module in lora.targets)
        inside = max(inside, 2 * config.batch_size * tokens * inputs * FLOAT)
    transient = max(tile + rows * tokens * dims.hidden_size * FLOAT, inside + (layer if checkpointing else 0))
    return Moment("backward", 0, transient, layers, ends)
