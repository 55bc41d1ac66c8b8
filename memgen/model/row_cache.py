"""Key-value caches of rows that each grow at their own pace, without padding: reasoner, weaver and trigger have one.

Each row has a buffer that it fills from the left, so a row that reads eight positions costs the others nothing,
neither time nor room. Generation uses this; trainings, whose gradients run through the cache, use `Stream`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import nn
from transformers.cache_utils import Cache

from memgen.contract.planner.moments import CACHE_GROWTH
from memgen.model.attention import Group, Layout, read

Heads = list[torch.Tensor]
"""Keys or values (r, H, S, Dh) of each run of rows."""


class RowStream:
    """What one role has read so far, row by row.

    Args:
        decoder: the base without its output head; gives hidden states after the final norm.
        rows: number of rows R.
    """

    def __init__(self, decoder: nn.Module, rows: int) -> None:
        self.decoder = decoder
        self._buffers = _Buffers(rows)
        self.lengths = [0] * rows
        """Positions that each row has read."""

    def read(
        self, rows: Sequence[int], chunks: Sequence[torch.Tensor], queries: Sequence[torch.Tensor] = ()
    ) -> list[torch.Tensor]:
        """Let rows read on; `read_together` for this stream alone."""
        return read_together([Reading(self, rows, chunks, queries)])[0]

    def peek(self, rows: Sequence[int], positions: torch.Tensor) -> torch.Tensor:
        """Hidden states (b, K, D) of further positions (b, K, D) that are forgotten again.

        Where gradients are enabled, they reach the positions; what the rows have read has none.
        """
        chunks = list(positions)
        if not torch.is_grad_enabled():
            return torch.stack(_pass(self.decoder, chunks, _Storing([self.part(rows, chunks)])))
        return torch.stack(_pass(self.decoder, chunks, _Peeking(*self.part(rows, chunks))))

    def prefix(self, rows: Sequence[int]) -> "Prefix":
        """What these rows have read, to peek after it."""
        return Prefix(self, list(rows))

    def clear(self, row: int) -> None:
        """Forget what a row has read."""
        self.lengths[row] = 0

    def copy(self, source: int, target: int) -> None:
        """Let one row have read what another has."""
        self._buffers.copy(source, target, self.lengths[source])
        self.lengths[target] = self.lengths[source]

    def move(self, source: int, target: int) -> None:
        """Put what one row has read into another row's place."""
        self.copy(source, target)
        self.clear(source)

    def part(self, rows: Sequence[int], chunks: Sequence[torch.Tensor]) -> "tuple[_Buffers, list[_Run]]":
        """Where these rows keep keys and values, and which lie side by side."""
        return self._buffers, _runs(rows, [self.lengths[row] for row in rows], [len(chunk) for chunk in chunks])


@dataclass(frozen=True)
class Reading:
    """What rows of one stream read in a pass."""

    stream: RowStream
    rows: Sequence[int]
    """Which, b of them, each once."""
    chunks: Sequence[torch.Tensor]
    """Per row embeddings (n_i, D); with the queries at least one position."""
    queries: Sequence[torch.Tensor] = ()
    """Per row (K_i, D), seen after its chunk and forgotten again; or none."""

    def seen(self) -> list[torch.Tensor]:
        """Chunks with queries, (n_i + K_i, D)."""
        if not self.queries:
            return list(self.chunks)
        return [torch.cat(pair) for pair in zip(self.chunks, self.queries, strict=True)]


def read_together(readings: Sequence[Reading]) -> list[list[torch.Tensor]]:
    """Let rows of several streams read on in one pass of the base; without gradients, as what they read is stored.

    Returns:
        Per reading and row the hidden states (n_i + K_i, D) of its chunk and queries, in the order of the pass.
    """
    seen = [one.seen() for one in readings]
    parts = [one.stream.part(one.rows, chunks) for one, chunks in zip(readings, seen, strict=True)]
    with torch.no_grad():
        hidden = iter(_pass(readings[0].stream.decoder, list(chain(*seen)), _Storing(parts)))
    for one in readings:
        for row, chunk in zip(one.rows, one.chunks, strict=True):
            one.stream.lengths[row] += len(chunk)
    return [[next(hidden) for _ in one.rows] for one in readings]


class Prefix:
    """Rows of a stream, for those who only look at what could come next (LTPO)."""

    def __init__(self, stream: RowStream, rows: list[int]) -> None:
        self._stream = stream
        self._rows = rows

    def peek(self, positions: torch.Tensor) -> torch.Tensor:
        """Hidden states (b, K, D) of further positions (b, K, D)."""
        return self._stream.peek(self._rows, positions)


@dataclass
class _Run:
    """Rows of a pass that lie side by side and read equally much."""

    first: int
    """Where the first of them lies."""
    starts: list[int]
    """Positions that each has read before."""
    count: int
    """New positions n of each."""

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + len(self.starts))

    @property
    def longest(self) -> int:
        """Positions that the longest has read before."""
        return max(self.starts)

    @property
    def even(self) -> bool:
        """Whether all have read equally much."""
        return min(self.starts) == self.longest

    def positions(self) -> torch.Tensor:
        """Position ids (r, n) of the new ones."""
        return torch.tensor(self.starts)[:, None] + torch.arange(self.count)


def _runs(rows: Sequence[int], starts: Sequence[int], counts: Sequence[int]) -> list[_Run]:
    runs: list[_Run] = []
    for row, start, count in zip(rows, starts, counts, strict=True):
        last = runs[-1] if runs else None
        if last is not None and last.count == count and last.rows.stop == row:
            last.starts.append(start)
        else:
            runs.append(_Run(row, [start], count))
    return runs


class _Buffers:
    """Keys and values (R, H, S, Dh), a pair per layer."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.layers: list[list[torch.Tensor]] = []

    def reserve(self, layer: int, size: int, like: torch.Tensor) -> None:
        """Make room for `size` positions of each row."""
        if layer == len(self.layers):
            empty = like.new_zeros(self.rows, like.shape[1], 0, like.shape[3])
            self.layers.append([empty, empty])
        for kind, buffer in enumerate(self.layers[layer]):
            room = buffer.shape[2]
            if size > room:
                bigger = buffer.new_zeros(*buffer.shape[:2], max(size, room + CACHE_GROWTH), buffer.shape[3])
                bigger[:, :, :room] = buffer
                self.layers[layer][kind] = bigger

    def copy(self, source: int, target: int, size: int) -> None:
        """Copy a row's first `size` positions into another row."""
        for pair in self.layers:
            for buffer in pair:
                buffer[target, :, :size] = buffer[source, :, :size]


class _Storing(Cache):
    """A pass that puts new keys and values into buffers, those of each part, and attends to them there."""

    def __init__(self, parts: Sequence[tuple[_Buffers, list[_Run]]]) -> None:
        super().__init__(layers=[])
        self._parts = [_Part(*part) for part in parts if part[1]]
        self.runs = [run for part in self._parts for run in part.runs]

    def group(self, run: _Run) -> Group:
        """How the rows of a run attend: each to its slots up to its own."""
        seen = None
        if not run.even:
            seen = torch.arange(run.longest + run.count) <= run.positions()[..., None]
        return Group(len(run.starts), run.count, seen)

    def update(  # type: ignore[override]
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[Heads, Heads]:
        """Store a layer's new keys and values (1, H, N, Dh); returns all slots of each run."""
        sizes = [len(part.slots) for part in self._parts]
        shown: tuple[Heads, Heads] = [], []
        pairs = zip(torch.split(keys, sizes, dim=2), torch.split(values, sizes, dim=2), strict=True)
        for part, pair in zip(self._parts, pairs, strict=True):
            for heads, own in zip(shown, part.store(layer, pair), strict=True):
                heads += own
        return shown

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        """Positions of the longest row."""
        return max(part.size for part in self._parts)


class _Part:
    """Where the rows of one stream put what is new in a pass."""

    def __init__(self, buffers: _Buffers, runs: list[_Run]) -> None:
        self._buffers = buffers
        self.runs = runs
        self.size = max(run.longest + run.count for run in runs)
        """Positions of the longest row."""
        rows = [torch.arange(run.first, run.rows.stop).repeat_interleave(run.count) for run in runs]
        self._rows = torch.cat(rows)  # (N,)
        self.slots = torch.cat([run.positions().flatten() for run in runs])
        """Of its row each new position gets, (N,)."""

    def store(self, layer: int, pair: tuple[torch.Tensor, torch.Tensor]) -> list[Heads]:
        """Store keys and values (1, H, N, Dh) of a layer; returns all slots of each run, of keys and of values."""
        self._buffers.reserve(layer, self.size, pair[0])
        shown: list[Heads] = []
        rows, slots = self._rows.to(pair[0].device), self.slots.to(pair[0].device)
        for buffer, new in zip(self._buffers.layers[layer], pair, strict=True):
            buffer[rows, :, slots] = new[0].transpose(0, 1)
            shown.append([buffer[run.rows, :, : run.longest + run.count] for run in self.runs])
        return shown


class _Peeking(Cache):
    """A pass with gradients after buffers that are left as they are; nothing is stored."""

    def __init__(self, buffers: _Buffers, runs: list[_Run]) -> None:
        super().__init__(layers=[])
        self._buffers = buffers
        self.runs = runs

    def group(self, run: _Run) -> Group:
        """How the rows of a run attend: each to its own slots, and to the new ones up to its own."""
        seen = None
        if not run.even:
            old = (torch.arange(run.longest) < torch.tensor(run.starts)[:, None])[:, None]  # (r, 1, S)
            new = torch.ones(run.count, run.count, dtype=torch.bool).tril()
            seen = torch.cat([old.expand(-1, run.count, -1), new.expand(len(run.starts), -1, -1)], dim=2)
        return Group(len(run.starts), run.count, seen)

    def update(  # type: ignore[override]
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[Heads, Heads]:
        """All slots of each run, the new ones (1, H, N, Dh) after the others."""
        sizes = [len(run.starts) * run.count for run in self.runs]
        shown: list[Heads] = []
        for kind, packed in enumerate((keys, values)):
            shown.append([])
            for run, new in zip(self.runs, torch.split(packed[0], sizes, dim=1), strict=True):
                own = new.reshape(len(new), -1, run.count, new.shape[-1]).transpose(0, 1)  # (r, H, n, Dh)
                if run.longest:
                    own = torch.cat([self._buffers.layers[layer][kind][run.rows, :, : run.longest], own], dim=2)
                shown[-1].append(own)
        return shown[0], shown[1]

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        """Positions of the longest row."""
        return max(run.longest for run in self.runs)


def _pass(decoder: nn.Module, chunks: Sequence[torch.Tensor], past: _Storing | _Peeking) -> list[torch.Tensor]:
    """Hidden states (n_i, D) of each row's chunk."""
    layout = Layout([past.group(run) for run in past.runs], decoder, chunks[0])
    positions = torch.cat([run.positions().flatten() for run in past.runs])
    return layout.part(read(decoder, layout, chunks, positions, past))
