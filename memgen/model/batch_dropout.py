"""Dropout of some rows of a batch that is drawn for the whole batch: a row loses the same whatever it is read with.

A piece draws as many random numbers as the batch would, and takes those of its rows. So what was drawn before and what
is drawn after it does not depend on the pieces either, if each begins with the same state of the generators.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn


class Turn:
    """Which rows of a batch are read; all dropouts of a model share one."""

    def __init__(self) -> None:
        self.rows: range | None = None
        """Places of the rows in their batch; None where the batch is read as a whole."""
        self.batch = 0
        """Rows of the batch."""

    @contextmanager
    def of(self, rows: range, batch: int) -> Iterator[None]:
        """Inside the block these rows of a batch are read, also where layers run again for a backward pass."""
        self.rows, self.batch = (None if len(rows) == batch else rows), batch
        try:
            yield
        finally:
            self.rows = None


class BatchDropout(nn.Module):
    """Dropout of one layer.

    Args:
        p: share of the inputs that are dropped.
        turn: which rows are read.
    """

    def __init__(self, p: float, turn: Turn) -> None:
        super().__init__()
        self.p = p
        self._turn = turn

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Inputs (rows, T, D) with some of them 0 and the others larger by as much."""
        rows = self._turn.rows
        if rows is None or not self.training:
            return nn.functional.dropout(x, self.p, self.training)
        factors = nn.functional.dropout(x.new_ones(self._turn.batch, *x.shape[1:]), self.p)
        keep = factors[rows.start : rows.stop] != 0  # for backward: a byte of each, and none of the other rows
        return (x * keep).mul_(1 / (1 - self.p))


def drop_by_batch(model: nn.Module) -> Turn:
    """Let all dropouts of a model draw for whole batches; returns what tells them of the rows that are read."""
    turn = Turn()
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Dropout) and child.p > 0:
                module.add_module(name, BatchDropout(child.p, turn).train(child.training))
    return turn


def random_states() -> Sequence[torch.Tensor]:
    """States of the generators of the CPU and of all GPUs."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else ())]


def put_back(states: Sequence[torch.Tensor]) -> None:
    """Let the generators go on from states that they had before."""
    torch.set_rng_state(states[0])
    if len(states) > 1:
        torch.cuda.set_rng_state_all(states[1:])
