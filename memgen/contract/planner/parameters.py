"""How many numbers the parts beside the base have: arithmetic on the dimensions of a model, no torch."""

from memgen.contract.planner.shapes import number_of
from memgen.contract.presets import Dimensions
from memgen.contract.stage_configs import StageConfig
from memgen.contract.weaver_variants import LORA_TARGETS, LoraTargets


def beside_parameters(config: StageConfig, dims: Dimensions, trained: int) -> int:
    """What is loaded beside the base: weaver and trigger, a LoRA on the base itself, or nothing.

    Args:
        config: of the run.
        dims: of its model.
        trained: numbers that it trains.
    """
    if config.has_latents:
        return parts_parameters(config, dims)
    if config.has_lora:
        return trained or lora_parameters(config, dims)
    return 0


def parts_parameters(config: StageConfig, dims: Dimensions) -> int:
    """All of them: two adapters, the weaver's own and the trigger's head."""
    return 2 * lora_parameters(config, dims) + weaver_parameters(config, dims) + head_parameters(dims)


def lora_parameters(config: StageConfig, dims: Dimensions) -> int:
    """One adapter; where the checkpoint decides on what, it is q_proj and v_proj."""
    targets: LoraTargets = getattr(config, "lora_targets", "qv")
    return number_of(config, "lora_r") * numbers_of_rank(dims, targets)


def numbers_of_rank(dims: Dimensions, targets: LoraTargets) -> int:
    """What a LoRA on these modules has for each of its ranks."""
    return dims.num_layers * sum(sum(module_widths(dims)[module]) for module in LORA_TARGETS[targets])


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


def weaver_parameters(config: StageConfig, dims: Dimensions) -> int:
    """Both projections, and the latents."""
    return 2 * projection_parameters(dims) + latents_parameters(config, dims)


def projection_parameters(dims: Dimensions) -> int:
    """One projection between reasoner and weaver, with its bias."""
    return dims.hidden_size * (dims.hidden_size + 1)


def latents_parameters(config: StageConfig, dims: Dimensions) -> int:
    """Query latents, two norms and two scales."""
    latents = number_of(config, "prompt_latents_len") + number_of(config, "inference_latents_len")
    return dims.hidden_size * (latents + 4) + 2


def head_parameters(dims: Dimensions) -> int:
    """The trigger's head, with its bias."""
    return 2 * (dims.hidden_size + 1)
