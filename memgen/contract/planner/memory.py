"""How much memory a run needs: arithmetic on the dimensions of its preset, no torch.

The batch is the fullest that the config's limits and the data allow. Of a run's moments (`moments`) the one that needs
most counts. What attention is assumed to keep stands in `activations`.
"""

from dataclasses import dataclass

from memgen.contract.config import RunConfig
from memgen.contract.planner.activations import FLOAT
from memgen.contract.planner.moments import Moment, moments
from memgen.contract.planner.shapes import Shape, fullest_batch, has_latents, number_of
from memgen.contract.presets import Dimensions, Preset
from memgen.contract.stage_configs import TriggerGrpoConfig, WeaverSftConfig

# On a CPU what a trainer has resident beside the other parts, measured; on a GPU the context of CUDA and the workspaces
# of its libraries, assumed and not measured.
PROCESS_BYTES = {"cpu": 450 * 2**20, "cuda": 700 * 2**20}
# Share of a training's activations that glibc's heap holds beside them at its peak: freed tensors below 32 MiB leave
# holes that later ones do not fill. Measured: 0.28 to 0.43 in weaver_sft, 0.45 to 0.84 in trigger_grpo.
HEAP_HOLES = 0.5


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that a run needs on its device, by part."""

    weights: int
    trainables: int
    """Adapters, latents, projections and head in float32, those that are not trained too."""
    gradients: int
    optimizer: int
    """The two moments of AdamW."""
    widest: Moment
    """Caches and activations of the moment that needs most."""
    num_layers: int
    """Decoder layers, over which a model can be spread."""
    layer_weights: int
    """Weights of one decoder layer."""
    embedding_weights: int
    """Weights of the embedding matrix."""
    allocator: int
    """Holes in the heap of a training on a CPU; what a GPU's allocator rounds up is not counted."""
    process: int
    """Interpreter and libraries; on a GPU the context and the workspaces of its libraries."""

    @property
    def caches(self) -> int:
        """Keys and values."""
        return self.widest.caches

    @property
    def activations(self) -> int:
        """What backward keeps, and the widest moment's buffers."""
        return self.widest.total - self.widest.caches

    @property
    def total(self) -> int:
        """Sum of all parts, in bytes."""
        beside = self.trainables + self.gradients + self.optimizer + self.allocator + self.process
        return self.weights + beside + self.widest.total


def bytes_per_number(dtype: str, device: str) -> int:
    """Size of one weight in bytes; `auto` is bfloat16 on a GPU and float32 on a CPU."""
    if dtype == "auto":
        dtype = "bfloat16" if device == "cuda" else "float32"
    return {"float32": 4, "bfloat16": 2}[dtype]


def weights_bytes(preset: Preset, dtype: str = "bfloat16", device: str = "cuda") -> int:
    """Bytes of one copy of the weights."""
    return preset.dimensions.parameters * bytes_per_number(dtype, device)


def plan(config: RunConfig, preset: Preset, device: str, shape: Shape | None = None) -> MemoryPlan:
    """Memory of a run.

    Args:
        config: of the run.
        preset: its model.
        device: `cpu` or `cuda`.
        shape: of a batch; None takes `fullest_batch`.
    """
    dims, size = preset.dimensions, bytes_per_number(config.dtype, device)
    held = moments(config, dims, size, device, shape or fullest_batch(config))
    trained = trained_parameters(config, dims)
    beside = parts_parameters(config, dims) if has_latents(config) else 0
    if isinstance(config, TriggerGrpoConfig):
        beside += trained  # the trigger as it was at the start, for the divergence from it
    widest = max(held, key=lambda moment: moment.total)
    return MemoryPlan(
        weights=dims.parameters * size,
        trainables=FLOAT * beside,
        gradients=FLOAT * trained,
        optimizer=2 * FLOAT * trained,
        widest=widest,
        num_layers=dims.num_layers,
        layer_weights=dims.layer_parameters * size,
        embedding_weights=dims.vocab_size * dims.hidden_size * size,
        allocator=int(HEAP_HOLES * (widest.total - widest.caches)) if trained and device == "cpu" else 0,
        process=PROCESS_BYTES[device],
    )


def parts_parameters(config: RunConfig, dims: Dimensions) -> int:
    """Numbers beside the base: two adapters on q_proj and v_proj, latents, projections and the trigger's head."""
    return 2 * _lora(config, dims) + _weaver_own(config, dims) + _head(dims)


def trained_parameters(config: RunConfig, dims: Dimensions) -> int:
    """Numbers that a training trains; 0 of an evaluation."""
    if isinstance(config, WeaverSftConfig):
        return _lora(config, dims) + _weaver_own(config, dims)
    if isinstance(config, TriggerGrpoConfig):
        return _lora(config, dims) + _head(dims)
    return 0


def _lora(config: RunConfig, dims: Dimensions) -> int:
    q_width, v_width = dims.num_heads * dims.head_dim, dims.num_kv_heads * dims.head_dim
    return dims.num_layers * number_of(config, "lora_r") * (2 * dims.hidden_size + q_width + v_width)


def _weaver_own(config: RunConfig, dims: Dimensions) -> int:
    """Projections with their biases, latents, two norms and two scales."""
    latents = number_of(config, "prompt_latents_len") + number_of(config, "inference_latents_len")
    return dims.hidden_size * (2 * (dims.hidden_size + 1) + latents + 4) + 2


def _head(dims: Dimensions) -> int:
    return 2 * (dims.hidden_size + 1)
