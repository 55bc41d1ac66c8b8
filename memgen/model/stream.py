"""One growing key-value cache over rows of different lengths, with gradients: each role has one in trainings.

Generation has caches of its own (`row_cache`). What was read is never changed: each pass makes new keys and values
after the old ones, so that a backward pass may run a layer again (gradient checkpointing).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers.cache_utils import Cache

from memgen.model.attention import Group, Layout, read

Heads = list[torch.Tensor]
"""Keys or values (1, H, S_i, Dh) of each row."""


class Stream:
    """What one role has read so far.

    Args:
        decoder: the base without its output head; gives hidden states after the final norm.
        rows: number of rows B.
    """

    def __init__(self, decoder: nn.Module, rows: int) -> None:
        self._decoder = decoder
        self._layers: list[tuple[Heads, Heads]] = []
        self._lengths = [0] * rows

    def read(self, chunks: Sequence[torch.Tensor], queries: Sequence[torch.Tensor] | None = None) -> list[torch.Tensor]:
        """Read a chunk per row.

        Args:
            chunks: per row embeddings (n_i, D); with the queries at least one position.
            queries: per row (K_i, D), seen after its chunk and forgotten again.

        Returns:
            Per row hidden states (n_i, D) of its chunk and the queries.
        """
        extra = [0] * len(chunks) if queries is None else [len(own) for own in queries]
        if queries is not None:
            chunks = [torch.cat(pair) for pair in zip(chunks, queries, strict=True)]
        layout = Layout([Group(1, chunk.shape[0]) for chunk in chunks], self._decoder, chunks[0])
        ends = [start + count for start, count in zip(self._lengths, layout.counts, strict=True)]
        places = [torch.arange(start, end) for start, end in zip(self._lengths, ends, strict=True)]
        past = _Pass(self._layers, layout)
        hidden = read(self._decoder, layout, chunks, torch.cat(places), past)
        self._lengths = [end - count for end, count in zip(ends, extra, strict=True)]
        self._layers = [
            (
                [own[:, :, :end] for own, end in zip(keys, self._lengths, strict=True)],
                [own[:, :, :end] for own, end in zip(values, self._lengths, strict=True)],
            )
            for keys, values in past.after
        ]
        return layout.part(hidden)

    def keep_rows(self, rows: Sequence[int]) -> None:
        """Go on with these rows only."""
        self._layers = [([keys[row] for row in rows], [values[row] for row in rows]) for keys, values in self._layers]
        self._lengths = [self._lengths[row] for row in rows]


class _Pass(Cache):
    """Keys and values of one pass after those of earlier ones; a layer that runs again finds everything as it was."""

    def __init__(self, before: Sequence[tuple[Heads, Heads]], layout: Layout) -> None:
        super().__init__(layers=[])
        self._before = before
        self._layout = layout
        self.after: list[tuple[Heads, Heads]] = []
        """With what this pass has read, layer by layer."""

    def update(  # type: ignore[override]
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[Heads, Heads]:
        """Keys and values (1, H, S_i + n_i, Dh) of each row that the layer attends to, from packed new ones."""
        own = self._behind(keys, layer, 0), self._behind(values, layer, 1)
        if layer == len(self.after):
            self.after.append(own)
        return own

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        """Not used: masks and positions are the layout's."""
        return 0

    def _behind(self, new: torch.Tensor, layer: int, kind: int) -> Heads:
        rows = torch.split(new, self._layout.counts, dim=2)
        if not self._before:
            return list(rows)
        return [torch.cat(pair, dim=2) for pair in zip(self._before[layer][kind], rows, strict=True)]
