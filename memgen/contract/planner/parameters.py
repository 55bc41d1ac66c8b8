"""How many numbers the parts beside the base have: arithmetic on the dimensions of a model, no torch."""

from collections.abc import Sequence

from memgen.contract.planner.parts import Lora, Parts
from memgen.contract.presets import Dimensions
from memgen.contract.stage_configs import LENGTHS, StageConfig


def beside_parameters(config: StageConfig, parts: Parts, dims: Dimensions, trained: int) -> int:
    """What is loaded beside the base: weaver and trigger, a LoRA on the base itself, or nothing.

    Args:
        config: of the run.
        parts: that it has.
        dims: of its model.
        trained: numbers that it trains.
    """
    adapters = sum(lora_parameters(lora, dims) for lora in parts.loras.values())
    if config.has_latents:
        return adapters + weaver_parameters(parts, dims) + head_parameters(dims)
    return trained or adapters if config.has_lora else 0


def lora_parameters(lora: Lora, dims: Dimensions) -> int:
    """One adapter."""
    return lora.rank * numbers_of_rank(dims, lora.targets)


def numbers_of_rank(dims: Dimensions, targets: Sequence[str]) -> int:
    """What a LoRA on these modules has for each of its ranks."""
    return dims.num_layers * sum(sum(module_widths(dims)[module]) for module in targets)


def module_widths(dims: Dimensions) -> dict[str, tuple[int, int]]:
    """What the linear modules of a decoder layer read and give, numbers per position."""
    hidden, q_width, kv_width = dims.hidden_size, dims.num_heads * dims.head_dim, dims.num_kv_heads * dims.head_dim
    return {
        "q_proj": (hidden, q_width),
        "k_proj": (hidden, kv_width),
        "v_proj": (hidden, kv_width),
        "o_proj": (q_width, hidden),
        "gate_proj": (hidden, dims.intermediate_size),
        "up_proj": (hidden, dims.intermediate_size),
        "down_proj": (dims.intermediate_size, hidden),
    }


def weaver_parameters(parts: Parts, dims: Dimensions) -> int:
    """Both projections, and the latents."""
    return 2 * projection_parameters(dims) + latents_parameters(parts, dims)


def projection_parameters(dims: Dimensions) -> int:
    """One projection between reasoner and weaver, with its bias."""
    return dims.hidden_size * (dims.hidden_size + 1)


def latents_parameters(parts: Parts, dims: Dimensions) -> int:
    """Query latents, two norms and two scales."""
    latents = sum(parts.numbers[name] for name in LENGTHS)
    return dims.hidden_size * (latents + 4) + 2


def head_parameters(dims: Dimensions) -> int:
    """The trigger's head, with its bias."""
    return 2 * (dims.hidden_size + 1)
