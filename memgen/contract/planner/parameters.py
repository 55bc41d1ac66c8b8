"""How many numbers the parts beside the base have: arithmetic on the dimensions of a model, no torch."""

from memgen.contract.planner.shapes import number_of
from memgen.contract.presets import Dimensions
from memgen.contract.stage_configs import StageConfig


def parts_parameters(config: StageConfig, dims: Dimensions) -> int:
    """All of them: two adapters, the weaver's own and the trigger's head."""
    return 2 * lora_parameters(config, dims) + weaver_parameters(config, dims) + head_parameters(dims)


def lora_parameters(config: StageConfig, dims: Dimensions) -> int:
    """One adapter on q_proj and v_proj."""
    q_width, v_width = dims.num_heads * dims.head_dim, dims.num_kv_heads * dims.head_dim
    return dims.num_layers * number_of(config, "lora_r") * (2 * dims.hidden_size + q_width + v_width)


def weaver_parameters(config: StageConfig, dims: Dimensions) -> int:
    """Projections with their biases, latents, two norms and two scales."""
    latents = number_of(config, "prompt_latents_len") + number_of(config, "inference_latents_len")
    return dims.hidden_size * (2 * (dims.hidden_size + 1) + latents + 4) + 2


def head_parameters(dims: Dimensions) -> int:
    """The trigger's head, with its bias."""
    return 2 * (dims.hidden_size + 1)
