"""Where the rows of a pass lie, and which of them attend together: computed on the CPU, on the device in one copy.

On a CPU neighbours of one length attend together, which costs neither a copy nor padding. A GPU waits for each
operation to be launched: there all rows of similar lengths do, so that a pass has as many operations for any number of
rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

import torch

from memgen.model.attention import Copies, Padding

PADDED = 64  # most new positions of rows that attend together with padding; a prompt's would cost more than they save
ALIKE = 16  # up to so many new positions, lengths are alike; above, those up to the next power of two are


@dataclass(frozen=True)
class Rows:
    """Rows of one stream that read in a pass, in its order."""

    rows: list[int]
    """Where each lies in the buffers, each once."""
    starts: list[int]
    """Positions that each has read before."""
    counts: list[int]
    """New positions n_i of each."""

    @property
    def size(self) -> int:
        """Positions of the longest row after the pass."""
        return max(start + count for start, count in zip(self.starts, self.counts, strict=True))


@dataclass
class Run:
    """Rows of one stream that attend together; what is computed of them is so once all are there."""

    rows: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    """Place of each one's first new position in the pass."""

    def take(self, row: int, start: int, count: int, first: int) -> None:
        """Let a row attend with these."""
        self.rows.append(row)
        self.starts.append(start)
        self.counts.append(count)
        self.firsts.append(first)

    def goes_on_with(self, row: int, count: int) -> bool:
        """Whether a row is the next neighbour, of the same length."""
        return self.rows[-1] + 1 == row and self.counts[-1] == count

    @cached_property
    def count(self) -> int:
        """New positions n of each row, padding included."""
        return max(self.counts)

    @cached_property
    def longest(self) -> int:
        """Positions that the longest row has read before."""
        return max(self.starts)

    @cached_property
    def size(self) -> int:
        """Slots S that are shown: positions of the longest row after the pass."""
        return max(start + count for start, count in zip(self.starts, self.counts, strict=True))

    @cached_property
    def is_even(self) -> bool:
        """Whether all rows have read equally much, and read equally much now."""
        return len(set(zip(self.starts, self.counts, strict=True))) == 1

    @cached_property
    def neighbours(self) -> slice | None:
        """The rows, if they lie side by side in this order."""
        first, end = self.rows[0], self.rows[0] + len(self.rows)
        return slice(first, end) if self.rows == list(range(first, end)) else None

    def from_first(self) -> torch.Tensor:
        """How far each new position is from its row's first, (r, n); the padding repeats a row's last one."""
        return torch.minimum(torch.arange(self.count), torch.tensor(self.counts)[:, None] - 1)


@dataclass(frozen=True)
class PlacedRun:
    """A run, with its indices on the device."""

    run: Run
    rows: Copies
    """Where each lies in the buffers, (r,)."""
    slots: torch.Tensor
    """Of the new positions, (r, n)."""

    def shown(self, buffer: torch.Tensor, size: int) -> torch.Tensor:
        """The first slots of these rows, (r, H, size, Dh); of neighbours no copy."""
        if self.run.neighbours is not None:
            return buffer[self.run.neighbours, :, :size]
        return buffer[:, :, :size].index_select(0, self.rows.on(buffer.device))


class Places:
    """Where everything lies in a pass.

    Args:
        parts: who reads, none of them empty.
        device: where the pass begins.
    """

    def __init__(self, parts: Sequence[Rows], device: torch.device) -> None:
        self.parts = parts
        self.counts = [count for part in parts for count in part.counts]
        """New positions of each row, in the order of the pass."""
        runs = _runs(parts, padded=waits_for_launches(device))
        every = list(chain(*runs))
        taken = [(torch.tensor(run.firsts)[:, None] + run.from_first()).flatten() for run in every]
        order = torch.cat(taken)
        back = torch.empty(sum(self.counts), dtype=torch.long)
        back[order] = torch.arange(len(order))  # of the equal places of a padding, any
        in_order = torch.equal(order, back)
        new, slots, rows, taken, (back,) = _moved(
            [
                [_rows_and_slots(part) for part in parts],
                [torch.tensor(run.starts)[:, None] + run.from_first() for run in every],
                [torch.tensor(run.rows) for run in every],
                taken,
                [back],
            ],
            device,
        )
        self.new = [(Copies(own[0]), Copies(own[1])) for own in new]
        """Per part the row and the slot, (N,) each, of its new positions in order."""
        self.positions = torch.cat([own[1] for own in new])
        """Position ids (N,) of the pass."""
        self.padding = None if in_order else Padding(taken, back)
        placed = iter(map(PlacedRun, every, map(Copies, rows), slots))
        self.runs = [[next(placed) for _ in own] for own in runs]
        """Per part those who attend together."""


def waits_for_launches(device: torch.device) -> bool:
    """Whether operations cost most by their number."""
    return device.type != "cpu"


def _runs(parts: Sequence[Rows], *, padded: bool) -> list[list[Run]]:
    """Per part the rows that attend together."""
    runs: list[list[Run]] = []
    first = 0
    for part in parts:
        runs.append([])
        alike: dict[int, Run] = {}
        for row, start, count in zip(part.rows, part.starts, part.counts, strict=True):
            length = (max(count, ALIKE) - 1).bit_length()
            last = runs[-1][-1] if runs[-1] else None
            if padded and count <= PADDED:
                run = alike.get(length)
            else:
                run = last if last is not None and last.goes_on_with(row, count) else None
            if run is None:
                run = Run()
                runs[-1].append(run)
                if padded and count <= PADDED:
                    alike[length] = run
            run.take(row, start, count, first)
            first += count
    return runs


def _rows_and_slots(part: Rows) -> torch.Tensor:
    """Row and slot of each new position, (2, N)."""
    counts = torch.tensor(part.counts)
    starts = torch.tensor(part.starts) - (counts.cumsum(0) - counts)  # plus a position's place in the part: its slot
    lying = torch.stack([torch.tensor(part.rows), starts]).repeat_interleave(counts, dim=1)
    lying[1] += torch.arange(lying.shape[1])
    return lying


def _moved(lists: Sequence[Sequence[torch.Tensor]], device: torch.device) -> list[list[torch.Tensor]]:
    """Lists of tensors of integers on a device, in one copy."""
    every = list(chain(*lists))
    flat = torch.cat([one.flatten() for one in every]).to(device)
    parts = iter(torch.split(flat, [one.numel() for one in every]))
    return [[next(parts).view(one.shape) for one in own] for own in lists]
