"""Checkpoints of the authors' layout, read and written: every tensor, or the file, the key and the way out are named.

`projs.bin`, `weaver.bin`, `trigger.bin` beside PEFT adapters in `weaver/weaver/` and `trigger/trigger/`. What the
layout has no word for stands beside them in a file of ours (`export_notes`), which an import reads where it is there.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from memgen.contract.data_sets.registry import DEFAULT, data_set
from memgen.contract.errors import BadInput, first_error
from memgen.contract.manifest import LATENTS_ADAPTER, Manifest, damaged, read_manifest
from memgen.contract.presets import Preset
from memgen.contract.rundir import write_json
from memgen.contract.stage_configs import LENGTHS, LIMITS
from memgen.contract.weaver_variants import VARIANTS
from memgen.data.prompt import prompt_hash
from memgen.model.adapter_files import read_adapter, read_json, read_lora_config, read_tensors
from memgen.model.adapters import ADAPTERS, Adapter, is_untrained
from memgen.model.base import BaseModel, load_base
from memgen.model.checkpoint import build, load_checkpoint, lora_settings, save_checkpoint, tokenizer_hash
from memgen.model.checkpoint_files import check_tensors
from memgen.model.export_notes import NOTES, ExportNotes, read_notes
from memgen.model.fetch import fetch_model
from memgen.model.memgen_model import LatentSettings, MemGenModel
from memgen.model.older_layout import is_older, load_older
from memgen.model.weights_folder import PEFT_PREFIX
from memgen.monitor import Monitor


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
    notes = read_notes(folder)
    settings = _settings(folder, notes)
    trained: Sequence[str] = ADAPTERS if notes is None else notes.trained
    lora = {name: read_lora_config(_adapter_folder(folder, name)) for name in ADAPTERS}
    model = build(base, settings, lora, "adapter_config.json")
    targets: dict[str, Mapping[str, torch.Tensor]] = dict(_parts(model))
    found: dict[str, Mapping[str, torch.Tensor]] = {file: read_tensors(folder / file) for file in targets}
    adapter_files: dict[str, Adapter] = {}
    for name in ADAPTERS:
        path, state = read_adapter(_adapter_folder(folder, name))
        file = str(path.relative_to(folder))
        adapter_files[file] = name
        targets[file] = model.adapters.parameters(name)
        found[file] = state
    for file, tensors in targets.items():
        check_tensors(file, tensors, found[file])
        part = adapter_files.get(file)
        if part in trained and is_untrained(found[file]):
            raise damaged(file, f"every lora_B of the {part} is zero: loading and saving again lost its training")
    with torch.no_grad():
        for file, tensors in targets.items():
            for key, target in tensors.items():
                target.copy_(found[file][key])
    expected = sum(len(tensors) for tensors in targets.values())
    return Loaded(model, loaded=sum(len(found[file]) for file in targets), expected=expected)


def import_authors(source: Path, preset: Preset, out: Path, home: Path, monitor: Monitor) -> tuple[int, int]:
    """Turn a checkpoint of the authors' layout, or of the older one, into ours.

    Returns:
        Number of tensors loaded, and expected.

    Raises:
        BadInput: as `load_authors`, `fetch_model` and `save_checkpoint` do.
    """
    weights = fetch_model(preset, None, home, monitor)
    base = load_base(weights, "float32")
    trained: list[str] = list(ADAPTERS)
    prompt = prompt_hash(data_set(DEFAULT))  # the authors trained on GSM8K
    if is_older(source):
        trained = ["weaver"]
        torch.manual_seed(0)  # of the untrained trigger, so that an import can be repeated
        found = Loaded(*load_older(source, base))
        monitor.say("a checkpoint of the older layout: a weaver, and a trigger that is untrained")
    else:
        found = load_authors(source, base)
        notes = read_notes(source)
        if notes is not None:
            trained, prompt = notes.trained, notes.prompt_hash
    manifest = Manifest(
        kind="import",
        base_model=weights.identity,
        tokenizer_hash=tokenizer_hash(base),
        latents=vars(found.model.settings),
        trained=trained,
        lora=lora_settings(found.model),
        prompt_hash=prompt,
    )
    save_checkpoint(found.model, out, manifest)
    return found.loaded, found.expected


def export_authors(source: Path, preset: Preset, out: Path, home: Path, monitor: Monitor) -> int:
    """Write one of our checkpoints in the authors' layout, whole or not at all.

    Returns:
        Number of tensors written.

    Raises:
        BadInput: `folder_exists`, `ablated_weaver`, `no_query_norms`, and as `load_checkpoint` and `fetch_model` do.
    """
    if out.exists():
        raise BadInput(
            "folder_exists", "nothing is ever overwritten", field="--out", value=out, way_out="Choose another folder."
        )
    weights = fetch_model(preset, None, home, monitor)
    model = load_checkpoint(source, load_base(weights, "float32"), weights.identity)
    if model.variant != "full":
        raise BadInput(
            "ablated_weaver",
            f"the authors' layout holds a whole weaver, and this one is ablated: {VARIANTS[model.variant].words}",
            field="source",
            value=source,
            way_out="Export a checkpoint whose weaver_variant is full.",
        )
    if not model.settings.query_norms:
        raise BadInput(
            "no_query_norms",
            "the authors' layout holds norms of the query latents, and this checkpoint has none",
            field="source",
            value=source,
            way_out="Export a checkpoint that was not imported from the older layout.",
        )
    notes = ExportNotes.of(read_manifest(source))
    if notes.guard_numbers:
        monitor.say(
            f"the authors' code inserts latents inside numbers, too: guard_numbers is kept in {NOTES}, which our "
            "import alone reads"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        written = _write_authors(model, work)
        notes.write(work)
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
        state = {f"{PEFT_PREFIX}{key}": value.detach().cpu() for key, value in model.adapters.parameters(name).items()}
        save_file(state, inside / "adapter_model.safetensors")
        known = lora_settings(model)[name].model_dump()
        loras[f"{name}_lora_config"] = known | {"bias": "none", "task_type": "CAUSAL_LM"}
    numbers = {name: getattr(model.settings, name) for name in (*LENGTHS, *LIMITS)}
    config = model.base.model.config.to_dict() | numbers | loras | {"model_type": "memgen"}
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


def _settings(folder: Path, notes: ExportNotes | None) -> LatentSettings:
    config = read_json(folder / "config.json")
    try:
        numbers = LATENTS_ADAPTER.validate_python({name: config[name] for name in (*LENGTHS, *LIMITS)})
    except KeyError as error:
        raise damaged("config.json", f"it lacks the key {error.args[0]}") from None
    except ValidationError as error:
        raise damaged("config.json", first_error(error)) from error
    return LatentSettings.of(numbers if notes is None else numbers | {"guard_numbers": notes.guard_numbers})


def _adapter_folder(folder: Path, name: Adapter) -> Path:
    return folder / name / name


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
