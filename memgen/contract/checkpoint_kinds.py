"""What a checkpoint can be, as one record each: every room that asks what a run may start from derives from it.

A training makes checkpoints of one kind, which its manifest names. What a run needs is a kind, too, and a checkpoint
suits if that is among what its own kind offers: one with a trigger can be used for its weaver alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Layout:
    """Checkpoints that hold the same parts and can be trained further into each other."""

    label: str
    """What it holds, in a sentence."""
    adapters: tuple[str, ...]
    """Names of its LoRA adapters; the first must have moved in training, or the checkpoint changes nothing."""
    has_latents: bool
    """Whether latents with their lengths and limits belong to it."""


@dataclass(frozen=True)
class Kind:
    """What a checkpoint is, by what was trained last."""

    name: str
    label: str
    """What was trained, in a sentence after an article."""
    icon: str
    """Name of a Material symbol."""
    layout: Layout
    offers: tuple[str, ...]
    """Kinds that a run may need and finds in it."""


MEMGEN = Layout("weaver and trigger", ("weaver", "trigger"), has_latents=True)
LORA = Layout("a LoRA on the base", ("lora",), has_latents=False)
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("weaver", "weaver", "school", MEMGEN, offers=("weaver",)),
        Kind("trigger", "trigger", "bolt", MEMGEN, offers=("weaver", "trigger")),
        Kind("import", "checkpoint of the authors' layout", "download", MEMGEN, offers=("weaver", "trigger")),
        Kind("lora_sft", "LoRA by SFT", "tune", LORA, offers=("lora_sft",)),
        Kind("lora_grpo", "LoRA by GRPO", "tune", LORA, offers=("lora_grpo",)),
    )
}
"""By name; what demands less comes first."""
ADAPTERS = tuple(dict.fromkeys(name for kind in KINDS.values() for name in kind.layout.adapters))
"""Names of all adapters."""

_OF_A_TRAINING = (
    *("optimizer.pt", "scheduler.pt", "rng_state*.pth", "trainer_state.json", "training_args.bin"),
    *("README*", "events.out.*", "tokenizer*", "vocab.json", "merges.txt"),
)
"""What may lie beside a checkpoint and is no part of it."""


def files_of_a_checkpoint(paths: Iterable[str]) -> list[str]:
    """Of the files of a folder, by their paths in it, those that may belong to a checkpoint, ours or the authors'."""
    return [path for path in paths if not _is_beside(PurePosixPath(path).parts)]


def _is_beside(parts: Sequence[str]) -> bool:
    hidden = any(part.startswith(".") for part in parts)
    return hidden or any(fnmatch(parts[-1], pattern) for pattern in _OF_A_TRAINING)


def least(needs: Iterable[str | None]) -> str | None:
    """The least demanding of some needs; None if none of them needs a checkpoint."""
    return min((need for need in needs if need is not None), key=list(KINDS).index, default=None)
