"""How much memory and disk a run needs: arithmetic on the dimensions of its preset, no torch.

An evaluation holds the weights, key-value caches and the activations of its widest moment; a training also gradients,
the optimizer's two moments and what the backward pass keeps of each layer. What the process itself takes (interpreter,
libraries, GPU context) is a constant that was measured on a CPU.
"""

from dataclasses import dataclass

from memgen.contract.config import RunConfig
from memgen.contract.datasets import LONGEST
from memgen.contract.presets import Dimensions, Preset
from memgen.contract.stage_configs import Evaluation, LtpoEvaluateConfig, TriggerGrpoConfig, WeaverSftConfig

PROCESS_BYTES = 700 * 2**20  # resident size of a trainer on a CPU before it loads weights
ROLES = 3  # reasoner, weaver and trigger have a cache each
LORA_R = 16  # of a checkpoint whose manifest is not at hand
KEPT_CHECKPOINTS = 3  # the last two, and one that is being written


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that a run needs on its device."""

    weights: int
    cache: int
    activations: int
    trained: int = 0
    """Trained parts in float32, their gradients and the optimizer's two moments."""
    process: int = PROCESS_BYTES

    @property
    def total(self) -> int:
        """Sum of all parts, in bytes."""
        return self.weights + self.cache + self.activations + self.trained + self.process


def bytes_per_number(dtype: str, device: str) -> int:
    """Size of one weight in bytes; `auto` is bfloat16 on a GPU and float32 on a CPU."""
    if dtype == "auto":
        dtype = "bfloat16" if device == "cuda" else "float32"
    return {"float32": 4, "bfloat16": 2}[dtype]


def weights_bytes(preset: Preset, dtype: str = "bfloat16", device: str = "cuda") -> int:
    """Bytes of one copy of the weights."""
    return preset.dimensions.parameters * bytes_per_number(dtype, device)


def parts_parameters(dims: Dimensions, lora_r: int = LORA_R, latents: int = 16) -> int:
    """Numbers beside the base: two adapters on q_proj and v_proj, two projections, latents and the trigger's head."""
    q_out, v_out = dims.num_heads * dims.head_dim, dims.num_kv_heads * dims.head_dim
    lora = dims.num_layers * lora_r * (2 * dims.hidden_size + q_out + v_out)
    return 2 * lora + 2 * dims.hidden_size * (dims.hidden_size + 1) + dims.hidden_size * (latents + 6)


def _parts_of(config: RunConfig, dims: Dimensions) -> int:
    """`parts_parameters` with the config's rank and lengths, as far as it names them."""
    latents = (config_number(config, "prompt_latents_len") or 8) + (config_number(config, "inference_latents_len") or 8)
    return parts_parameters(dims, config_number(config, "lora_r") or LORA_R, latents)


def config_number(config: RunConfig, name: str) -> int | None:
    """A field that not every stage has."""
    value = getattr(config, name, None)
    return None if value is None else int(value)


def plan(config: RunConfig, preset: Preset, device: str) -> MemoryPlan:
    """Memory of a run on a device (`cpu` or `cuda`) when every row is as long as it may be, by limits and data."""
    size = bytes_per_number(config.dtype, device)
    dims = preset.dimensions
    roles = 1 if isinstance(config, Evaluation) and config.setting == "base" else ROLES
    prompt, completion = min(config.max_prompt_length, LONGEST[config.data][0]), config.max_completion_length
    if isinstance(config, WeaverSftConfig):
        completion = min(completion, LONGEST[config.data][1])
    tokens = config.batch_size * (prompt + completion)
    cache = roles * tokens * dims.num_layers * 2 * dims.num_kv_heads * dims.head_dim * size
    prompt_tokens = config.batch_size * prompt
    # widest moment of a layer: gate, up and their product beside the residual stream and attention
    widths = 3 * dims.intermediate_size + 4 * dims.hidden_size
    activations = prompt_tokens * widths * size + config.batch_size * dims.vocab_size * 4
    trained = 0 if roles == 1 else 4 * _parts_of(config, dims)
    if isinstance(config, WeaverSftConfig | TriggerGrpoConfig):
        trained *= 4  # the numbers, their gradients, two moments
        # the backward pass keeps the widths of every layer, through reasoner and weaver (or the trigger alone)
        passes = 2 if isinstance(config, WeaverSftConfig) else 1
        logits = config.batch_size * completion * dims.vocab_size * 4 * 2
        kept = passes * tokens * dims.num_layers * widths * size
        activations += kept + (logits if isinstance(config, WeaverSftConfig) else 0)
    if isinstance(config, LtpoEvaluateConfig):
        latents = config.batch_size * (config.prompt_latents_len or 8)
        activations += latents * (dims.num_layers * widths * size + 3 * 4 * dims.vocab_size)
    return MemoryPlan(weights_bytes(preset, config.dtype, device), cache, activations, trained)


def output_bytes(config: RunConfig, preset: Preset, num_questions: int) -> int:
    """Upper estimate of the bytes that a run writes below its home: answers or checkpoints, log and events."""
    log = 20 * 2**20
    if isinstance(config, WeaverSftConfig | TriggerGrpoConfig):
        weights = 4 * _parts_of(config, preset.dimensions)
        return log + KEPT_CHECKPOINTS * 3 * weights + weights  # with two moments each, and the final one
    per_question = 4 * config.max_completion_length + 4_000
    return num_questions * per_question * 2 + log  # twice: the backend keeps a copy
