"""Models with a preset's real dimensions and random weights, made on the device: they cost what real ones cost."""

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from memgen.contract.presets import Preset
from memgen.doctor.card.bench import Bench
from memgen.doctor.card.golden import GOLDEN
from memgen.model.attention import IMPLEMENTATION
from memgen.model.base import BaseModel
from memgen.model.checkpoint import new_model
from memgen.model.memgen_model import LatentSettings, MemGenModel
from memgen.model.woven_generation import Choose

TOKENIZER = GOLDEN / "tiny_base"  # its ids are valid in every vocabulary here
NEVER = -1  # the id of an end token that does not come
FIRST_ID, LAST_ID = 3, 1024  # of prompts: no special token, and known to the tokenizer


def config_of(preset: Preset) -> Any:
    """A transformers config of a preset's layout and dimensions."""
    dims = preset.dimensions
    own = {"head_dim": dims.head_dim} if dims.qk_norm else {}
    return AutoConfig.for_model(
        preset.layout or ("qwen3" if dims.qk_norm else "qwen2"),
        hidden_size=dims.hidden_size,
        num_hidden_layers=dims.num_layers,
        num_attention_heads=dims.num_heads,
        num_key_value_heads=dims.num_kv_heads,
        intermediate_size=dims.intermediate_size,
        vocab_size=dims.vocab_size,
        tie_word_embeddings=dims.tied_embeddings,
        max_position_embeddings=32768,
        **own,
    )


def random_base(bench: Bench, preset: Preset, attention: str = IMPLEMENTATION) -> BaseModel:
    """A base whose rows never end by themselves.

    Raises:
        RuntimeError: its size is not the one that the planner counts with.
    """
    torch.manual_seed(42)
    with torch.device(bench.device):
        model = AutoModelForCausalLM.from_config(
            config_of(preset), dtype=bench.dtype, attn_implementation=attention
        ).eval()
    model = model.to(bench.device)  # buffers that were made elsewhere
    counted = sum(parameter.numel() for parameter in model.parameters())
    if counted != preset.dimensions.parameters:
        raise RuntimeError(f"{counted} parameters, planned with {preset.dimensions.parameters}")
    model.generation_config = GenerationConfig(do_sample=False, pad_token_id=0)
    return BaseModel(model, AutoTokenizer.from_pretrained(TOKENIZER), bench.device, NEVER, 0)


def woven(base: BaseModel) -> MemGenModel:
    """An untrained MemGen model on this base; latents may be inserted after each token."""
    model = new_model(base, LatentSettings(), lora_r=16, lora_alpha=32, lora_dropout=0.1)
    model.is_delimiter = lambda token: True  # type: ignore[method-assign]  # noqa: ARG005
    return model


def prompts(rows: int, longest: int, shortest: int) -> list[list[int]]:
    """Random prompts in tokens, of lengths spread evenly; one has the greatest."""
    generator = torch.Generator().manual_seed(7)
    lengths = [longest - (longest - shortest) * row // max(1, rows) for row in range(rows)]
    order = torch.randperm(rows, generator=generator).tolist()
    return [torch.randint(FIRST_ID, LAST_ID, (lengths[row],), generator=generator).tolist() for row in order]


def regularly(every: int, shift: int) -> Choose:
    """Insertions at the prompt and at each row's every n-th token, whatever an untrained weaver brings about."""
    return lambda number, tokens: (tokens - shift * number) % every == 0 or tokens == 0
