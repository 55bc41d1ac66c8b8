"""Measuring a card step by step, in a process that is started again where a measurement has ended it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from memgen.contract.inheritance import inherited
from memgen.doctor.card import abilities, batching, faithful, large, speed, stages
from memgen.doctor.card.bench import Bench

STARTS = 6  # of the measuring process, which ends when a measurement hangs or leaves the GPU unusable


@dataclass(frozen=True)
class Step:
    """Measurements that belong together."""

    share: float
    """Of the time that is left when the step begins, how much it may have."""
    run: Callable[[Bench], None]


STEPS: Mapping[str, Step] = {
    "card": Step(0.1, abilities.run),
    "faithful": Step(0.2, faithful.run),
    "speed": Step(0.4, speed.run),
    "stages": Step(0.45, stages.run),
    "large": Step(0.6, large.run),
    "batching": Step(1.0, batching.run),
}
"""By how much they are worth."""


def measure(bench: Bench, steps: Mapping[str, Step]) -> None:
    """Make the measurements of these steps in this process, but for those that were made before."""
    for name, step in steps.items():
        bench.begin(name, step.share)
        bench.attempt(step.run)


def in_a_process(command: Sequence[str], until: float, say: Callable[[str], object]) -> int:
    """Run a command that measures, again and again until all is measured or the time is up.

    Args:
        command: words after `python -m`.
        until: when everything ends, in seconds since 1970.
        say: tells a line of how it goes on.

    Returns:
        The last exit code of the command.
    """
    code = 1
    dies_with = {"MEMGEN_SUPERVISOR_PID": str(os.getpid())}
    for _ in range(STARTS):
        code = subprocess.call([sys.executable, "-m", *command], env=inherited("trainer", os.environ) | dies_with)
        if code in (0, 2) or time.time() > until:
            break
        say(f"the measuring process ended with {code}: starting it again")
    return code
