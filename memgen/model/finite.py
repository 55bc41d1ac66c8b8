"""Numbers that are numbers: weights and what is computed with them, looked at in one cheap pass."""

import torch

from memgen.contract.errors import Diverged

WAY_OUT = "Check the model and the checkpoint with `python -m memgen inspect`; float32 instead of bfloat16 may help."


def is_finite(values: torch.Tensor) -> bool:
    """Whether all are finite; makes no copy, as `isfinite` would."""
    if values.numel() == 0:
        return True
    lowest, highest = values.detach().aminmax()  # both NaN where one value is
    return bool(torch.isfinite(lowest) & torch.isfinite(highest))


def check_likeliest(logits: torch.Tensor, what: str) -> None:
    """Refuse logits or log-probabilities (..., V) from which no token could be chosen.

    Args:
        logits: some may be minus infinity.
        what: what was computed, for people.

    Raises:
        Diverged: one is NaN, or the highest of a row is not finite.
    """
    if not bool(torch.isfinite(logits.amax(-1)).all()):
        raise Diverged(f"{what} are no numbers (NaN or infinite)", WAY_OUT)
