"""The manifest of a checkpoint: what it is, what it was made from, and the hash of each of its files."""

import hashlib
import stat
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from memgen.contract.checkpoint_kinds import ADAPTERS, KINDS
from memgen.contract.errors import BadInput, first_error
from memgen.contract.json_file import Unreadable, read_json
from memgen.contract.names import is_file_name
from memgen.contract.numbers import Whole
from memgen.contract.stage_configs import INSERTION, LENGTHS, LIMITS
from memgen.contract.weaver_variants import VARIANTS, VariantName

MANIFEST = "manifest.json"
LARGEST = {
    "prompt_latents_len": 1024, "inference_latents_len": 1024, "max_prompt_aug_num": 1, "guard_numbers": 1,
    "query_norms": 1,
}  # fmt: skip


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it holds characters that can't be printed")
    return text


def _file(name: str) -> str:
    if not is_file_name(name):
        raise ValueError("a file of a checkpoint lies in its folder")
    return name


def _adapter(name: str) -> str:
    if name not in ADAPTERS:
        raise ValueError(f"it is none of {', '.join(ADAPTERS)}")
    return name


def _kind(name: str) -> str:
    if name not in KINDS:
        raise ValueError(f"it is none of {', '.join(KINDS)}")
    return name


def _latents(numbers: dict[str, int]) -> dict[str, int]:
    if not numbers:  # whether a checkpoint may have none is its kind's business
        return numbers
    lacking = {*LENGTHS, *LIMITS} - numbers.keys()
    unknown = numbers.keys() - {*LENGTHS, *INSERTION, "query_norms"}
    if lacking or unknown:
        raise ValueError(f"it lacks {', '.join(sorted(lacking))}" if lacking else f"{min(unknown)} is unknown")
    for name, number in numbers.items():
        lowest, largest = int(name in LENGTHS), LARGEST.get(name, 1000)
        if not lowest <= number <= largest:
            raise ValueError(f"{name} is {number} and not from {lowest} to {largest}")
    return numbers


AdapterName = Annotated[str, AfterValidator(_adapter)]
KindName = Annotated[str, AfterValidator(_kind)]
FileName = Annotated[str, AfterValidator(_file)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Label = Annotated[str, StringConstraints(max_length=500), AfterValidator(_printable)]
Latents = Annotated[dict[str, int], AfterValidator(_latents)]
LATENTS_ADAPTER: TypeAdapter[dict[str, int]] = TypeAdapter(Latents)


class LoraSettings(BaseModel):
    """LoRA settings of one adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    r: int = Field(ge=1, le=4096)
    lora_alpha: int = Field(ge=1, le=2**20)
    lora_dropout: float = Field(ge=0, lt=1)
    target_modules: list[Annotated[str, StringConstraints(pattern=r"^\w[\w.]{0,99}$")]] = Field(
        min_length=1, max_length=1000
    )


class Manifest(BaseModel):
    """What a checkpoint is, what it was made from, and the hashes of its files."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    format: Literal[1] = 1
    kind: KindName
    """What was trained last, e.g. `weaver`; `import` for a checkpoint of the authors' layout."""
    base_model: Label
    """Name of the exact base weights, e.g. `hub:REPO@COMMIT`."""
    tokenizer_hash: Label
    latents: Latents
    """Lengths and limits, as `LatentSettings` names them; empty where the kind has no latents."""
    trained: list[AdapterName] = Field(max_length=len(ADAPTERS))
    """Parts that were trained, by the names of their adapters; see `trained_loras`."""
    weaver_variant: VariantName = "full"
    """What is left of the weaver."""
    lora: dict[AdapterName, LoraSettings]
    stage: Label | None = None
    step: Whole | None = None
    """Optimizer step at which it was saved."""
    config_hash: Label | None = None
    prompt_hash: Label
    parent: Label | None = None
    """Content hash of the checkpoint that it was made from."""
    files: dict[FileName, Digest] = Field(default_factory=dict, max_length=1000)
    """sha256 of each file."""
    optimizer: Digest | None = None
    """sha256 of the optimizer's state, which a checkpoint has that a training can be resumed from."""

    @model_validator(mode="after")
    def _holds_what_its_kind_has(self) -> Self:
        layout = KINDS[self.kind].layout
        foreign = [name for name in (*self.trained, *self.lora) if name not in layout.adapters]
        if foreign:
            raise ValueError(f"a checkpoint of kind {self.kind} has no adapter {foreign[0]}")
        if bool(self.latents) != layout.has_latents:
            raise ValueError(f"a checkpoint of kind {self.kind} has {'' if layout.has_latents else 'no '}latents")
        return self

    @property
    def trained_loras(self) -> list[str]:
        """Adapters whose LoRA B must not be all zero; an ablated weaver may have none, and has zeros there."""
        has_lora = "lora" in VARIANTS[self.weaver_variant].trains
        return [name for name in self.trained if name != "weaver" or has_lora]

    @property
    def content_hash(self) -> str:
        """First 16 hex digits of the sha256 over the hashes of all files: names these weights."""
        text = "\n".join(f"{name} {digest}" for name, digest in sorted(self.files.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class CheckpointReport(BaseModel):
    """A checkpoint as whoever sees its folder tells of it; the hashes of its files were not compared."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    manifest: Manifest
    sizes: dict[FileName, Annotated[int, Field(ge=0, le=2**60)]] = Field(max_length=1001)
    """Bytes of each of its files, the manifest among them."""

    @model_validator(mode="after")
    def _has_a_size_for_each_file(self) -> Self:
        lacking = {MANIFEST, *self.manifest.files} - self.sizes.keys()
        if lacking:
            raise ValueError(f"it tells no size of {min(lacking)}")
        return self

    @property
    def size_bytes(self) -> int:
        """Bytes of all its files."""
        return sum(self.sizes.values())


def survey(folder: Path) -> CheckpointReport:
    """What a checkpoint's folder holds; nothing is hashed.

    Raises:
        BadInput: `not_a_checkpoint`, or `checkpoint_damaged`: its manifest can't be used, or a file is missing.
    """
    manifest = read_manifest(folder)
    sizes = {}
    for name in (MANIFEST, *manifest.files):
        try:
            state = (folder / name).lstat()
        except OSError as error:
            raise damaged(name, "the file is missing") from error
        if not stat.S_ISREG(state.st_mode):
            raise damaged(name, "it is no plain file")
        sizes[name] = state.st_size
    return CheckpointReport(manifest=manifest, sizes=sizes)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a checkpoint.

    Raises:
        BadInput: `not_a_checkpoint` or `checkpoint_damaged`.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise BadInput(
            "not_a_checkpoint",
            f"the folder has no {MANIFEST}",
            field="checkpoint",
            value=folder,
            way_out="Name a checkpoint of ours; `memgen import-checkpoint` reads the authors' layout.",
        )
    try:
        return Manifest.model_validate(read_json(path))
    except Unreadable as error:
        raise damaged(MANIFEST, str(error)) from error
    except ValidationError as error:
        raise damaged(MANIFEST, f"it can't be used: {first_error(error)}") from error


def damaged(file: str, what: str) -> BadInput:
    """The error for a checkpoint that can't be loaded completely."""
    return BadInput(
        "checkpoint_damaged",
        f"{file}: {what}",
        field="checkpoint",
        value=file,
        way_out="Take the checkpoint from where it was trained again; nothing of it was loaded.",
    )


def file_hash(path: Path) -> str:
    """sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damage_of(folder: Path, manifest: Manifest) -> str | None:
    """What is wrong with the files of a checkpoint, or None: each must be there with the content of its hash."""
    for name, digest in manifest.files.items():
        path = folder / name
        if not path.is_file():
            return f"{name}: the file is missing"
        try:
            content = file_hash(path)
        except OSError as error:
            return f"{name}: it can't be read: {error.strerror}"
        if content != digest:
            return f"{name}: its content is not what the manifest's hash says"
    return None
