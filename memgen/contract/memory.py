"""How much memory a run needs: arithmetic on the dimensions of its preset, no torch.

An evaluation holds the weights, a key-value cache and the activations of its widest moment. What the
process itself takes (interpreter, libraries, GPU context) is a constant that was measured on a CPU.
"""

from dataclasses import dataclass

from memgen.contract.config import EvaluateConfig
from memgen.contract.presets import Preset

PROCESS_BYTES = 700 * 2**20  # resident size of a trainer on a CPU before it loads weights


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that a run needs on its device."""

    weights: int
    cache: int
    activations: int
    process: int = PROCESS_BYTES

    @property
    def total(self) -> int:
        """Sum of all parts, in bytes."""
        return self.weights + self.cache + self.activations + self.process


def bytes_per_number(dtype: str, device: str) -> int:
    """Size of one weight in bytes; `auto` is bfloat16 on a GPU and float32 on a CPU."""
    if dtype == "auto":
        dtype = "bfloat16" if device == "cuda" else "float32"
    return {"float32": 4, "bfloat16": 2}[dtype]


def weights_bytes(preset: Preset, dtype: str = "bfloat16", device: str = "cuda") -> int:
    """Bytes of one copy of the weights."""
    return preset.dimensions.parameters * bytes_per_number(dtype, device)


def plan(config: EvaluateConfig, preset: Preset, device: str) -> MemoryPlan:
    """Memory of an evaluation on a device (`cpu` or `cuda`) when every answer reaches its length limit."""
    size = bytes_per_number(config.dtype, device)
    dims = preset.dimensions
    tokens = config.batch_size * (config.max_prompt_length + config.max_completion_length)
    cache = tokens * dims.num_layers * 2 * dims.num_kv_heads * dims.head_dim * size
    prompt_tokens = config.batch_size * config.max_prompt_length
    # widest moment of a layer: gate, up and their product beside the residual stream and attention
    widths = 3 * dims.intermediate_size + 4 * dims.hidden_size
    activations = prompt_tokens * widths * size + config.batch_size * dims.vocab_size * 4
    return MemoryPlan(weights=weights_bytes(preset, config.dtype, device), cache=cache, activations=activations)


def output_bytes(config: EvaluateConfig, num_questions: int) -> int:
    """Upper estimate of the bytes that a run writes below its home: answers, log and events."""
    per_question = 4 * config.max_completion_length + 4_000
    return num_questions * per_question * 2 + 20 * 2**20  # twice: the backend keeps a copy
