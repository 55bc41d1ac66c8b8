"""Key-value caches of rows that each grow at their own pace, without padding: reasoner, weaver and trigger have one.

Each row has a buffer that it fills from the left, so a row that reads eight positions costs the others nothing,
neither time nor room. A pass runs on the rows that have something to read; rows side by side are read where they lie,
others are copied out for the pass. Generation uses this; trainings, whose gradients run through the cache, use
`Stream`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers.cache_utils import Cache, DynamicCache

from memgen.contract.moments import CACHE_GROWTH
from memgen.model.stream import pad_left


class RowStream:
    """What one role has read so far, row by row.

    Args:
        decoder: the base without its output head; gives hidden states after the final norm.
        rows: number of rows R.
        device: where the caches live.
    """

    def __init__(self, decoder: nn.Module, rows: int, device: torch.device) -> None:
        self._decoder = decoder
        self._device = device
        self._cache = _RowCache(rows, device)
        self.lengths = [0] * rows
        """Positions that each row has read."""

    def read(
        self, rows: Sequence[int], chunks: Sequence[torch.Tensor], queries: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Let rows read on; without gradients, as what was read lies in buffers.

        Args:
            rows: which, b of them, each once.
            chunks: per row embeddings (n_i, D); with the queries at least one position.
            queries: (K, D), seen behind each row's chunk and forgotten again.

        Returns:
            Hidden states (b, n, D), n the longest chunk with its queries; a row's own are the last ones.
        """
        extra = 0 if queries is None else queries.shape[0]
        if queries is not None:
            chunks = [torch.cat([chunk, queries]) for chunk in chunks]
        embeddings, counts = pad_left(chunks)
        starts = [self.lengths[row] for row in rows]
        with torch.no_grad():
            hidden = self._run(rows, embeddings, starts, counts)
        for row, start, count in zip(rows, starts, counts, strict=True):
            self.lengths[row] = start + count - extra
        return hidden

    def peek(self, rows: Sequence[int], positions: torch.Tensor) -> torch.Tensor:
        """Hidden states (b, K, D) of further positions (b, K, D) that are forgotten again.

        Where gradients are enabled, they reach the positions; what the rows have read has none.
        """
        starts = [self.lengths[row] for row in rows]
        return self._run(rows, positions, starts, [positions.shape[1]] * len(rows))

    def prefix(self, rows: Sequence[int]) -> "Prefix":
        """What these rows have read, to peek behind it."""
        return Prefix(self, list(rows))

    def clear(self, row: int) -> None:
        """Forget what a row has read."""
        self.lengths[row] = 0

    def move(self, source: int, target: int) -> None:
        """Put what one row has read into another row's place."""
        self._cache.move(source, target, self.lengths[source])
        self.lengths[target] = self.lengths[source]
        self.lengths[source] = 0

    def _run(self, rows: Sequence[int], embeddings: torch.Tensor, starts: list[int], counts: list[int]) -> torch.Tensor:
        n = embeddings.shape[1]
        device = self._device
        start = torch.tensor(starts, device=device)[:, None]  # (b, 1)
        missing = n - torch.tensor(counts, device=device)[:, None]
        positions = (start - missing + torch.arange(n, device=device)).clamp(min=0)  # (b, n)
        past: _RowCache | _WithGradient
        if torch.is_grad_enabled():
            past = _WithGradient(self._cache.view(rows, max(starts)))
            mask = _mask_behind(start, max(starts), n)
        else:
            past = self._cache.open(rows, starts, counts, n)
            slots = torch.arange(max(s + c for s, c in zip(starts, counts, strict=True)), device=device)
            mask = slots <= positions[..., None]  # (b, n, S); padding sees slots, too, lest it is NaN, and isn't kept
        hidden: torch.Tensor = self._decoder(
            inputs_embeds=embeddings,
            attention_mask=mask[:, None],
            position_ids=positions,
            past_key_values=past,
            use_cache=True,
        ).last_hidden_state
        return hidden.to(self._device)  # the last layer may be on another GPU


class Prefix:
    """Rows of a stream, for those who only look at what could come next (LTPO)."""

    def __init__(self, stream: RowStream, rows: list[int]) -> None:
        self._stream = stream
        self._rows = rows

    def peek(self, positions: torch.Tensor) -> torch.Tensor:
        """Hidden states (b, K, D) of further positions (b, K, D)."""
        return self._stream.peek(self._rows, positions)


class _RowCache(Cache):
    """Buffers (R, H, S, Dh) of keys and values, a pair per layer."""

    def __init__(self, rows: int, device: torch.device) -> None:
        super().__init__(layers=[])
        self._rows = rows
        self._device = device
        self._buffers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._where: Any = None
        self._from: Any = None
        self._shown: Any = None
        self._size = 0

    def open(self, rows: Sequence[int], starts: list[int], counts: list[int], n: int) -> "_RowCache":
        """Make ready for a pass: which rows take part, where their new positions go."""
        where = [(row, start + i) for row, start, count in zip(rows, starts, counts, strict=True) for i in range(count)]
        source = [(b, n - count + i) for b, count in enumerate(counts) for i in range(count)]
        self._where = tuple(torch.tensor(column, device=self._device) for column in zip(*where, strict=True))
        self._from = tuple(torch.tensor(column, device=self._device) for column in zip(*source, strict=True))
        self._shown = self._selection(rows)
        self._size = max(start + count for start, count in zip(starts, counts, strict=True))
        return self

    def update(  # type: ignore[override]
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a layer's new keys and values (b, H, n, Dh); returns all of the rows in the pass, (b, H, S, Dh)."""
        if layer == len(self._buffers):
            shape = (self._rows, keys.shape[1], 0, keys.shape[3])
            self._buffers.append((keys.new_zeros(shape), values.new_zeros(shape)))
        device = keys.device  # of the layer
        row, slot = (index.to(device) for index in self._where)
        b, t = (index.to(device) for index in self._from)
        shown = []
        grown = []
        for buffer, new in zip(self._buffers[layer], (keys, values), strict=True):
            room = buffer.shape[2]
            if self._size > room:
                wanted = max(self._size, room + CACHE_GROWTH)
                bigger = buffer.new_zeros((*buffer.shape[:2], wanted, buffer.shape[3]))
                bigger[:, :, :room] = buffer
                buffer = bigger
            buffer[row, :, slot] = new[b, :, t]
            grown.append(buffer)
            shown.append(buffer[_on(device, self._shown), :, : self._size])
        self._buffers[layer] = (grown[0], grown[1])
        return shown[0], shown[1]

    def view(self, rows: Sequence[int], size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The first `size` positions of some rows, layer by layer."""
        chosen = self._selection(rows)
        return [
            (keys[_on(keys.device, chosen), :, :size], values[_on(keys.device, chosen), :, :size])
            for keys, values in self._buffers
        ]

    def move(self, source: int, target: int, size: int) -> None:
        """Copy a row's first `size` positions into another row."""
        for pair in self._buffers:
            for buffer in pair:
                buffer[target, :, :size] = buffer[source, :, :size]

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        """Positions of the longest row in the pass."""
        return self._size

    def _selection(self, rows: Sequence[int]) -> slice | torch.Tensor:
        """Rows as a slice where they lie side by side: then a pass reads them in place."""
        first = rows[0]
        if list(rows) == list(range(first, first + len(rows))):
            return slice(first, first + len(rows))
        return torch.tensor(rows, device=self._device)


def _on(device: torch.device, rows: slice | torch.Tensor) -> slice | torch.Tensor:
    """A selection of rows for a buffer on this device."""
    return rows if isinstance(rows, slice) else rows.to(device)


class _WithGradient(DynamicCache):
    """Positions behind a prefix that is left as it is; nothing is stored."""

    def __init__(self, prefix: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        super().__init__()
        self._prefix = prefix

    def update(  # type: ignore[override]
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (b, H, S + n, Dh) of the prefix and the new positions."""
        if layer >= len(self._prefix):  # nothing was read yet
            return keys, values
        before = self._prefix[layer]
        return torch.cat([before[0], keys], dim=2), torch.cat([before[1], values], dim=2)


def _mask_behind(start: torch.Tensor, size: int, n: int) -> torch.Tensor:
    """What n new positions see, (b, n, size + n): of the prefix the row's own part, of each other those before them."""
    device = start.device
    old = (torch.arange(size, device=device) < start)[:, None].expand(-1, n, -1)  # (b, n, size)
    new = torch.ones(n, n, dtype=torch.bool, device=device).tril().expand(len(start), -1, -1)
    return torch.cat([old, new], dim=2)
