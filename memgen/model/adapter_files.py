"""Files that peft and torch wrote: adapter folders and pickled tensors, read without running what they hold."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors.torch import load_file

from memgen.model.checkpoint import damaged

PREFIX = "base_model.model."  # what PEFT puts before the names of a wrapped model


def read_lora_config(folder: Path) -> LoraConfig:
    """Rank, scale, dropout and targets of a saved adapter.

    Raises:
        BadInput: `checkpoint_damaged`.
    """
    config = read_json(folder / "adapter_config.json")
    try:
        return LoraConfig(
            r=config["r"],
            lora_alpha=config["lora_alpha"],
            lora_dropout=config["lora_dropout"],
            target_modules=config["target_modules"],
            bias="none",
            task_type="CAUSAL_LM",
        )
    except KeyError as error:
        raise damaged("adapter_config.json", f"it lacks the key {error.args[0]}") from None


def read_adapter(folder: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """The file of a saved adapter, and its tensors by their place in the base.

    Raises:
        BadInput: `checkpoint_damaged`.
    """
    for file, read in (("adapter_model.safetensors", load_file), ("adapter_model.bin", read_tensors)):
        path = folder / file
        if path.exists():
            return path, {key.removeprefix(PREFIX): value for key, value in read(path).items()}
    raise damaged(
        f"{folder.parent.name}/{folder.name}", "it holds neither adapter_model.safetensors nor adapter_model.bin"
    )


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a file that torch saved; `{"ln": {"weight": ...}}` becomes `ln.weight`.

    Raises:
        BadInput: `checkpoint_damaged`.
    """
    if not path.exists():
        raise damaged(path.name, "the file is missing")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has many errors for a file that is not what it should be
        raise damaged(path.name, f"it can't be read ({type(error).__name__})") from error
    if not isinstance(state, Mapping):
        raise damaged(path.name, "it holds no tensors by name")
    return _flat(state)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        BadInput: `checkpoint_damaged`.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(path.name, f"it can't be read ({type(error).__name__})") from error
    return data


def _flat(state: Mapping[str, Any], before: str = "") -> dict[str, torch.Tensor]:
    flat: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        flat |= _flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return flat
