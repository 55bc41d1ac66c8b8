"""A ratio of two sides that are measured in turn in one process, so that what else the machine does meets both."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

Side = Callable[[], float]
"""Runs once and says what it cost: seconds, or whatever is compared."""


@dataclass(frozen=True)
class Ratio:
    """Ours over theirs, one for each round, and the medians of both sides."""

    median: float
    least: float
    most: float
    limit: float
    ours: float
    theirs: float
    rounds: int

    def as_json(self) -> dict[str, float]:
        """For the file."""
        return asdict(self)


def measure(ours: Side, theirs: Side, rounds: int, limit: float, *, warm_up: bool = True) -> Ratio:
    """Warm both sides up, then measure them in turn; who begins changes from round to round."""
    if warm_up:
        ours()
        theirs()
    pairs = []
    for number in range(rounds):
        if number % 2:
            second = theirs()
            pairs.append((ours(), second))
        else:
            pairs.append((ours(), theirs()))
    ratios = [mine / other for mine, other in pairs]
    return Ratio(
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        limit,
        statistics.median(mine for mine, _ in pairs),
        statistics.median(other for _, other in pairs),
        rounds,
    )


def seconds(work: Callable[[], object]) -> Side:
    """A side that costs the seconds of some work."""

    def timed() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return timed
