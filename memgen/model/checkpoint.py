"""Our checkpoints: complete or nothing. A folder of safetensors with a manifest that hashes every file.

A checkpoint of any stage holds weaver and trigger alike, so that an evaluation names one. It is written to a temporary
folder, synced and renamed; it loads completely, onto the base it was made for, or an error names the file and the key.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors.torch import save_file

from memgen.contract.checkpoint_kinds import KINDS, MEMGEN
from memgen.contract.errors import BadInput
from memgen.contract.manifest import MANIFEST, LoraSettings, Manifest, damaged, read_manifest
from memgen.contract.weaver_shape import other_shape
from memgen.contract.weaver_variants import LORA_TARGETS, VARIANTS, LoraTargets, VariantName
from memgen.model.adapters import ADAPTERS, Adapter, is_untrained
from memgen.model.base import BaseModel
from memgen.model.checkpoint_files import OPTIMIZER, PARTS, check_tensors, save_files, verified
from memgen.model.memgen_model import LatentSettings, MemGenModel

TARGETS = list(LORA_TARGETS["qv"])


def new_model(
    base: BaseModel,
    settings: LatentSettings,
    *,
    lora_r: int,
    lora_alpha: int,
    lora_dropout: float,
    lora_targets: LoraTargets = "qv",
    variant: VariantName = "full",
) -> MemGenModel:
    """An untrained model; its random numbers come from torch's generator."""
    lora: dict[Adapter, LoraConfig] = {
        name: LoraConfig(
            r=lora_r,
            lora_alpha=lora_alpha,
            lora_dropout=lora_dropout,
            target_modules=list(LORA_TARGETS[lora_targets]),
            bias="none",
            task_type="CAUSAL_LM",
        )
        for name in ADAPTERS
    }
    return MemGenModel(base, settings, lora, variant)


def lora_settings(model: MemGenModel) -> dict[Adapter, LoraSettings]:
    """What the manifest says of both adapters."""
    return {name: settings_of(config) for name, config in model.lora.items()}


def settings_of(config: LoraConfig) -> LoraSettings:
    """What a manifest says of an adapter."""
    return LoraSettings(
        r=config.r,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules=sorted(config.target_modules or []),
    )


def tensors_of(model: MemGenModel) -> dict[str, dict[str, torch.Tensor]]:
    """Everything that a checkpoint holds, by file and key; the very parameters, not copies."""
    files: dict[str, dict[str, torch.Tensor]] = {
        PARTS: {
            **{f"weaver.{key}": value for key, value in model.weaver.named_parameters()},
            **{f"trigger_head.{key}": value for key, value in model.trigger_head.named_parameters()},
        }
    }
    for name in ADAPTERS:
        files[f"{name}.safetensors"] = dict(model.adapters.parameters(name))
    return files


def save_checkpoint(
    model: MemGenModel, folder: Path, manifest: Manifest, optimizer: Mapping[str, Any] | None = None
) -> Manifest:
    """Write a checkpoint whole or not at all; returns its manifest with the files' hashes.

    Args:
        model: what to save.
        folder: where; must not exist.
        manifest: what it is, without the files.
        optimizer: state to go on from, for a checkpoint that a training resumes.

    Raises:
        BadInput: `checkpoint_exists`; nothing is ever overwritten.
    """

    def write(work: Path) -> None:
        for file, tensors in tensors_of(model).items():
            save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, work / file)
        if optimizer is not None:
            torch.save(optimizer, work / OPTIMIZER)

    return save_files(folder, write, manifest)


def load_checkpoint(
    folder: Path, base: BaseModel, base_name: str, wanted: Mapping[str, int | None] | None = None, mark: str = ""
) -> MemGenModel:
    """Build a model from a checkpoint.

    Args:
        folder: the checkpoint.
        base: the loaded base.
        base_name: name of its exact weights; must be the one that the checkpoint was made for.
        wanted: lengths that the caller counts on, by their names in `LatentSettings`, and limits that replace the
            checkpoint's; what is None or absent is the checkpoint's.
        mark: what tells its adapters from those of other checkpoints on the same base.

    Raises:
        BadInput: `other_kind`, `foreign_base`, `other_latents`, `checkpoint_damaged`, each with what differs.
    """
    manifest = read_manifest(folder)
    if KINDS[manifest.kind].layout != MEMGEN:
        raise BadInput(
            "other_kind",
            f"it holds {KINDS[manifest.kind].layout.label}, and this run starts from {MEMGEN.label}",
            field="checkpoint",
            value=folder,
            way_out="Choose another checkpoint; `memgen inspect` shows what one is.",
        )
    check_base(manifest, base, base_name)
    settings = _settings(manifest, wanted or {})
    for name in ADAPTERS:
        if name not in manifest.lora:
            raise damaged(MANIFEST, f"it has no LoRA settings of the {name}")
    lora: dict[Adapter, LoraConfig] = {name: lora_config(manifest.lora[name]) for name in ADAPTERS}
    model = build(base, settings, lora, MANIFEST, manifest.weaver_variant, mark)
    restore(model, folder)
    return model


def lora_config(settings: LoraSettings) -> LoraConfig:
    """PEFT's config of an adapter."""
    return LoraConfig(**settings.model_dump(), bias="none", task_type="CAUSAL_LM")


def build(
    base: BaseModel,
    settings: LatentSettings,
    lora: dict[Adapter, LoraConfig],
    file: str,
    variant: VariantName = "full",
    mark: str = "",
) -> MemGenModel:
    """A model with adapters as a checkpoint's file describes them; its weights are still to come.

    Raises:
        BadInput: `checkpoint_damaged`, naming that file, if the base has no such places.
    """
    try:
        return MemGenModel(base, settings, lora, variant, mark)
    except (ValueError, TypeError) as error:  # of PEFT
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise damaged(file, f"its adapters do not fit this base: {reason}") from error


def restore(model: MemGenModel, folder: Path) -> None:
    """Put the weights of a checkpoint of the same shape into a model: all of them, or none and an error.

    Raises:
        BadInput: `checkpoint_damaged`, naming file and key.
    """
    manifest = read_manifest(folder)
    found = {file: verified(folder, file, digest) for file, digest in manifest.files.items()}
    targets = tensors_of(model)
    for file in sorted(set(targets) ^ set(found)):
        raise damaged(
            file, "the file is missing" if file in targets else "the manifest names a file that no part reads"
        )
    for file, tensors in targets.items():
        check_tensors(file, tensors, found[file])
    for name in manifest.trained_loras:
        if is_untrained(found[f"{name}.safetensors"]):
            raise damaged(
                f"{name}.safetensors", f"the manifest calls the {name} trained, and every lora_B of it is zero"
            )
    variant = VARIANTS[manifest.weaver_variant]
    if "lora" not in variant.trains and not is_untrained(found["weaver.safetensors"]):
        raise damaged(
            "weaver.safetensors", f"the manifest calls the weaver one with {variant.words}, and it has a LoRA"
        )
    with torch.no_grad():
        for file, tensors in targets.items():
            for key, target in tensors.items():
                target.copy_(found[file][key])


def tokenizer_hash(base: BaseModel) -> str:
    """First 16 hex digits of the sha256 over the vocabulary with its ids."""
    vocabulary = sorted(base.tokenizer.get_vocab().items(), key=lambda item: item[1])
    return hashlib.sha256(json.dumps(vocabulary).encode()).hexdigest()[:16]


def check_base(manifest: Manifest, base: BaseModel, base_name: str) -> None:
    """Refuse a checkpoint of another base.

    Raises:
        BadInput: `foreign_base`.
    """
    if manifest.base_model != base_name or manifest.tokenizer_hash != tokenizer_hash(base):
        raise BadInput(
            "foreign_base",
            f"the checkpoint was made for {manifest.base_model}",
            field="preset",
            value=base_name,
            way_out="Choose that model, or a checkpoint of this one.",
        )


def _settings(manifest: Manifest, wanted: Mapping[str, int | None]) -> LatentSettings:
    given = {name: value for name, value in wanted.items() if value is not None}
    problem = other_shape(manifest, given)
    if problem is not None:
        raise problem
    return LatentSettings.of({**manifest.latents, **given})
