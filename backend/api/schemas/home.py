"""What a page shows first: what runs, what needs attention, what waits, what came out."""

from typing import Literal

from pydantic import Field

from backend.api.schemas.base import ApiReply
from backend.api.schemas.house import WorkerOut
from backend.api.schemas.results import BaselineOut, ResultOut
from backend.api.schemas.runs import MetricSeries, RunOut


class RunningOut(ApiReply):
    """A run under way."""

    run: RunOut
    metric: MetricSeries | None
    """What says most about it, at a few dozen of its steps."""
    warnings: list[str]


class AttentionOut(ApiReply):
    """A run that somebody should look at."""

    kind: Literal["failed", "alarm", "warning"]
    run: RunOut
    text: str
    """What is wrong."""
    way_out: str


class HomeOut(ApiReply):
    """The state of everything, in one reply."""

    num_runs: int
    """Of all statuses."""
    num_running: int
    running: list[RunningOut]
    """The newest of them."""
    num_failed: int
    """Runs that failed within the last week and were not started again."""
    attention: list[AttentionOut]
    paused: bool
    """Whether the queue hands out nothing."""
    num_queued: int
    num_waiting: int
    """Runs that wait for the checkpoint of another."""
    waiting: list[RunOut]
    """Those that start next."""
    baseline: BaselineOut = Field(default_factory=lambda: BaselineOut(run_id=None, run=None))
    results: list[ResultOut]
    """The evaluations that finished last."""
    workers: list[WorkerOut]
    """Those that are alive."""
    disk_bytes: int
    """Of the home folder's disk."""
    disk_free_bytes: int
    disk_spare_bytes: int
    """Free, and not needed by what runs."""
