"""Models of a preset's dimensions on the meta device, and counts of the tensors that their passes hold.

Nothing here knows the planner's formulas. A GPU is pretended in two places: attention runs through the operators that
torch's `sdpa` chooses there (flash, with a mask memory-efficient), and dropout is the fused one.
"""

import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import AutoConfig, AutoModelForCausalLM

from memgen.contract.presets import Preset
from memgen.model.attention import IMPLEMENTATION
from memgen.model.base import BaseModel
from memgen.model.checkpoint import new_model
from memgen.model.memgen_model import LatentSettings, MemGenModel, Row


class NoTokenizer:
    """Knows no text."""

    def __len__(self) -> int:
        return 1

    def batch_decode(self, ids: list[list[int]]) -> list[str]:
        return [""] * len(ids)


def plain_model_of(preset: Preset, dtype: torch.dtype, attention: str = IMPLEMENTATION) -> Any:
    """A base model of a preset's layout and dimensions, on the default device; on `meta` no number of it exists."""
    dims = preset.dimensions
    config = AutoConfig.for_model(
        preset.layout,
        hidden_size=dims.hidden_size,
        num_hidden_layers=dims.num_layers,
        num_attention_heads=dims.num_heads,
        num_key_value_heads=dims.num_kv_heads,
        head_dim=dims.head_dim,
        intermediate_size=dims.intermediate_size,
        vocab_size=dims.vocab_size,
        tie_word_embeddings=dims.tied_embeddings,
        pad_token_id=0,
        eos_token_id=0,
    )
    return AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention).eval()


def model_of(preset: Preset, device: str, dtype: torch.dtype, **weaver: Any) -> MemGenModel:
    """An untrained model of a preset; `weaver` says what is other than usual, as in `new_model`."""
    with torch.device(device):
        base = plain_model_of(preset, dtype)
        told = BaseModel(base, NoTokenizer(), torch.device(device), 0, 0)
        usual = {"lora_r": 16, "lora_alpha": 32, "lora_dropout": 0.1}
        return new_model(told, LatentSettings(), **usual | weaver)


def parameters_of(model: MemGenModel) -> list[nn.Parameter]:
    """Each parameter once, the base's too."""
    return list({id(one): one for one in [*model.base.model.parameters(), *model.parameters()]}.values())


def size_of(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes of their storages, each counted once."""
    return sum({one.untyped_storage()._cdata: one.untyped_storage().nbytes() for one in tensors}.values())


def rows_on_meta(prompts: Sequence[int], answers: Sequence[int], points: Sequence[int]) -> list[Row]:
    """Rows of so many tokens, with latents after the prompt and before these tokens of the answer."""
    return [
        Row(torch.empty(prompt + answer, dtype=torch.long, device="meta"), [prompt + point for point in points], prompt)
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


class Saved(torch.autograd.graph.saved_tensors_hooks):
    """Inside the block: storages that autograd saves for backward and has not let go of, those of parameters apart."""

    def __init__(self, model: MemGenModel) -> None:
        super().__init__(self._pack, lambda tensor: tensor)
        self._apart = {one.untyped_storage()._cdata for one in parameters_of(model)}
        self._tensors: list[weakref.ref[torch.Tensor]] = []

    def _pack(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage()._cdata not in self._apart:
            self._tensors.append(weakref.ref(tensor))
        return tensor

    def size(self) -> int:
        return size_of(one for one in (ref() for ref in self._tensors) if one is not None)


class Peak(TorchDispatchMode):
    """Inside the block: bytes of all storages that operators have made and that are still alive, and the most so far.

    Args:
        apart: tensors that are not counted.
    """

    def __init__(self, apart: Iterable[torch.Tensor]) -> None:
        super().__init__()
        self.most = 0
        self._now = 0
        self._alive = {one.untyped_storage()._cdata: 0 for one in apart}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in tree_leaves(out):
            if isinstance(one, torch.Tensor):
                self._count(one.untyped_storage())
        return out

    def add(self, tensors: Iterable[torch.Tensor]) -> None:
        """Count what was there before, too."""
        for one in tensors:
            self._count(one.untyped_storage())

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata in self._alive:
            return
        self._alive[storage._cdata] = storage.nbytes()
        self._now += storage.nbytes()
        self.most = max(self.most, self._now)
        weakref.finalize(storage, self._gone, storage._cdata)

    def _gone(self, key: int) -> None:
        self._now -= self._alive.pop(key)


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The meta device behaves as a GPU would where that differs from a CPU."""

    def attention(
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        **_: Any,
    ) -> torch.Tensor:
        if attn_mask is None:
            flash = torch.ops.aten._scaled_dot_product_flash_attention
            return flash(query, key, value, dropout_p, is_causal, scale=scale)[0]
        if attn_mask.dtype is torch.bool:  # sdpa makes numbers of it for this kernel
            attn_mask = attn_mask.to(query.dtype)
        missing = -attn_mask.shape[-1] % 8  # sdpa aligns masks to 8 numbers for this kernel
        bias = nn.functional.pad(attn_mask, (0, missing))[..., : attn_mask.shape[-1]] if missing else attn_mask
        bias = bias.expand(*query.shape[:3], key.shape[2])
        efficient = torch.ops.aten._scaled_dot_product_efficient_attention
        return efficient(query, key, value, bias, True, dropout_p, is_causal, scale=scale)[0]

    def dropout(x: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        return torch.native_dropout(x, p, training)[0]

    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", attention)
    monkeypatch.setattr(nn.functional, "dropout", dropout)
