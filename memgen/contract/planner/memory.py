"""How much memory a run needs: arithmetic on the dimensions of its preset, no torch.

The batch is the fullest that the config's limits and the data allow. Of a run's moments, which its stage names, the one
that needs most counts. What attention is assumed to keep stands in `activations`.
"""

from dataclasses import dataclass

from memgen.contract.config import RunConfig
from memgen.contract.planner.activations import FLOAT
from memgen.contract.planner.moments import Moment
from memgen.contract.planner.parameters import beside_parameters
from memgen.contract.planner.parts import Parts, parts_of
from memgen.contract.planner.shapes import Shape
from memgen.contract.presets import Preset
from memgen.contract.stages import stage_of

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
    """Adapters, latents, projections and head in float32, those that are not trained, too."""
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


def plan(
    config: RunConfig, preset: Preset, device: str, shape: Shape | None = None, start: Parts | None = None
) -> MemoryPlan:
    """Memory of a run; of one that takes as many rows as fit, what it can't do without.

    Args:
        config: of the run.
        preset: its model.
        device: `cpu` or `cuda`.
        shape: of a batch; None takes the fullest.
        start: what its checkpoint has, where that is known.
    """
    if device == "cpu" and config.width is None:
        config = config.with_width(config.usual_width)
    dims, size = preset.dimensions, bytes_per_number(config.dtype, device)
    memory, parts = stage_of(config).memory, parts_of(config, start)
    held = memory.moments(config, parts, dims, size, device, shape or memory.batch(config, parts))
    trained = memory.trained(config, parts, dims)
    beside = beside_parameters(config, parts, dims, trained)
    if memory.keeps_start:
        beside += trained
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
