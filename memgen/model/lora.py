"""A plain LoRA on the base, without latents: what a weaver is compared with. Made, saved and loaded, complete or not.

Its checkpoint is a folder in PEFT's own layout with our manifest beside it, so that `PeftModel.from_pretrained` reads
it as well. Its layers are put into the base in place, and are on: the base is the model with LoRA from then on. Where
several share a base, all are off at rest.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn

from memgen.contract.checkpoint_kinds import KINDS, LORA
from memgen.contract.errors import BadInput
from memgen.contract.manifest import MANIFEST, LoraSettings, Manifest, damaged, read_manifest
from memgen.model.adapters import is_untrained, lora_layers
from memgen.model.base import BaseModel
from memgen.model.checkpoint import check_base, lora_config, settings_of
from memgen.model.checkpoint_files import check_tensors, read_safetensors, save_files, verify

ADAPTER = "lora"
NAME = "default"  # of the adapter in PEFT, where it is alone in its base
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def load_lora(folder: Path, base: BaseModel, base_name: str, need: str | None, name: str = NAME) -> PeftModel:
    """Put the LoRA of a checkpoint into the base, which runs with it from then on; every weight, or none and an error.

    Args:
        folder: the checkpoint.
        base: the loaded base, without any LoRA that is on.
        base_name: name of its exact weights; must be the one that the checkpoint was made for.
        need: kind that the checkpoint must offer; None takes any LoRA.
        name: of the adapter, where others are in the same base.

    Raises:
        BadInput: `other_kind`, `foreign_base`, `checkpoint_damaged`, each with what differs.
    """
    manifest = read_manifest(folder)
    kind = KINDS[manifest.kind]
    if kind.layout != LORA or (need is not None and need not in kind.offers):
        raise BadInput(
            "other_kind",
            f"it is a {kind.label}, and this run starts from "
            f"{LORA.label if need is None else f'a {KINDS[need].label}'}",
            field="checkpoint",
            value=folder,
            way_out="Choose another checkpoint; `memgen inspect` shows what one is.",
        )
    check_base(manifest, base, base_name)
    verify(folder)
    if ADAPTER not in manifest.lora:
        raise damaged(MANIFEST, f"it has no LoRA settings of the {ADAPTER}")
    try:
        model = get_peft_model(base.model, lora_config(manifest.lora[ADAPTER]), adapter_name=name)
    except (ValueError, TypeError) as error:  # of PEFT
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise damaged(MANIFEST, f"its adapter does not fit this base: {reason}") from error
    restore_lora(model, folder, name)
    model.eval()
    return model


def switch_off(base: nn.Module) -> None:
    """Let a base run without any of the LoRAs in it."""
    for layer in lora_layers(base):
        layer.enable_adapters(False)


@contextmanager
def switched_on(base: nn.Module, name: str) -> Iterator[None]:
    """Inside the block a base, at rest otherwise, runs with the LoRA of this name."""
    own = [layer for layer in lora_layers(base) if name in layer.lora_A]
    for layer in own:
        layer.enable_adapters(True)
        layer.set_adapter(name, inference_mode=True)
    try:
        yield
    finally:
        for layer in own:
            layer.enable_adapters(False)


def restore_lora(model: PeftModel, folder: Path, name: str = NAME) -> None:
    """Put the weights of a checkpoint of the same shape into a model with a LoRA: all of them, or none and an error.

    Raises:
        BadInput: `checkpoint_damaged`, naming file and key.
    """
    tensors = read_safetensors(folder / WEIGHTS)
    targets = lora_tensors(model, name)
    check_tensors(WEIGHTS, targets, tensors)
    if ADAPTER in read_manifest(folder).trained and is_untrained(tensors):
        raise damaged(WEIGHTS, "the manifest calls the LoRA trained, and every lora_B of it is zero")
    with torch.no_grad():
        for key, target in targets.items():
            target.copy_(tensors[key])


def lora_tensors(model: PeftModel, name: str = NAME) -> dict[str, torch.Tensor]:
    """The LoRA's matrices by the names that PEFT saves them under; the very parameters, not copies."""
    return {key: value for key, value in get_peft_model_state_dict(model, adapter_name=name).items() if "lora_" in key}


def settings_of_lora(model: PeftModel) -> dict[str, LoraSettings]:
    """What the manifest says of it."""
    return {ADAPTER: settings_of(_config(model))}


def save_lora(model: PeftModel, folder: Path, manifest: Manifest) -> Manifest:
    """Write a checkpoint whole or not at all; returns its manifest with the files' hashes.

    Args:
        model: the base with its LoRA.
        folder: where; must not exist.
        manifest: what it is, without the files.

    Raises:
        BadInput: `checkpoint_exists`; nothing is ever overwritten.
    """

    def write(work: Path) -> None:
        save_file(
            {key: value.detach().cpu().contiguous() for key, value in lora_tensors(model).items()}, work / WEIGHTS
        )
        write_config(model, work, manifest.base_model)

    return save_files(folder, write, manifest)


def _config(model: PeftModel) -> LoraConfig:
    config: Any = model.peft_config[NAME]
    assert isinstance(config, LoraConfig)
    return config


def write_config(model: PeftModel, folder: Path, base_model: str) -> None:
    """Write PEFT's config of the adapter, without the folder in which the base lay on this machine."""
    settings = settings_of(_config(model)).model_dump()
    fixed = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "bias": "none", "inference_mode": True}
    text = json.dumps({**fixed, **settings, "base_model_name_or_path": base_model}, indent=2)
    (folder / CONFIG).write_text(text + "\n")
