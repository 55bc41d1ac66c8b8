"""A folder of base weights that others made: looked at before it is loaded, and what was loaded from it.

transformers draws at random what a folder lacks and only logs it, follows file names that an index gives, and takes
another base where an adapter lies in the folder. Here each of these is refused by name.
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import nn

from memgen.contract.errors import BadInput, first_error
from memgen.contract.json_file import Unreadable, read_object
from memgen.contract.names import is_file_name
from memgen.contract.presets import dimensions_of
from memgen.model.finite import is_finite

CONFIG, INDEX, WHOLE = "config.json", "model.safetensors.index.json", "model.safetensors"
ADAPTER, TOKENIZER = "adapter_config.json", "tokenizer_config.json"
MOST_TIMES = 2  # what a config may describe of what files hold: a head that is tied is in no file
PEFT_PREFIX = "base_model.model."  # what PEFT puts before the names of a wrapped model
MOST_INDEX = 16 * 2**20  # bytes; a model of 1,000 layers has some 10,000 tensors
FLOATS = {"F64", "F32", "F16", "BF16"}
SHOWN = 3  # keys that a message names


def check_folder(folder: Path) -> list[Path]:
    """The files of the weights, after what lies in the folder was looked at.

    Raises:
        BadInput: `weights_unusable`.
    """
    if (folder / ADAPTER).exists():
        raise unusable(folder, f"it holds an adapter ({ADAPTER}) and no model of its own", MERGE)
    for path in folder.iterdir():
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise unusable(folder, f"{path.name}: it is no file")  # to read a pipe would never end
    config = _object(folder, CONFIG)
    if config.get("quantization_config"):
        raise unusable(folder, f"{CONFIG} calls its weights quantised (quantization_config)", "Save them as floats.")
    for name in (CONFIG, TOKENIZER):
        if "auto_map" in (_object(folder, name) if (folder / name).exists() else {}):
            raise unusable(folder, f"{name} wants code of its own to run (auto_map)", "Choose a model without.")
    files = _files(folder)
    held = sum(_check_file(folder, file) for file in files)
    described = _parameters(folder, config)
    if described > MOST_TIMES * held:  # memory for all of it would be taken before anything is found missing
        raise unusable(folder, f"{CONFIG} describes {described:,} numbers, and its files hold {held:,}")
    return files


def _parameters(folder: Path, config: Mapping[str, Any]) -> int:
    """Numbers of the model that the config describes; 0 for a layout that is not known here."""
    try:
        return dimensions_of(config).parameters
    except KeyError:
        return 0
    except (ValueError, TypeError, ArithmeticError) as error:
        reason = first_error(error) if isinstance(error, ValidationError) else str(error)
        raise unusable(folder, f"{CONFIG}: a size is not that of a model ({reason[:200]})") from error


def check_loaded(folder: Path, model: nn.Module, report: Mapping[str, Any]) -> None:
    """Refuse a model of which not every weight came from the folder, or is no number.

    Args:
        folder: where it was loaded from.
        model: the model.
        report: transformers' loading report.

    Raises:
        BadInput: `weights_unusable`, with the keys.
    """
    wrong = [
        f"{key} has shape {tuple(theirs)} and not {tuple(ours)}"
        for key, theirs, ours in report.get("mismatched_keys", ())
    ]
    missing, unexpected = sorted(report.get("missing_keys", ())), sorted(report.get("unexpected_keys", ()))
    if unexpected and all(key.startswith(PEFT_PREFIX) for key in unexpected):
        raise unusable(folder, f"all its keys begin with {PEFT_PREFIX}: PEFT saved it with its wrapper", MERGE)
    if missing:
        raise unusable(folder, f"it lacks {len(missing)} of the model's tensors: {_some(missing)}")
    if wrong:
        raise unusable(folder, f"{len(wrong)} of its tensors do not fit: {_some(wrong)}")
    if unexpected:
        raise unusable(folder, f"it holds {len(unexpected)} tensors that the model has no use for: {_some(unexpected)}")
    if errors := list(report.get("error_msgs", ())):
        raise unusable(folder, f"its tensors can't be read: {_some(map(str, errors))}")
    bad = [key for key, value in model.named_parameters() if not is_finite(value)]
    if bad:
        raise unusable(folder, f"{len(bad)} of its tensors hold NaN or infinite numbers: {_some(bad)}")


MERGE = "Merge the adapter into its base (merge_and_unload), save that with save_pretrained, and name its folder."


def unusable(folder: Path, what: str, way_out: str = "") -> BadInput:
    """The error for weights that can't be loaded whole."""
    return BadInput(
        "weights_unusable",
        f"the model's folder can't be used: {what}",
        field="preset",
        value=folder,
        way_out=way_out or "Point the preset's folder at a model saved with save_pretrained, or fetch it again.",
    )


def _files(folder: Path) -> list[Path]:
    """The files that transformers will read: the one, or those that the index names."""
    if (folder / WHOLE).exists():
        names = {WHOLE}
    elif (folder / INDEX).exists():
        places = _object(folder, INDEX, MOST_INDEX).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise unusable(folder, f"{INDEX} has no weight_map")
        names = {name if isinstance(name, str) else json.dumps(name)[:100] for name in places.values()}
    else:
        raise unusable(folder, f"it has neither {WHOLE} nor {INDEX}")
    strange = sorted(name for name in names if not (is_file_name(name) and name.endswith(".safetensors")))
    if strange:
        raise unusable(folder, f"{INDEX} names what is no file of weights in the folder: {ascii(strange[0])[:200]}")
    lacking = sorted(name for name in names if not (folder / name).is_file())
    if lacking:
        raise unusable(folder, f"{len(lacking)} files of weights are missing: {_some(lacking)}")
    return [folder / name for name in sorted(names)]


def _check_file(folder: Path, path: Path) -> int:
    """How many numbers a file holds, by its header alone; one that is cut or holds other kinds is refused."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118  (no mapping)
            kinds = {key: tensor.get_dtype() for key, tensor in tensors.items()}
            count: int = sum(math.prod(tensor.get_shape()) for tensor in tensors.values())
    except (SafetensorError, OSError) as error:
        raise unusable(folder, f"{path.name} can't be read ({error})") from error
    other = sorted(f"{key} ({kind})" for key, kind in kinds.items() if kind not in FLOATS)
    if other:
        raise unusable(folder, f"{path.name} holds other numbers than 16 to 64 bit floats: {_some(other)}")
    return count


def _object(folder: Path, name: str, most_bytes: int = 2**20) -> dict[str, Any]:
    try:
        return read_object(folder / name, most_bytes)
    except Unreadable as error:
        raise unusable(folder, f"{name}: {error}") from error


def _some(keys: Iterable[str]) -> str:
    names = list(keys)
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(name[:200] for name in names[:SHOWN]) + more
