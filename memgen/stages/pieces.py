"""A trainer of trl's that takes a batch through the model in pieces, and in smaller ones where memory runs out.

The step stays the same, down to rounding: its loss is that of the whole batch, the gradients of the pieces add up, and
the rows keep the padding and the dropout that they have in the batch. What is told of a step stays the same, too, but
for the extremes of ratios that trl clips. Dropout inside an attention kernel, which none of the built-in models has,
would be drawn for each piece by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import Trainer

from memgen.model.batch_dropout import Turn, drop_by_batch, put_back, random_states
from memgen.stages.slices import slices
from memgen.stages.width import Width

Batch = Mapping[str, Any]
"""What a trainer has prepared of its rows: tensors (rows, ...), and scalars that are of all of them."""


@dataclass(frozen=True)
class _Start:
    """What a batch begins with, each time that it begins."""

    random: Sequence[torch.Tensor]
    tokens: float
    """Counted by the trainer so far."""
    told: Mapping[str, int]
    """How many values of each metric there are."""


class Pieces(Trainer):
    """The base of a trainer of trl's whose batches go through the model in pieces; named after trl's class."""

    _metrics: Any  # trl's: what is told of the step so far
    _total_train_tokens: Any = 0  # trl's, of the training so far
    _width: Width
    _turn: Turn

    def tokens_of(self, rows: Batch) -> int:
        """How many tokens are learned from."""
        raise NotImplementedError

    def weight_of(self, rows: Batch, batch: Batch, num_items: Any) -> float:
        """What the loss of some rows of a batch is multiplied with, so that all of them add up to the batch's loss.

        Args:
            rows: of the batch.
            batch: as a whole.
            num_items: what the losses of a step's batches are divided by already; None where each is a mean.
        """
        raise NotImplementedError

    def take_width(self, width: Width) -> None:
        """Say how many rows go through the model at the same time, before the training."""
        self._width = width
        assert isinstance(self.model, nn.Module)
        self._turn = drop_by_batch(self.model)

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Gradients of a batch, added to those of the step's batches before; returns its part of the step's loss."""
        model.train()
        batch = self._prepare_inputs(inputs)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        before = [parameter.grad for parameter in trained]
        start = _Start(
            random_states(),
            self._total_train_tokens,
            {name: len(values) for name, values in self._metrics["train"].items()},
        )
        loss = self._width.halving(lambda: self._learn(model, batch, num_items_in_batch, start))
        for parameter, gradient in zip(trained, before, strict=True):
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else gradient.add_(parameter.grad)
        return loss

    def _learn(self, model: nn.Module, batch: Batch, num_items: Any, start: _Start) -> torch.Tensor:
        """Gradients of a batch, from none."""
        model.zero_grad()
        metrics, self._total_train_tokens = self._metrics["train"], start.tokens
        for name, values in metrics.items():
            del values[start.told.get(name, 0) :]
        size = _size(batch)
        places = [range(rows[0], rows[-1] + 1) for rows in slices(range(size), self._width.rows)]
        parts = [_part(batch, rows) for rows in places]
        losses = []
        for rows, part in zip(places, parts, strict=True):
            put_back(start.random)
            with self._turn.of(rows, size):
                loss = self.compute_loss(model, part, num_items_in_batch=num_items)
                assert isinstance(loss, torch.Tensor)
                loss = loss * self.weight_of(part, batch, num_items)
                self.accelerator.backward(loss)
            losses.append(loss.detach())
        if len(parts) > 1:
            _join(metrics, start.told, [self.tokens_of(part) for part in parts])
        return torch.stack(losses).sum()


def _size(batch: Batch) -> int:
    """Rows of a batch."""
    return next(len(value) for value in batch.values() if isinstance(value, torch.Tensor) and value.ndim > 0)


def _part(batch: Batch, rows: range) -> dict[str, Any]:
    """Some neighbours of a batch."""
    return {
        name: value[rows.start : rows.stop] if isinstance(value, torch.Tensor) and value.ndim > 0 else value
        for name, value in batch.items()
    }


def _join(metrics: Mapping[str, list[float]], before: Mapping[str, int], tokens: Sequence[int]) -> None:
    """Make of what trl has noted of each piece, in place, what it would have noted of the batch: means over tokens."""
    for name, values in metrics.items():
        own = values[before.get(name, 0) :]
        if len(own) == len(tokens):
            mean = sum(number * value for number, value in zip(tokens, own, strict=True)) / max(1, sum(tokens))
            values[-len(own) :] = [mean]
