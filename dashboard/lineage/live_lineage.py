"""What the dashboard knows of a lineage: one copy for all open pages; of what moves only what has moved is asked for.

It holds replies of the backend and nothing of who looks at them.
"""

import threading
import time
from collections.abc import Callable

import streamlit as st

from backend.api.client import ApiError, Unreachable
from backend.api.schemas import LineageOut
from dashboard.parts import api
from memgen.contract.status import RUN_ENDED

REFRESH_SECONDS = 4.0
"""Between two looks at a lineage in which something runs or waits."""
_SHARED_SECONDS = 3.5  # a little less, or a page whose clock ticks just before would wait for the next round
_FAULT = 500  # the lowest HTTP status of an error that is not the request's


def live_lineage(run: int | None, pipeline: int | None, limit: int) -> "LiveLineage":
    """What is known of a lineage, shared by all sessions.

    Args:
        run: whose family it is.
        pipeline: whose runs they are.
        limit: of the newest runs, where it is neither.
    """
    return _live_lineage(api.client().url, run, pipeline, limit)


@st.cache_resource(max_entries=16, show_spinner=False)
def _live_lineage(url: str, run: int | None, pipeline: int | None, limit: int) -> "LiveLineage":  # noqa: ARG001
    return LiveLineage(run, pipeline, limit)


class LiveLineage:
    """A lineage, as the backend last told of it.

    Args:
        run: whose family it is.
        pipeline: whose runs they are.
        limit: of the newest runs, where it is neither.
        clock: seconds that only grow.
    """

    def __init__(
        self, run: int | None, pipeline: int | None, limit: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.away: Unreachable | ApiError | None = None
        """Why the last request was not answered; what is shown is older then."""
        self.version = 0
        """Another one where something has changed."""
        self._run, self._pipeline, self._limit = run, pipeline, limit
        self._clock = clock
        self._lock = threading.RLock()
        self._held: LineageOut | None = None
        self._asked_at = -float("inf")

    def load(self) -> LineageOut:
        """All of it, as it is now, or as last known while the backend is away.

        Raises:
            Unreachable: the backend is away, and it was never seen.
            ApiError: the same, or there is no such run or pipeline.
        """
        with self._lock:
            return self._ask(None)

    def newest(self, within: float = _SHARED_SECONDS) -> LineageOut:
        """All of it, as it was at most `within` seconds ago; where nothing runs or waits, as it was loaded.

        Raises:
            Unreachable, ApiError: as `load`.
        """
        with self._lock:
            if self._held is None:
                return self._ask(None)
            if not is_live(self._held) or self._clock() - self._asked_at < within:
                return self._held
            return self._ask(self._held)

    def _ask(self, held: LineageOut | None) -> LineageOut:
        self._asked_at = self._clock()
        since = None if held is None else held.cursor
        try:
            reply = api.client().lineage(run=self._run, pipeline=self._pipeline, limit=self._limit, since=since)
            joined_reply = reply if held is None else joined(held, reply)
            if joined_reply is None:
                return self._ask(None)
            self.away = None
        except (Unreachable, ApiError) as error:
            if self._held is None or not _passes(error):
                self._held = None
                raise
            self.away, joined_reply = error, self._held
        if self._held is None or joined_reply.nodes != self._held.nodes or joined_reply.outside != self._held.outside:
            self.version += 1
        self._held = joined_reply
        return joined_reply


def joined(held: LineageOut, moved: LineageOut) -> LineageOut | None:
    """A lineage with what has moved since; None where runs have gone, which nobody tells: all is to be asked for."""
    if moved.cursor < held.cursor:
        return None
    nodes = {node.run_id: node for node in held.nodes} | {node.run_id: node for node in moved.nodes}
    if held.total + len(nodes) - len(held.nodes) != moved.total:
        return None
    outside = {one.id: one for one in held.outside} | {one.id: one for one in moved.outside}
    return moved.model_copy(
        update={"nodes": [nodes[number] for number in sorted(nodes)], "outside": list(outside.values())}
    )


def is_live(lineage: LineageOut) -> bool:
    """Whether some run can still change by itself."""
    return any(node.status not in RUN_ENDED for node in lineage.nodes)


def _passes(error: Unreachable | ApiError) -> bool:
    """Whether the fault is the backend's, and what was known before still holds."""
    return isinstance(error, Unreachable) or error.problem.status >= _FAULT
