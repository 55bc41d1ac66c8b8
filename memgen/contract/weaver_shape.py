"""The shape of a weaver: how many latents, which LoRA, and what is left of it. It stays as it was made."""

from collections.abc import Mapping
from typing import Any

from memgen.contract.errors import BadInput
from memgen.contract.manifest import Manifest
from memgen.contract.stage_configs import LENGTHS, USUAL, StageConfig
from memgen.contract.weaver_variants import LORA_TARGETS, USUAL_SHAPE

SHAPE_CODES = {
    **dict.fromkeys(LENGTHS, "other_latents"),
    **dict.fromkeys(("lora_r", "lora_targets"), "other_lora"),
    "weaver_variant": "other_weaver",
}
"""Fields of a config that say it, with the codes of the errors for another."""


def shape_of(config: StageConfig) -> dict[str, Any]:
    """The shape of the weaver that a training makes anew."""
    usual = {**USUAL, **USUAL_SHAPE}
    given = {field: getattr(config, field, None) for field in SHAPE_CODES}
    return {field: usual[field] if value is None else value for field, value in given.items()}


def shape_in(manifest: Manifest) -> dict[str, Any]:
    """The shape of a checkpoint's weaver, of what it has; modules for which there is no name are None."""
    shape: dict[str, Any] = {name: manifest.latents[name] for name in LENGTHS if name in manifest.latents} | {
        "weaver_variant": manifest.weaver_variant
    }
    lora = manifest.lora.get("weaver")
    if lora is not None:
        shape["lora_r"] = lora.r
        by_modules = {frozenset(modules): name for name, modules in LORA_TARGETS.items()}
        shape["lora_targets"] = by_modules.get(frozenset(lora.target_modules))
    return shape


def other_shape(manifest: Manifest, wanted: Mapping[str, Any]) -> BadInput | None:
    """That a checkpoint's weaver has not the shape that a config names; None where it has, or the config names none.

    Args:
        manifest: of a checkpoint with a weaver.
        wanted: fields of the config.
    """
    for field, theirs in shape_in(manifest).items():
        if theirs is not None and wanted.get(field) not in (None, theirs):
            return BadInput(
                SHAPE_CODES[field],
                f"the checkpoint has {field} {theirs}",
                field=field,
                value=wanted[field],
                way_out=f"Set {field} to {theirs}, or choose another checkpoint.",
            )
    return None
