"""Checkpoints of the authors' layout, read and written: every tensor, or the file, the key and the way out are named.

`projs.bin`, `weaver.bin`, `trigger.bin` beside PEFT adapters in `weaver/weaver/` and `trigger/trigger/`.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from memgen.contract.errors import BadInput
from memgen.contract.manifest import Manifest
from memgen.contract.presets import Preset
from memgen.contract.rundir import write_json
from memgen.model.adapters import ADAPTERS, Adapter, is_untrained
from memgen.model.base import BaseModel, load_base
from memgen.model.chat import prompt_hash
from memgen.model.checkpoint import (
    check_keys,
    damaged,
    load_checkpoint,
    lora_settings,
    save_checkpoint,
    tokenizer_hash,
)
from memgen.model.fetch import fetch_model
from memgen.model.memgen_model import LatentSettings, MemGenModel
from memgen.monitor import Monitor

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
    targets: dict[str, Mapping[str, torch.Tensor]] = dict(_parts(model))
    found: dict[str, Mapping[str, torch.Tensor]] = {file: _flat(_torch_file(folder / file)) for file in targets}
    for name in ADAPTERS:
        file, state = _adapter_state(folder, name)
        if is_untrained(state):
            raise damaged(file, f"every lora_B of the {name} is zero: loading and saving again lost its training")
        targets[file] = model.adapters.parameters(name)
        found[file] = {key.removeprefix(PREFIX): value for key, value in state.items()}
    for file, tensors in targets.items():
        check_keys(file, tensors, found[file])
    with torch.no_grad():
        for file, tensors in targets.items():
            for key, target in tensors.items():
                target.copy_(found[file][key])
    expected = sum(len(tensors) for tensors in targets.values())
    return Loaded(model, loaded=sum(len(found[file]) for file in targets), expected=expected)


def import_authors(source: Path, preset: Preset, out: Path, home: Path, monitor: Monitor) -> tuple[int, int]:
    """Turn a checkpoint of the authors' layout into ours.

    Returns:
        Number of tensors loaded, and expected.

    Raises:
        BadInput: as `load_authors`, `fetch_model` and `save_checkpoint` do.
    """
    weights = fetch_model(preset, None, home, monitor)
    base = load_base(weights, "float32")
    found = load_authors(source, base)
    manifest = Manifest(
        kind="import",
        base_model=weights.identity,
        tokenizer_hash=tokenizer_hash(base),
        latents=vars(found.model.settings),
        trained=list(ADAPTERS),
        lora=lora_settings(found.model),
        prompt_hash=prompt_hash(),
    )
    save_checkpoint(found.model, out, manifest)
    return found.loaded, found.expected


def export_authors(source: Path, preset: Preset, out: Path, home: Path, monitor: Monitor) -> int:
    """Write one of our checkpoints in the authors' layout, whole or not at all.

    Returns:
        Number of tensors written.

    Raises:
        BadInput: `folder_exists`, and as `load_checkpoint` and `fetch_model` do.
    """
    if out.exists():
        raise BadInput(
            "folder_exists", "nothing is ever overwritten", field="--out", value=out, way_out="Choose another folder."
        )
    weights = fetch_model(preset, None, home, monitor)
    model = load_checkpoint(source, load_base(weights, "float32"), weights.identity)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        written = _write_authors(model, work)
        work.chmod(0o755)
        work.rename(out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return written


def _write_authors(model: MemGenModel, folder: Path) -> int:
    parts = _parts(model)
    for file, tensors in parts.items():
        torch.save(_nested({key: value.detach().cpu() for key, value in tensors.items()}), folder / file)
    loras = {}
    for name in ADAPTERS:
        inside = _adapter_folder(folder, name)
        inside.mkdir(parents=True)
        model.lora[name].save_pretrained(str(inside))
        state = {f"{PREFIX}{key}": value.detach().cpu() for key, value in model.adapters.parameters(name).items()}
        save_file(state, inside / "adapter_model.safetensors")
        known = lora_settings(model)[name].model_dump()
        loras[f"{name}_lora_config"] = known | {"bias": "none", "task_type": "CAUSAL_LM"}
    config = model.base.model.config.to_dict() | vars(model.settings) | loras | {"model_type": "memgen"}
    write_json(folder / "config.json", config)
    return sum(map(len, parts.values())) + sum(len(model.adapters.parameters(name)) for name in ADAPTERS)


def _parts(model: MemGenModel) -> dict[str, dict[str, torch.Tensor]]:
    """What lies beside the adapters, by file and key."""
    weaver = dict(model.weaver.named_parameters())
    return {
        "projs.bin": {key: value for key, value in weaver.items() if "_to_" in key},
        "weaver.bin": {key: value for key, value in weaver.items() if "_to_" not in key},
        "trigger.bin": {f"output_layer.{key}": value for key, value in model.trigger_head.named_parameters()},
    }


def _settings(folder: Path) -> LatentSettings:
    config = _json(folder / "config.json")
    try:
        return LatentSettings(**{name: int(config[name]) for name in LatentSettings.__dataclass_fields__})
    except KeyError as error:
        raise damaged("config.json", f"it lacks the key {error.args[0]}") from None


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
    raise damaged(f"{name}/{name}", "it holds neither adapter_model.safetensors nor adapter_model.bin")


def _torch_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise damaged(path.name, "the file is missing")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has many errors for a file that is not what it should be
        raise damaged(path.name, f"it can't be read ({type(error).__name__})") from error
    return state


def _flat(state: Mapping[str, Any], before: str = "") -> dict[str, torch.Tensor]:
    flat: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        flat |= _flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return flat


def _nested(flat: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The reverse of `_flat`: `ln.weight` becomes `{"ln": {"weight": ...}}`."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *path, last = key.split(".")
        place = nested
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return nested


def _json(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(path.name, f"it can't be read ({type(error).__name__})") from error
    return data
