"""The house: its front page, workers, and the queue."""

from backend.api import schemas as s
from backend.api.connection import Connection


class HouseCalls(Connection):
    """The house: its front page, workers, and the queue."""

    def home(self) -> s.HomeOut:
        """What runs, what needs attention, what waits, what came out, what is free."""
        return self._get("/home", s.HomeOut)

    def workers(self) -> s.WorkerList:
        """Workers and their slots."""
        return self._get("/workers", s.WorkerList)

    def drain(self, host: str, slot: str | None = None) -> s.WorkerList:
        """Give a machine, or one of its slots, nothing new; it finishes what it has."""
        return self._post("/workers/drain", s.WorkerList, {"host": host, "slot": slot, "drained": True})

    def undrain(self, host: str, slot: str | None = None) -> s.WorkerList:
        """Give a machine with all its slots, or one slot, work again."""
        return self._post("/workers/drain", s.WorkerList, {"host": host, "slot": slot, "drained": False})

    def queue(self, *, limit: int | None = None) -> s.QueueOut:
        """Queued runs in their order; the first, or all."""
        return self._get("/queue", s.QueueOut, limit=limit)

    def pause_queue(self, paused: bool) -> s.QueueOut:
        """Pause or resume the queue; running runs go on."""
        return self._post("/queue/pause", s.QueueOut, {"paused": paused})
