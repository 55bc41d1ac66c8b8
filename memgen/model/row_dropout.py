"""Dropout in front of a LoRA that is drawn for each row by itself: the same however many rows are read together.

Linear layers see rows packed one after the other. Who lets rows read says how many positions each has and by which seed
its masks are drawn; where nobody does, this is torch's own dropout.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

_MIX, _WORD = 0x9E3779B97F4A7C15, 2**64  # an odd number whose multiples spread over all 64 bits


@dataclass(frozen=True)
class RowDraw:
    """One row of a pass."""

    seed: int
    """Of the row and the pass."""
    positions: int
    """That it reads in the pass."""


@dataclass
class Draws:
    """Whose turn it is; all dropouts of a model share one."""

    rows: Sequence[RowDraw] | None = None
    """Rows of the pass, as they are packed; None draws for all of them together."""
    generators: dict[torch.device, torch.Generator] = field(default_factory=dict)

    @contextmanager
    def of(self, rows: Sequence[RowDraw] | None) -> Iterator[None]:
        """Inside the block masks are drawn for these rows."""
        before, self.rows = self.rows, rows
        try:
            yield
        finally:
            self.rows = before


class RowDropout(nn.Module):
    """Dropout of one layer.

    Args:
        p: share of the inputs that are dropped.
        place: number of this dropout in its model.
        draws: whose turn it is.
    """

    def __init__(self, p: float, place: int, draws: Draws) -> None:
        super().__init__()
        self.p = p
        self._place = place
        self._draws = draws

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Inputs (1, N, D) with some of them 0 and the others larger by as much."""
        rows = self._draws.rows
        if rows is None or not self.training:
            return nn.functional.dropout(x, self.p, self.training)
        keep = torch.cat([self._mask(row, x) for row in rows])[None]
        return (x * keep).mul_(1 / (1 - self.p))

    def _mask(self, row: RowDraw, like: torch.Tensor) -> torch.Tensor:
        """(n, D) of bool: what is kept."""
        generator = self._draws.generators.setdefault(like.device, torch.Generator(like.device))
        mixed = (row.seed + (self._place + 1) * _MIX) * _MIX % _WORD
        generator.manual_seed(mixed >> 32)  # a CPU's generator takes no more than 32 bits
        mask = torch.empty(row.positions, like.shape[-1], dtype=torch.bool, device=like.device)
        return mask.bernoulli_(1 - self.p, generator=generator)
