"""Attention over rows of different lengths that stand one after the other, without padding.

Linear layers and norms read each position alone, so a pass over rows of 1, 9 and 80 positions is one sequence of 90 to
them. Attention alone takes the rows apart: groups of rows attend together, each row to what its cache holds. Indices
and masks are made once for a pass, on the device.
Registered with transformers as an attention implementation; a pass without a `layout` is left to its own sdpa.

Grouped-query attention reads each key and value head once: queries that share one become further positions. No T x T
matrix is kept where torch's sdpa has a flash or memory-efficient kernel for the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from memgen.contract.errors import BadInput

IMPLEMENTATION = "packed_sdpa"
# what transformers hands to an attention that weighs otherwise than by query and key alone, or sees less than all
BEYOND_PLAIN = {
    "softcap": "soft-capped scores",
    "s_aux": "attention sinks",
    "position_bias": "a bias by position",
}


class Copies:
    """A tensor on each of the devices that layers are on; it goes to each once."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self._on = {tensor.device: tensor}
        self._first = tensor

    def on(self, device: torch.device) -> torch.Tensor:
        """The tensor on this device."""
        if device not in self._on:
            self._on[device] = self._first.to(device)
        return self._on[device]


@dataclass(frozen=True)
class Group:
    """Rows that attend together."""

    rows: int
    positions: int
    """New positions n of each, the padding of shorter ones included."""
    seen: torch.Tensor | None = None
    """Which of the S slots each position sees, (rows, n, S) of bool; None: the last n slots are the new ones, and each
    sees all up to its own."""


@dataclass(frozen=True)
class Padding:
    """Where groups find what they attend with, if they are not all neighbours of one length."""

    taken: Sequence[torch.Tensor]
    """Per group the places (rows * n,) of its positions in the pass; of the padding any."""
    back: torch.Tensor
    """Of each position of the pass, (N,), its place in what the groups give one after the other."""


class Layout:
    """How a pass packs its rows.

    Args:
        groups: all rows of the pass; without a padding in order, and without any between them.
        decoder: who reads.
        like: an embedding, for number format and device.
        counts: positions of each row, in order; None where no group has padding.
        padding: where the groups' positions lie.
    """

    def __init__(
        self,
        groups: Sequence[Group],
        decoder: nn.Module,
        like: torch.Tensor,
        counts: Sequence[int] | None = None,
        padding: Padding | None = None,
    ) -> None:
        config: Any = decoder.config
        self._shared = config.num_attention_heads // config.num_key_value_heads  # queries g of a key
        self.groups = groups
        self.counts = list(counts or [group.positions for group in groups for _ in range(group.rows)])
        """Positions of each row."""
        self._sizes = [group.rows * group.positions for group in groups]
        self._taken = None if padding is None else [Copies(own) for own in padding.taken]
        self._back = None if padding is None else Copies(padding.back)
        self._made: dict[tuple[int, int], Copies] = {}
        self._masks = [None if group.seen is None else Copies(self._mask(group.seen, like.dtype)) for group in groups]

    def part(self, packed: torch.Tensor) -> list[torch.Tensor]:
        """What was packed, (1, N, ...), row by row: (n_i, ...) each."""
        return list(torch.split(packed[0], self.counts))

    def attend(
        self, query: torch.Tensor, keys: Sequence[torch.Tensor], values: Sequence[torch.Tensor], scaling: float | None
    ) -> torch.Tensor:
        """Packed heads (1, N, H, Dh) from packed queries (1, H, N, Dh) and the groups' slots (rows, H_kv, S, Dh)."""
        parts = zip(self.groups, self._queries(query[0]), keys, values, self._masks, strict=True)
        heads = torch.cat([self._attend(*part, scaling) for part in parts])
        return (heads if self._back is None else heads.index_select(0, self._back.on(heads.device)))[None]

    def _queries(self, packed: torch.Tensor) -> Sequence[torch.Tensor]:
        """Each group's, (H, rows * n, Dh), of (H, N, Dh)."""
        if self._taken is None:
            return torch.split(packed, self._sizes, dim=1)
        return [packed.index_select(1, own.on(packed.device)) for own in self._taken]

    def _attend(
        self,
        group: Group,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: Copies | None,
        scaling: float | None,
    ) -> torch.Tensor:
        sdpa = nn.functional.scaled_dot_product_attention
        n, slots = group.positions, key.shape[2]
        heads = query.reshape(-1, group.rows, n, query.shape[-1]).transpose(0, 1)  # (rows, H, n, Dh)
        if mask is None and n == slots > 1:
            out = sdpa(heads, key, value, is_causal=True, scale=scaling, enable_gqa=self._shared > 1)
        else:
            if mask is None and n > 1:
                mask = self._lower_right(n, slots, key)
            grouped = heads.reshape(group.rows, key.shape[1], self._shared * n, -1)
            own = None if mask is None else mask.on(key.device)
            out = sdpa(grouped, key, value, attn_mask=own, scale=scaling).reshape(heads.shape)
        return out.transpose(1, 2).flatten(0, 1)  # (rows * n, H, Dh)

    def _lower_right(self, n: int, slots: int, like: torch.Tensor) -> Copies:
        """The mask of n new positions after others; made once and shared by all layers."""
        if (n, slots) not in self._made:
            seen = torch.ones(1, n, slots, dtype=torch.bool, device=like.device).tril(slots - n)
            self._made[n, slots] = Copies(self._mask(seen, like.dtype))
        return self._made[n, slots]

    def _mask(self, seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """(rows, 1, g * n, S), additive: the queries of a key are further positions."""
        mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, torch.finfo(dtype).min)
        return mask.repeat(1, self._shared, 1)[:, None]


def read(
    decoder: nn.Module, layout: Layout, chunks: Sequence[torch.Tensor], positions: torch.Tensor, past: Any
) -> torch.Tensor:
    """Packed hidden states (1, N, D) after the final norm of rows that read on.

    Args:
        decoder: the base without its output head.
        layout: of the rows.
        chunks: embeddings (n_i, D) per row.
        positions: position ids (N,).
        past: the cache; its `update` gives keys and values group by group.

    Raises:
        BadInput: `unsupported_family`, if a row is longer than the window of a layer.
    """
    window = window_of(decoder.config)
    if window is not None and (longest := int(positions.max()) + 1) > window:
        raise too_narrow(decoder.config, window, longest)
    hidden: torch.Tensor = decoder(
        inputs_embeds=torch.cat(list(chunks))[None],
        attention_mask=chunks[0].new_zeros(1, 1, 1, 1),  # of this shape transformers makes none of its own
        position_ids=positions.to(chunks[0].device)[None],
        past_key_values=past,
        use_cache=True,
        layout=layout,
    ).last_hidden_state
    return hidden.to(chunks[0].device)  # the last layer may be on another GPU


def window_of(config: Any) -> int | None:
    """How many positions a layer sees that does not see all; None where each sees all of its row."""
    kinds: list[str] | None = getattr(config, "layer_types", None)
    window: int | None = getattr(config, "sliding_window", None)
    return window if kinds is None or "sliding_attention" in kinds else None


def too_narrow(config: Any, window: int, longest: int) -> BadInput:
    """The error for rows that are longer than a window: up to its length it changes nothing, and is left out here."""
    return unsupported(
        config,
        f"its layers see {window:,} positions of a row, and one may have {longest:,}",
        f"Lower max_prompt_length or max_completion_length until no row has more than {window:,}, choose another "
        "model, or measure it as `base`.",
    )


def unsupported(config: Any, what: str, way_out: str = "") -> BadInput:
    """The error for a family that would be computed wrongly.

    Args:
        config: transformers' own, of the model.
        what: of it can't be computed here, a clause.
        way_out: empty for another family.
    """
    return BadInput(
        "unsupported_family",
        f"models of the family {config.model_type} can't be used with latents: {what}",
        field="preset",
        value=config.model_type,
        way_out=way_out or "Choose a model of another family (docs/models.md names some), or measure it as `base`.",
    )


def _attention(
    module: nn.Module,
    query: torch.Tensor,
    key: Any,
    value: Any,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    layout: Layout | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it; with a layout, keys and values are lists by group."""
    if layout is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **others)
    for name, what in BEYOND_PLAIN.items():
        if others.get(name) is not None:
            raise unsupported(module.config, f"its attention has {what} ({name} {others[name]!s:.40})")
    return layout.attend(query, key, value, scaling), None


AttentionInterface.register(IMPLEMENTATION, _attention)
AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)
