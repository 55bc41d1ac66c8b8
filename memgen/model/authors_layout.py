"""Reading checkpoints of the authors' layout: every tensor is loaded or the file, the key and the way out are named.

`projs.bin`, `weaver.bin`, `trigger.bin` beside PEFT adapters in `weaver/weaver/` and `trigger/trigger/`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors.torch import load_file

from memgen.contract.errors import BadInput
from memgen.model.adapters import ADAPTERS, Adapter, is_untrained
from memgen.model.base import BaseModel
from memgen.model.memgen_model import LatentSettings, MemGenModel

PREFIX = "base_model.model."  # what PEFT puts before the names of a wrapped model


@dataclass(frozen=True)
class Loaded:
    """A model with what was read into it."""

    model: MemGenModel
    loaded: int
    expected: int


def load_authors(folder: Path, base: BaseModel) -> Loaded:
    """Build a model from a checkpoint of the authors' layout.

    Args:
        folder: the checkpoint.
        base: the base that it was trained on.

    Raises:
        BadInput: `checkpoint_damaged`, naming the file and the key.
    """
    settings = _settings(folder)
    model = MemGenModel(base, settings, {name: _lora_config(_adapter_folder(folder, name)) for name in ADAPTERS})
    targets: dict[str, torch.Tensor] = {}
    found: dict[str, torch.Tensor] = {}
    for name in ADAPTERS:
        file, state = _adapter_state(folder, name)
        if is_untrained(state):
            raise _damaged(file, f"every lora_B of the {name} is zero: loading and saving again lost its training")
        targets |= {f"{file}:{key}": value for key, value in model.adapters.parameters(name).items()}
        found |= {f"{file}:{key.removeprefix(PREFIX)}": value for key, value in state.items()}
    weaver = dict(model.weaver.named_parameters())
    for file in ("projs.bin", "weaver.bin"):
        found |= {f"{file}:{key}": value for key, value in _flat(_torch_file(folder / file)).items()}
    targets |= {f"{'projs.bin' if '_to_' in key else 'weaver.bin'}:{key}": value for key, value in weaver.items()}
    found |= {f"trigger.bin:{key}": value for key, value in _flat(_torch_file(folder / "trigger.bin")).items()}
    targets |= {f"trigger.bin:output_layer.{key}": value for key, value in model.trigger_head.named_parameters()}
    return Loaded(model, _fill(targets, found), len(targets))


def _fill(targets: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> int:
    """Copy every tensor to its place; returns how many."""
    for key in sorted(set(targets) ^ set(found)):
        file, name = key.split(":", 1)
        said = "lacks the key" if key in targets else "has the unexpected key"
        raise _damaged(file, f"it {said} {name} ({len(set(targets) & set(found))} of {len(targets)} keys fit)")
    for key, target in targets.items():
        file, name = key.split(":", 1)
        if target.shape != found[key].shape:
            raise _damaged(file, f"{name} has shape {tuple(found[key].shape)} and not {tuple(target.shape)}")
    with torch.no_grad():
        for key, target in targets.items():
            target.copy_(found[key])
    return len(targets)


def _settings(folder: Path) -> LatentSettings:
    config = _json(folder / "config.json")
    try:
        return LatentSettings(**{name: int(config[name]) for name in LatentSettings.__dataclass_fields__})
    except KeyError as error:
        raise _damaged("config.json", f"it lacks the key {error.args[0]}") from None


def _adapter_folder(folder: Path, name: Adapter) -> Path:
    return folder / name / name


def _lora_config(folder: Path) -> LoraConfig:
    config = _json(folder / "adapter_config.json")
    return LoraConfig(
        r=config["r"],
        lora_alpha=config["lora_alpha"],
        lora_dropout=config["lora_dropout"],
        target_modules=config["target_modules"],
        bias="none",
        task_type="CAUSAL_LM",
    )


def _adapter_state(folder: Path, name: Adapter) -> tuple[str, dict[str, torch.Tensor]]:
    inside = _adapter_folder(folder, name)
    for file, read in (("adapter_model.safetensors", load_file), ("adapter_model.bin", _torch_file)):
        path = inside / file
        if path.exists():
            return f"{name}/{name}/{file}", read(path)
    raise _damaged(f"{name}/{name}", "it holds neither adapter_model.safetensors nor adapter_model.bin")


def _torch_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise _damaged(path.name, "the file is missing")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has many errors for a file that is not what it should be
        raise _damaged(path.name, f"it can't be read ({type(error).__name__})") from error
    return state


def _flat(state: Mapping[str, Any], before: str = "") -> dict[str, torch.Tensor]:
    flat: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        flat |= _flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return flat


def _json(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path.name, f"it can't be read ({type(error).__name__})") from error
    return data


def _damaged(file: str, what: str) -> BadInput:
    return BadInput(
        "checkpoint_damaged",
        f"{file}: {what}",
        field="checkpoint",
        value=file,
        way_out="Take the checkpoint from where it was trained again; nothing of it was loaded.",
    )
