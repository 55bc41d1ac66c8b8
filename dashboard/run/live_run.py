"""What the dashboard knows of a run: asked for once for all open pages, and kept while the backend is away.

One `LiveRun` per run is shared by all sessions. It holds replies of the backend and nothing of who looks at them. A
page first asks for the run itself, at most every few seconds; what else it shows is asked for again only where the run
has moved since, so that a finished run costs nothing but its first look.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import streamlit as st

from backend.api.client import ApiError, Unreachable
from backend.api.schemas import LogOut, MetricSeries, RunDetail
from dashboard.parts import api
from memgen.contract.status import RUN_ENDED

T = TypeVar("T")
REFRESH_SECONDS = 4.0
"""Between two looks at a live run."""
_SHARED_SECONDS = 3.5  # a little less, or a page whose clock ticks just before would wait for the next round
_FAULT = 500
MAX_POINTS = 1000
"""Of a metric that are asked for at once; twice as many are held."""
TAIL_BYTES = 64 * 1024
MOST_RUNS, MOST_REPLIES = 32, 24


def live_run(run_id: int) -> "LiveRun":
    """What is known of a run, shared by all sessions."""
    return _live_run(api.client().url, run_id)


@st.cache_resource(max_entries=MOST_RUNS, show_spinner=False)
def _live_run(url: str, run_id: int) -> "LiveRun":  # noqa: ARG001 (the key of the cache)
    return LiveRun(run_id)


class LiveRun:
    """One run, as the backend last told of it.

    Args:
        run_id: of the run.
        clock: seconds that only grow.
    """

    def __init__(self, run_id: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.run_id = run_id
        self.away: Unreachable | ApiError | None = None
        """Why the last request was not answered; what is shown is older then."""
        self._clock = clock
        self._lock = threading.RLock()
        self._detail: RunDetail | None = None
        self._asked_at = -float("inf")
        self._replies: OrderedDict[Hashable, tuple[object, Any]] = OrderedDict()

    def detail(self, within: float = _SHARED_SECONDS) -> RunDetail:
        """The run, as it was at most `within` seconds ago, or last known while the backend is away.

        Raises:
            Unreachable: the backend is away, and the run was never seen.
            ApiError: the same, or there is no such run.
        """
        with self._lock:
            if self._clock() - self._asked_at >= within or (self._detail is None and self.away is None):
                self._asked_at = self._clock()
                try:
                    self._detail, self.away = api.client().run(self.run_id), None
                except (Unreachable, ApiError) as error:
                    self._note(error)
            if self._detail is None:
                assert self.away is not None
                raise self.away
            return self._detail

    def kept(self, key: Hashable, moved: object, ask: Callable[[T | None], T]) -> T:
        """A reply about the run, asked for again only where `moved` is another than when it came.

        Args:
            key: what it is about.
            moved: what of the run it depends on.
            ask: asks the backend; it is given the reply before.

        Raises:
            Unreachable: the backend is away, and the reply was never there.
            ApiError: the same, or the backend refuses.
        """
        with self._lock:
            before = self._replies.get(key)
            if before is None or before[0] != moved:
                try:
                    self._replies[key] = (moved, ask(None if before is None else before[1]))
                except (Unreachable, ApiError) as error:
                    self._note(error)
                    if before is None or not _passes(error):
                        raise
            self._replies.move_to_end(key)
            while len(self._replies) > MOST_REPLIES:
                self._replies.popitem(last=False)
            reply: T = self._replies[key][1]
            return reply

    def curves(self) -> dict[str, MetricSeries]:
        """The run's metrics by name; of a live run only what is new since the last look is asked for."""
        run = self.detail()
        start = (run.num_attempts, run.status in RUN_ENDED)

        def ask(before: tuple[object, dict[str, MetricSeries]] | None) -> tuple[object, dict[str, MetricSeries]]:
            there = before[1] if before is not None and before[0] == start else {}
            # the newest step once more: its numbers may have come one after the other
            since = max((one.steps[-1] for one in there.values()), default=0) - 1 if there else None
            reply = api.client().metrics(self.run_id, since=since, max_points=MAX_POINTS)
            return start, there | {one.name: joined(there.get(one.name), one) for one in reply.series if one.steps}

        return self.kept("curves", (*start, run.progress, run.summary), ask)[1]

    def drawn_curves(self) -> dict[str, MetricSeries]:
        """`curves` as last seen by any page; asked for only where they never were."""
        with self._lock:
            before = self._replies.get("curves")
        return before[1][1] if before is not None else self.curves()

    def stretch(self, name: str, first: int | None, last: int | None) -> MetricSeries:
        """A metric at its finest between two steps, where the curve that is held has left points out.

        Of a live run's open end the curve that is held is enough: it goes on growing.

        Args:
            name: of a metric that `curves` has.
            first: step from which on; None is the run's beginning.
            last: step up to which; None is the run's end.
        """
        whole, run = self.curves()[name], self.detail()
        ended = run.status in RUN_ENDED or (last is not None and last < whole.steps[-1])
        if (first is None and last is None) or len(whole.steps) < MAX_POINTS or not ended:
            return whole

        def ask(_: MetricSeries | None) -> MetricSeries:
            since = None if first is None else first - 1
            series = api.client().metrics(self.run_id, name=name, since=since, until=last, max_points=MAX_POINTS).series
            return next(iter(series), MetricSeries(name=name, steps=[], values=[], times=[]))

        return self.kept(("stretch", name, first, last), run.num_attempts, ask)

    def tail(self, attempt: int) -> LogOut:
        """The end of an attempt's log; of a log that has grown only what is new is asked for."""
        size = next((one.log_bytes for one in self.detail().attempts if one.number == attempt), 0)

        def ask(before: LogOut | None) -> LogOut:
            if before is None or not 0 <= size - before.next_offset <= TAIL_BYTES:
                return api.client().log(self.run_id, attempt=attempt, limit=TAIL_BYTES)
            new = api.client().log(self.run_id, attempt=attempt, offset=before.next_offset, limit=TAIL_BYTES)
            return lengthened(before, new)

        return self.kept(("tail", attempt), size, ask)

    def _note(self, error: Unreachable | ApiError) -> None:
        if isinstance(error, ApiError) and not _passes(error):  # e.g. there is no such run any more
            self._detail = None
        self.away = error


def _passes(error: Unreachable | ApiError) -> bool:
    """Whether the fault is the backend's, and what was known before still holds."""
    return isinstance(error, Unreachable) or error.problem.status >= _FAULT


def joined(before: MetricSeries | None, new: MetricSeries) -> MetricSeries:
    """A series with what came later; where they overlap the later counts. At most twice `MAX_POINTS` points."""
    if before is None:
        return new
    kept = sum(step < new.steps[0] for step in before.steps)
    steps, values, times = (
        [*getattr(before, name)[:kept], *getattr(new, name)] for name in ("steps", "values", "times")
    )
    if len(steps) > 2 * MAX_POINTS:  # every second, and the newest
        steps, values, times = ([*one[:-1:2], one[-1]] for one in (steps, values, times))
    return MetricSeries(name=new.name, steps=steps, values=values, times=times)


def lengthened(before: LogOut, new: LogOut) -> LogOut:
    """The end of a log with what was written since, from a line's start; not longer than `TAIL_BYTES`."""
    if new.offset != before.next_offset or new.attempt != before.attempt:
        return new
    data = (before.text + new.text).encode()
    cut = max(0, len(data) - TAIL_BYTES)
    if cut:
        cut = data.find(b"\n", cut) + 1 or cut
    text = data[cut:].decode(errors="ignore")
    return LogOut(
        attempt=new.attempt, offset=before.offset + cut, next_offset=new.next_offset, size=new.size, text=text
    )
