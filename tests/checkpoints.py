"""A checkpoint as a training leaves it, small and made without torch: nothing can be loaded from it."""

import json
from pathlib import Path

from memgen.contract.checkpoint_kinds import KINDS
from memgen.contract.manifest import file_hash

LATENTS = {"prompt_latents_len": 8, "inference_latents_len": 8, "max_prompt_aug_num": 1, "max_inference_aug_num": 5}


def write_checkpoint(folder: Path, kind: str = "weaver", weights: bytes = b"weights", **changes: object) -> Path:
    """Write a file of weights and a manifest that hashes it.

    Args:
        folder: that is not there yet.
        kind: what was trained last, e.g. `weaver`.
        weights: content of the file.
        changes: of the manifest.
    """
    layout = KINDS[kind].layout
    folder.mkdir(parents=True)
    (folder / "parts.safetensors").write_bytes(weights)
    manifest = {
        "kind": kind,
        "base_model": "folder:1",
        "tokenizer_hash": "t",
        "latents": LATENTS if layout.has_latents else {},
        "trained": ["weaver"] if kind in ("weaver", "import") else list(layout.adapters),
        "lora": {},
        "prompt_hash": "p",
        "files": {"parts.safetensors": file_hash(folder / "parts.safetensors")},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))
    return folder
