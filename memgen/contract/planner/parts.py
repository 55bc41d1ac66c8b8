"""What stands beside the base of a run: its LoRA, its latents, and what is left of its weaver. No torch.

Its config says so, or the checkpoint that it starts from; of what neither says, a new checkpoint's usual numbers count.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from memgen.contract.checkpoint_kinds import LORA, MEMGEN
from memgen.contract.manifest import Manifest
from memgen.contract.stage_configs import LENGTHS, LIMITS, USUAL, StageConfig
from memgen.contract.weaver_variants import LORA_TARGETS, VARIANTS, LoraTargets, Variant, VariantName


@dataclass(frozen=True)
class Lora:
    """The size of one adapter."""

    rank: int
    targets: tuple[str, ...]
    """Modules of each decoder layer that have a LoRA."""


@dataclass(frozen=True)
class Parts:
    """What is loaded beside the base."""

    loras: Mapping[str, Lora]
    """By the names of the adapters."""
    numbers: Mapping[str, int]
    """Lengths of the latents, and limits of their insertions."""
    variant: VariantName = "full"

    @property
    def weaver(self) -> Variant:
        """What is left of the weaver."""
        return VARIANTS[self.variant]


def parts_of(config: StageConfig, start: Parts | None = None) -> Parts:
    """What a run has beside its base.

    Args:
        config: of the run.
        start: what its checkpoint has; None where it starts from none, or from one of which nothing is known.
    """
    targets: LoraTargets = getattr(config, "lora_targets", None) or "qv"
    new = Lora(number_of(config, "lora_r"), LORA_TARGETS[targets])
    adapters = MEMGEN.adapters if config.has_latents else LORA.adapters if config.has_lora else ()
    given = {name: getattr(config, name, None) for name in (*LENGTHS, *LIMITS)}
    before = {} if start is None else start.numbers
    return Parts(
        loras={name: new if start is None else start.loras.get(name, new) for name in adapters},
        numbers={name: before.get(name, USUAL[name]) if value is None else value for name, value in given.items()},
        variant=start.variant if start is not None else getattr(config, "weaver_variant", None) or "full",
    )


def parts_in(manifest: Manifest) -> Parts:
    """What a checkpoint has; of its LoRA what is in the modules of decoder layers, in each of them as in the others."""
    return Parts(
        loras={name: Lora(one.r, _modules(one.target_modules)) for name, one in manifest.lora.items()},
        numbers={name: number for name, number in manifest.latents.items() if name in (*LENGTHS, *LIMITS)},
        variant=manifest.weaver_variant,
    )


def _modules(targets: list[str]) -> tuple[str, ...]:
    """Modules by their own names; a checkpoint may name them with the layers they are in."""
    named = {name.rpartition(".")[2] for name in targets}
    return tuple(module for module in LORA_TARGETS["all"] if module in named)


def number_of(config: StageConfig, name: str) -> int:
    """A number of the config; where it names none, what checkpoints usually have."""
    value = getattr(config, name, None)
    return USUAL[name] if value is None else int(value)
