"""What the trainings of a weaver share: their ablations, what they train, and what its LoRA keeps for backward."""

from memgen.contract.planner.activations import Adapter
from memgen.contract.planner.parameters import latents_parameters, lora_parameters, projection_parameters
from memgen.contract.planner.parts import Parts
from memgen.contract.presets import Dimensions
from memgen.contract.stage import Variation
from memgen.contract.stage_configs import LENGTHS, StageConfig

VARIATIONS = (
    Variation("Static latents: learned vectors, no weaver", {"weaver_variant": "static"}),
    Variation("Projections only", {"weaver_variant": "projections_only"}),
    Variation("No LoRA", {"weaver_variant": "no_lora"}),
    Variation("No insertions in the answer", {"max_inference_aug_num": 0}),
    Variation("2 latents per insertion", dict.fromkeys(LENGTHS, 2)),
    Variation("32 latents per insertion", dict.fromkeys(LENGTHS, 32)),
    Variation("LoRA of rank 4", {"lora_r": 4, "lora_alpha": 8}),
    Variation("LoRA of rank 64", {"lora_r": 64, "lora_alpha": 128}),
    Variation("LoRA on all modules", {"lora_targets": "all"}),
    Variation("Random insertion, as in the paper", {"skip_probability": 0.5}),
)
"""Ablations, and the paper's way to insert: what their forms can start from."""


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
