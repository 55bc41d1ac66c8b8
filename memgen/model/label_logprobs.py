"""Log-probabilities of labels, without the logits of all of them at a time.

A position's logits are as many numbers as the vocabulary has: for 1,200 labels and a vocabulary of 152,000 they are
730 MB in float32, and their gradients as much again. A label's log-probability depends on the hidden state in front of
it alone, and the head is never trained. So a slice of labels gives its log-probabilities and their slopes by the hidden
states, D numbers each, while its logits are there; the backward pass scales the slopes. Nothing is computed twice.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from memgen.contract.planner.moments import LABELS_AT_ONCE

Head = Callable[[torch.Tensor], torch.Tensor]
"""From hidden states (n, D) to logits (n, V) in float32; nothing of it is trained."""


def label_logprobs(head: Head, hidden: torch.Tensor, labels: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """Log-probabilities (N,) in float32 of labels.

    Args:
        head: gives the logits.
        hidden: states (N, D) that predict them; where gradients are enabled and wanted, they reach these.
        labels: token ids, (N,).
        temperature: that logits are divided by.
    """

    def said(some: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        logits = head(some)
        logits = logits if temperature == 1 else logits / temperature
        return -nn.functional.cross_entropy(logits, wanted, reduction="none")

    if torch.is_grad_enabled() and hidden.requires_grad:
        sliced: torch.Tensor = _Sliced.apply(hidden, labels, said)  # type: ignore[no-untyped-call]
        return sliced
    return torch.cat([said(*pair) for pair in _slices(hidden, labels)])


def _slices(hidden: torch.Tensor, labels: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    return zip(torch.split(hidden, LABELS_AT_ONCE), torch.split(labels, LABELS_AT_ONCE), strict=True)


class _Sliced(torch.autograd.Function):
    """Log-probabilities whose slopes are computed with them."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        labels: torch.Tensor,
        said: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        logprobs, slopes = [], torch.empty_like(hidden)
        for (some, wanted), slope in zip(_slices(hidden, labels), torch.split(slopes, LABELS_AT_ONCE), strict=True):
            with torch.enable_grad():
                states = some.detach().requires_grad_()
                own = said(states, wanted)
                (slope[:],) = torch.autograd.grad(own.sum(), states)  # each depends on its own state alone
            logprobs.append(own.detach())
        ctx.save_for_backward(slopes)
        return torch.cat(logprobs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return (gradient[:, None] * slopes).to(slopes.dtype), None, None
