"""What to do about an end that trainer, launcher of ranks and supervisor tell of alike."""

import signal

OUT_OF_MEMORY = (
    "Launch it again with fewer rows at the same time (micro_batch_size, or batch_size where there is none) or shorter "
    "lengths, or end other programs that hold memory and resume."
)
"""A run that is resumed keeps its settings."""


def of_signal(number: int) -> str:
    """Of a process that a signal has ended."""
    if number == signal.SIGKILL:
        return f"Resume the run, if somebody killed it. Else the machine ran out of memory. {OUT_OF_MEMORY}"
    return "Somebody or something on the machine ended it; resume the run."
