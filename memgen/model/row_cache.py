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
from memgen.model.places import PlacedRun, Places, Rows

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
        self.buffers = Buffers(rows)
        """Keys and values of what they have read."""
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
        looking = Reading(self, rows, list(positions))
        return torch.stack(_pass([looking], _Peeking if torch.is_grad_enabled() else _Storing))

    def prefix(self, rows: Sequence[int]) -> "Prefix":
        """What these rows have read, to peek after it."""
        return Prefix(self, list(rows))

    def clear(self, row: int) -> None:
        """Forget what a row has read."""
        self.lengths[row] = 0

    def copy(self, source: int, target: int) -> None:
        """Let one row have read what another has."""
        self.buffers.copy(source, target, self.lengths[source])
        self.lengths[target] = self.lengths[source]

    def move(self, source: int, target: int) -> None:
        """Put what one row has read into another row's place."""
        self.copy(source, target)
        self.clear(source)


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
    with torch.no_grad():
        hidden = iter(_pass(readings, _Storing))
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


class Buffers:
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
    """A pass that puts new keys and values into buffers, each part's into its own, and attends to them there."""

    def __init__(self, buffers: Sequence[Buffers], places: Places) -> None:
        super().__init__(layers=[])
        self._buffers = buffers
        self._places = places
        self._counts = [sum(part.counts) for part in places.parts]

    @staticmethod
    def seen(placed: PlacedRun) -> torch.Tensor | None:
        """What its positions see of the slots: each its row's up to its own."""
        if placed.run.is_even:
            return None
        return torch.arange(placed.run.size, device=placed.slots.device) <= placed.slots[..., None]

    def update(  # type: ignore[override]
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[Heads, Heads]:
        """Store a layer's new keys and values (1, H, N, Dh); returns all slots of each run."""
        shown: tuple[Heads, Heads] = [], []
        news = [torch.split(packed[0], self._counts, dim=1) for packed in (keys, values)]
        for number, (buffers, part) in enumerate(zip(self._buffers, self._places.parts, strict=True)):
            buffers.reserve(layer, part.size, keys)
            rows, slots = (index.on(keys.device) for index in self._places.new[number])
            for kind, buffer in enumerate(buffers.layers[layer]):
                buffer[rows, :, slots] = news[kind][number].transpose(0, 1)
                shown[kind].extend(placed.shown(buffer, placed.run.size) for placed in self._places.runs[number])
        return shown

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        """Positions of the longest row."""
        return max(part.size for part in self._places.parts)


class _Peeking(Cache):
    """A pass with gradients after the buffers of one part, which are left as they are; nothing is stored.

    All rows read equally much, so that the runs are in the order of the pass.
    """

    def __init__(self, buffers: Sequence[Buffers], places: Places) -> None:
        super().__init__(layers=[])
        (self._buffers,) = buffers
        (self._runs,) = places.runs

    @staticmethod
    def seen(placed: PlacedRun) -> torch.Tensor | None:
        """What its positions see: each its row's slots, and the new ones up to its own."""
        run, slots = placed.run, placed.slots
        if run.is_even:
            return None
        old = torch.arange(run.longest, device=slots.device) < slots[:, :1, None]  # (r, 1, S)
        new = torch.ones(run.count, run.count, dtype=torch.bool, device=slots.device).tril()
        return torch.cat([old.expand(-1, run.count, -1), new.expand(len(run.rows), -1, -1)], dim=2)

    def update(  # type: ignore[override]
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[Heads, Heads]:
        """All slots of each run, the new ones (1, H, N, Dh) after the others."""
        sizes = [len(placed.run.rows) * placed.run.count for placed in self._runs]
        shown: tuple[Heads, Heads] = [], []
        for kind, packed in enumerate((keys, values)):
            for placed, new in zip(self._runs, torch.split(packed[0], sizes, dim=1), strict=True):
                run = placed.run
                own = new.reshape(len(new), -1, run.count, new.shape[-1]).transpose(0, 1)  # (r, H, n, Dh)
                if run.longest:
                    own = torch.cat([placed.shown(self._buffers.layers[layer][kind], run.longest), own], dim=2)
                shown[kind].append(own)
        return shown

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        """Positions of the longest row."""
        return max(placed.run.longest for placed in self._runs)


def _pass(parts: Sequence[Reading], kind: type[_Storing] | type[_Peeking]) -> list[torch.Tensor]:
    """Hidden states (n_i, D) of what each row sees; `kind` says what becomes of its keys and values."""
    parts = [part for part in parts if part.rows]
    seen = [part.seen() for part in parts]
    chunks = list(chain(*seen))
    lying = [
        Rows(list(part.rows), [part.stream.lengths[row] for row in part.rows], [len(chunk) for chunk in own])
        for part, own in zip(parts, seen, strict=True)
    ]
    places = Places(lying, chunks[0].device)
    past = kind([part.stream.buffers for part in parts], places)
    groups = [Group(len(placed.run.rows), placed.run.count, past.seen(placed)) for placed in chain(*places.runs)]
    decoder = parts[0].stream.decoder
    layout = Layout(groups, decoder, chunks[0], places.counts, places.padding)
    return layout.part(read(decoder, layout, chunks, places.positions, past))
