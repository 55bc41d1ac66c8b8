"""What the trainings of a weaver share: what of it they train, and what its LoRA keeps for the backward pass."""

from memgen.contract.planner.activations import Adapter
from memgen.contract.planner.parameters import latents_parameters, lora_parameters, projection_parameters
from memgen.contract.planner.parts import Parts
from memgen.contract.presets import Dimensions
from memgen.contract.stage_configs import StageConfig


def trained(_config: StageConfig, parts: Parts, dims: Dimensions) -> int:
    """Numbers that are trained."""
    groups = {
        "lora": lora_parameters(parts.loras["weaver"], dims),
        "latents": latents_parameters(parts, dims),
        "projections": (2 if parts.weaver.reads else 1) * projection_parameters(dims),
    }
    return sum(groups[name] for name in parts.weaver.trains)


def adapter(parts: Parts, device: str, *, dropout: bool) -> Adapter | None:
    """The weaver's LoRA while it is trained, if it is."""
    if "lora" not in parts.weaver.trains:
        return None
    return Adapter(parts.loras["weaver"], dropout=dropout, cuda=device == "cuda")
