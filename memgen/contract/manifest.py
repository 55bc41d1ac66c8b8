"""The manifest of a checkpoint: what it is, what it was made from, and the hash of each of its files."""

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MANIFEST = "manifest.json"
AdapterName = Literal["weaver", "trigger"]


class LoraSettings(BaseModel):
    """LoRA settings of one adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    r: int
    lora_alpha: int
    lora_dropout: float
    target_modules: list[str]


class Manifest(BaseModel):
    """What a checkpoint is, what it was made from, and the hashes of its files."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    format: Literal[1] = 1
    kind: Literal["weaver", "trigger", "import"]
    """What was trained last; `import` for a checkpoint of the authors' layout."""
    base_model: str
    """Name of the exact base weights, e.g. `hub:REPO@COMMIT`."""
    tokenizer_hash: str
    latents: dict[str, int]
    """Lengths and limits, as `LatentSettings` names them."""
    trained: list[AdapterName]
    """Adapters that were trained: their LoRA B must not be all zero."""
    lora: dict[AdapterName, LoraSettings]
    stage: str | None = None
    step: int | None = None
    """Optimizer step at which it was saved."""
    config_hash: str | None = None
    prompt_hash: str
    parent: str | None = None
    """Content hash of the checkpoint that it was made from."""
    files: dict[str, str] = Field(default_factory=dict)
    """sha256 of each file."""
    optimizer: str | None = None
    """sha256 of the optimizer's state, which a checkpoint has that a training can be resumed from."""

    @property
    def content_hash(self) -> str:
        """First 16 hex digits of the sha256 over the hashes of all files: names these weights."""
        text = "\n".join(f"{name} {digest}" for name, digest in sorted(self.files.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damage_of(folder: Path, manifest: Manifest) -> str | None:
    """What is wrong with the files of a checkpoint, or None: each must be there with the content of its hash."""
    for name, digest in manifest.files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            return f"{name}: the file is missing"
        if file_hash(path) != digest:
            return f"{name}: its content is not what the manifest's hash says"
    return None
