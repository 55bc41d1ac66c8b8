"""What workers and supervisors tell."""

from typing import Literal

from backend.api import schemas as s
from backend.api.connection import Connection

Stream = Literal["log", "events", "answers", "rollouts"]


class WorkCalls(Connection):
    """What workers and supervisors tell."""

    def announce(self, announce: s.Announce) -> s.AnnounceReply:
        """Say that a worker is alive; the reply says when to say so again."""
        return self._post("/worker/announce", s.AnnounceReply, announce.model_dump(mode="json"))

    def look(self, request: s.ClaimRequest) -> s.LookReply:
        """Whether a claim would get something now."""
        return self._post("/worker/look", s.LookReply, request.model_dump(mode="json"))

    def claim(self, request: s.ClaimRequest) -> s.ClaimReply:
        """Ask for work."""
        return self._post("/worker/claim", s.ClaimReply, request.model_dump(mode="json"))

    def heartbeat(self, attempt_id: int) -> s.HeartbeatReply:
        """Extend the lease of an attempt."""
        return self._post(f"/worker/attempts/{attempt_id}/heartbeat", s.HeartbeatReply, {})

    def send_stream(self, attempt_id: int, stream: Stream, offset: int, data: bytes) -> int:
        """Send bytes of an attempt's file that start at `offset`; returns the offset after them."""
        reply = self._send(
            "POST",
            f"/worker/attempts/{attempt_id}/{stream}",
            params={"offset": offset},
            content=data,
            headers={"Content-Type": "application/octet-stream"},
        )
        return s.StreamReply.model_validate(reply.json()).offset

    def finish(self, attempt_id: int, request: s.FinishRequest) -> s.FinishReply:
        """End an attempt."""
        return self._post(f"/worker/attempts/{attempt_id}/finish", s.FinishReply, request.model_dump(mode="json"))
