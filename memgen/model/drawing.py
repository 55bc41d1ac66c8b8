"""Choices drawn from logits; each row has a generator of its own, so that what stands beside it changes nothing.

A kind of drawing belongs to a training from its first step to its last, as both kinds draw other tokens.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch

Drawing = Literal["by row", "by token"]
"""How many random numbers a row's choice takes: one, on whose place in the summed probabilities it falls, or one for
each token of the vocabulary, as `torch.multinomial` does, which takes the probabilities to the CPU."""
DRAWINGS: tuple[Drawing, ...] = get_args(Drawing)
NEWEST: Drawing = "by row"
OLDEST: Drawing = "by token"
"""Of trainings that were begun before there was another."""
ROWS_AT_ONCE = 16  # whose probabilities are summed at a time, in float64


def draw(logits: torch.Tensor, generators: Sequence[torch.Generator], drawing: Drawing = NEWEST) -> torch.Tensor:
    """One choice (B,) per row.

    Args:
        logits: or log-probabilities, (B, n).
        generators: one per row, on the CPU.
        drawing: the kind.
    """
    if drawing == "by token":
        probabilities = torch.softmax(logits.float().cpu(), dim=-1)
        drawn = [torch.multinomial(own, 1, generator=one) for own, one in zip(probabilities, generators, strict=True)]
        return torch.cat(drawn).to(logits.device)
    shares = torch.stack([torch.rand(1, generator=one, dtype=torch.float64) for one in generators]).to(logits.device)
    pairs = zip(torch.split(logits, ROWS_AT_ONCE), torch.split(shares, ROWS_AT_ONCE), strict=True)
    return torch.cat([_first_beyond(*pair) for pair in pairs])


def _first_beyond(logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Per row the first choice up to which the probabilities add up to more than a share (b, 1) of all."""
    summed = torch.softmax(logits.float(), dim=-1).double().cumsum(-1)
    return torch.searchsorted(summed, shares * summed[:, -1:], right=True)[:, 0].clamp(max=logits.shape[-1] - 1)
