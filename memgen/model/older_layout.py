"""Checkpoints of an older layout: `projections.pt` with projections and query latents, an adapter in `weaver_lora/`.

It is a weaver's alone: query latents enter the weaver as they are, without norm and scale, and there is no head of a
trigger. Limits are not in it; ours are the defaults.
"""

from collections.abc import Mapping
from pathlib import Path

import torch

from memgen.contract.manifest import LARGEST, damaged
from memgen.model.adapter_files import read_adapter, read_lora_config, read_tensors
from memgen.model.adapters import is_untrained
from memgen.model.base import BaseModel
from memgen.model.checkpoint import build
from memgen.model.checkpoint_files import check_tensors
from memgen.model.memgen_model import LatentSettings, MemGenModel

PROJECTIONS = "projections.pt"
QUERIES = ("prompt_query_latents", "inference_query_latents")


def is_older(folder: Path) -> bool:
    """Whether the folder holds a checkpoint of this layout."""
    return (folder / PROJECTIONS).exists()


def load_older(folder: Path, base: BaseModel) -> tuple[MemGenModel, int, int]:
    """Build a model from a checkpoint; its trigger is untrained.

    Args:
        folder: the checkpoint.
        base: the base that it was trained on.

    Returns:
        The model, and the numbers of tensors that were loaded and that were expected.

    Raises:
        BadInput: `checkpoint_damaged`, naming the file and the key.
    """
    parts = read_tensors(folder / PROJECTIONS)
    for key in QUERIES:
        if key not in parts or parts[key].dim() != 2:
            raise damaged(PROJECTIONS, f"it lacks {key} of shape (K, D)")
        if not 1 <= parts[key].shape[0] <= LARGEST["prompt_latents_len"]:
            raise damaged(PROJECTIONS, f"{key} holds {parts[key].shape[0]} latents")
    prompt, inference = (parts[key].shape[0] for key in QUERIES)
    adapter = folder / "weaver_lora"
    adapter = adapter / "weaver" if (adapter / "weaver").exists() else adapter  # where PEFT puts a named adapter
    lora = read_lora_config(adapter)
    path, state = read_adapter(adapter)
    settings = LatentSettings(prompt, inference, query_norms=False)
    model = build(base, settings, {"weaver": lora, "trigger": lora}, "adapter_config.json")
    targets: dict[str, tuple[Mapping[str, torch.Tensor], Mapping[str, torch.Tensor]]] = {
        PROJECTIONS: (dict(model.weaver.named_parameters()), parts),
        path.name: (model.adapters.parameters("weaver"), state),
    }
    for file, (tensors, found) in targets.items():
        check_tensors(file, tensors, found)
    if is_untrained(state):
        raise damaged(path.name, "every lora_B of the weaver is zero: nothing was trained, or it was lost")
    with torch.no_grad():
        for tensors, found in targets.values():
            for key, target in tensors.items():
                target.copy_(found[key])
    expected = sum(len(tensors) for tensors, _ in targets.values())
    return model, sum(len(found) for _, found in targets.values()), expected
