"""Files that peft and torch wrote: adapter folders and pickled tensors, read without running what they hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from pydantic import ValidationError

from memgen.contract.errors import first_error
from memgen.contract.json_file import Unreadable, read_object
from memgen.contract.manifest import LoraSettings, damaged
from memgen.model.checkpoint import lora_config
from memgen.model.checkpoint_files import read_pickle, read_safetensors
from memgen.model.weights_folder import PEFT_PREFIX

CONFIG = "adapter_config.json"
SETTINGS = tuple(LoraSettings.model_fields)
# what PEFT can do beyond a plain LoRA, each of which would change what the same tensors compute
BEYOND_PLAIN = (
    "use_rslora", "use_dora", "use_qalora", "use_bdlora", "lora_bias", "rank_pattern", "alpha_pattern",
    "modules_to_save", "layers_to_transform", "layer_replication", "exclude_modules", "target_parameters",
    "trainable_token_indices", "alora_invocation_tokens", "fan_in_fan_out",
)  # fmt: skip
MOST_DEPTH, MOST_TENSORS = 8, 100_000  # of what torch saved


def read_lora_config(folder: Path) -> LoraConfig:
    """Rank, scale, dropout and targets of a saved adapter.

    Raises:
        BadInput: `checkpoint_damaged`.
    """
    config = read_json(folder / CONFIG)
    for name in SETTINGS:
        if name not in config:
            raise damaged(CONFIG, f"it lacks the key {name}")
    for name in BEYOND_PLAIN:
        if config.get(name):
            raise damaged(CONFIG, f"it sets {name}, and only a plain LoRA can be read")
    for name, plain in (("peft_type", "LORA"), ("bias", "none")):
        if config.get(name, plain) != plain:
            raise damaged(CONFIG, f"its {name} is not {plain}, and only a plain LoRA can be read")
    try:
        return lora_config(LoraSettings.model_validate({name: config[name] for name in SETTINGS}))
    except ValidationError as error:
        raise damaged(CONFIG, first_error(error)) from error


def read_adapter(folder: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """The file of a saved adapter, and its tensors by their place in the base.

    Raises:
        BadInput: `checkpoint_damaged`.
    """
    for file, read in (("adapter_model.safetensors", read_safetensors), ("adapter_model.bin", read_tensors)):
        path = folder / file
        if path.is_file():
            return path, {key.removeprefix(PEFT_PREFIX): value for key, value in read(path).items()}
    raise damaged(
        f"{folder.parent.name}/{folder.name}", "it holds neither adapter_model.safetensors nor adapter_model.bin"
    )


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a file that torch saved; `{"ln": {"weight": ...}}` becomes `ln.weight`.

    Raises:
        BadInput: `checkpoint_damaged`.
    """
    if not path.is_file():
        raise damaged(path.name, "the file is missing")
    state = read_pickle(path)
    if not isinstance(state, Mapping):
        raise damaged(path.name, "it holds no tensors by name")
    tensors: dict[str, torch.Tensor] = {}
    _flatten(state, "", MOST_DEPTH, tensors, path.name)
    return tensors


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        BadInput: `checkpoint_damaged`.
    """
    try:
        return read_object(path)
    except Unreadable as error:
        raise damaged(path.name, str(error)) from error


def _flatten(state: Mapping[Any, Any], before: str, depth: int, tensors: dict[str, torch.Tensor], file: str) -> None:
    """Enter the tensors of a nested mapping, which may hold itself, by their joined names."""
    if depth == 0:
        raise damaged(file, f"its tensors lie more than {MOST_DEPTH} levels deep")
    for key, value in state.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping):
            _flatten(value, f"{name}.", depth - 1, tensors, file)
        elif isinstance(value, torch.Tensor):
            tensors[name] = value
        else:
            raise damaged(file, f"{name[:200]} is no tensor")
        if len(tensors) > MOST_TENSORS:
            raise damaged(file, f"it holds more than {MOST_TENSORS:,} tensors")
