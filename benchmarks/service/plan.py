"""How large everything is, and what both sides are asked."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    runs: int
    points_of_one: int
    """Metric points of the largest run."""
    points: int
    """Of all runs together."""
    asked: int
    """Requests of each kind."""
    seconds: float
    """Of ingestion at full speed."""
    queued: int = 0
    """Runs among them that wait in the queue."""

    @property
    def points_of_each(self) -> int:
        """Points of every run but the largest."""
        return (self.points - self.points_of_one) // max(1, self.runs - 1)


FULL = Scale(runs=10_000, points_of_one=1_000_000, points=10_000_000, asked=60, seconds=10.0, queued=1000)
QUICK = Scale(runs=300, points_of_one=20_000, points=100_000, asked=15, seconds=2.0, queued=30)

SERIES = 10  # metrics of the largest run, equally long
BATCH = 1000  # metrics of a request at full speed: the most that MLflow takes
SHOWN = 2000  # points of a chart
PAGE = 50  # runs of a page
POLLERS, REPORTERS = 20, 4
POLL_SECONDS, REPORT_SECONDS, REPORTED = 1.0, 0.5, 100  # of the load: pauses, and metrics of a report


class Service(Protocol):
    """What is measured of either side."""

    def list_runs(self, number: int, /) -> None:
        """The first page of runs."""

    def list_filtered(self, number: int, /) -> None:
        """The first page of those of one stage that failed."""

    def read_metric(self, number: int) -> None:
        """One metric of the largest run as a chart shows it."""

    def log_metrics(self, reporter: int, first: int, count: int) -> None:
        """Report that many metrics of a run under way, from a step on."""


def p95(ask: Callable[[int], object], count: int) -> float:
    """95th percentile of the seconds that a request takes, after one that does not count."""
    ask(0)
    taken = []
    for number in range(1, count + 1):
        began = time.perf_counter()
        ask(number)
        taken.append(time.perf_counter() - began)
    return percentile(taken)


def percentile(taken: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(taken, n=20, method="inclusive")[-1] if len(taken) > 1 else taken[0]
