"""Tiny models with random numbers, one of each family that a built-in preset belongs to, with the golden tokenizer."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tests.conftest import GOLDEN

FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"tie_word_embeddings": True},  # SmolLM2
    "smollm3": {},  # its fourth layer has no positions; its embeddings are tied
    "qwen2": {"tie_word_embeddings": True},  # biases at q, k and v
    "qwen3": {"head_dim": 32},  # norms at q and k, heads wider than the model
}
LAYERS = 5


def tiny_config(layout: str, **changes: Any) -> Any:
    """A transformers config of this `model_type`, of few numbers."""
    given = {
        "hidden_size": 64,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 128,
        "vocab_size": 1024,
        "max_position_embeddings": 4096,
        "initializer_range": 0.1,
        "bos_token_id": None,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    return AutoConfig.for_model(layout, **{**given, **FAMILIES.get(layout, {}), **changes})


def tiny_model(layout: str, dtype: torch.dtype = torch.float32, **changes: Any) -> Any:
    """A model with random norms and biases, too, so that none of them is without effect."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(tiny_config(layout, **changes), dtype=dtype).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name and name.endswith("weight"):
                parameter.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.3)
    return model


def write_family(folder: Path, layout: str, **changes: Any) -> Path:
    """Save such a model with the golden tokenizer."""
    tiny_model(layout, **changes).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(GOLDEN / "tiny_base" / name, folder / name)
    return folder


def presets_of(folder: Path, layouts: list[str]) -> Path:
    """An operator's presets file with a model of each of these families, `tiny/LAYOUT`, in folders below this one."""
    entries = [
        {"name": f"tiny/{layout}", "layout": layout, "folder": str(write_family(folder / layout, layout))}
        for layout in layouts
    ]
    path = folder / "presets.json"
    path.write_text(json.dumps(entries))
    return path
