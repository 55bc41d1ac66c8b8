"""The weaver, and what it is without one of its parts: a record each, for trainings, checkpoints, planner and labels.

An ablation shows what a part is good for: what is left out is neither trained nor, where it is a pass, computed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field

from memgen.contract.added_fields import Added
from memgen.contract.data_sets.field import WORDS

VariantName = Literal["full", "no_lora", "projections_only", "static"]
Group = Literal["lora", "latents", "projections"]
"""What a weaver trains: its LoRA; query latents with norms and scales; the projections between the two spaces."""


@dataclass(frozen=True)
class Variant:
    """What is left of the weaver."""

    words: str
    """As labels say it; empty for the whole weaver."""
    trains: tuple[Group, ...]
    reads: bool = True
    """Whether the weaver reads what stands before: without that, latents are the same vectors at each point."""


VARIANTS: dict[VariantName, Variant] = {
    "full": Variant("", ("lora", "latents", "projections")),
    "no_lora": Variant("no LoRA", ("latents", "projections")),
    "projections_only": Variant("projections only", ("projections",)),
    "static": Variant("static latents", ("latents", "projections"), reads=False),
}
assert tuple(VARIANTS) == get_args(VariantName)

LoraTargets = Literal["qv", "attention", "mlp", "all"]
_ATTENTION, _MLP = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")
LORA_TARGETS: dict[LoraTargets, tuple[str, ...]] = {
    "qv": ("q_proj", "v_proj"),
    "attention": _ATTENTION,
    "mlp": _MLP,
    "all": (*_ATTENTION, *_MLP),
}
"""Modules of a decoder layer that get a LoRA."""

_VARIANT_WORDS = Field(json_schema_extra={WORDS: {name: one.words or "whole" for name, one in VARIANTS.items()}})
_TARGETS_WORDS = Field(
    json_schema_extra={WORDS: {"qv": "q and v", "attention": "attention", "mlp": "MLP", "all": "all"}}
)
VariantField = Annotated[VariantName, Added("full"), _VARIANT_WORDS]
TargetsField = Annotated[LoraTargets, Added("qv"), _TARGETS_WORDS]
VariantOfCheckpoint = Annotated[VariantName | None, Added(None), _VARIANT_WORDS]
TargetsOfCheckpoint = Annotated[LoraTargets | None, Added(None), _TARGETS_WORDS]
USUAL_SHAPE: dict[str, str] = {"weaver_variant": "full", "lora_targets": "qv"}
"""Of a new weaver, where the config does not say."""

_TOLD: dict[str, Callable[[Any], str]] = {
    "weaver_variant": lambda name: VARIANTS[name].words,
    "lora_targets": lambda name: f"LoRA on {', '.join(LORA_TARGETS[name])}",
    "lora_r": lambda rank: f"rank {rank}",
    "prompt_latents_len": lambda count: f"{count} latents at the prompt",
    "inference_latents_len": lambda count: f"{count} latents in the answer",
    "max_prompt_aug_num": lambda _: "no insertion at the prompt",
    "max_inference_aug_num": lambda most: (
        f"at most {most} insertions in the answer" if most else "no insertions in the answer"
    ),
    "skip_probability": lambda share: f"random insertion, {share:.0%} skipped",
}


def told(config_class: type[BaseModel]) -> dict[str, Callable[[Any], str]]:
    """Words for the fields of a weaver's training that set it apart from the usual one."""
    return {name: words for name, words in _TOLD.items() if name in config_class.model_fields}
