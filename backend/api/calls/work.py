"""What workers and supervisors tell."""

from collections.abc import Iterator, Mapping
from typing import Literal

from backend.api import schemas as s
from backend.api.connection import Connection
from memgen.contract.manifest import CheckpointReport

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

    def claim_job(self, job_id: int, request: s.ClaimRequest) -> s.ClaimedAttempt:
        """Ask for the attempt that a site's job is there for; the token is that of its ticket."""
        return self._post(f"/worker/jobs/{job_id}/claim", s.ClaimedAttempt, request.model_dump(mode="json"))

    def heartbeat(self, attempt_id: int) -> s.HeartbeatReply:
        """Extend the lease of an attempt."""
        return self._post(f"/worker/attempts/{attempt_id}/heartbeat", s.HeartbeatReply, {})

    def send_stream(
        self, attempt_id: int, stream: Stream, offset: int, data: bytes, *, clock: float | None = None
    ) -> int:
        """Send bytes of an attempt's file that start at `offset`; returns the offset after them.

        Args:
            attempt_id: of the attempt.
            stream: which file.
            offset: where the bytes start.
            data: the bytes.
            clock: seconds since 1970 by this machine's clock, which wrote the times of events.
        """
        params = {"offset": offset} | ({"clock": clock} if clock is not None else {})
        return self._send_bytes(f"/worker/attempts/{attempt_id}/{stream}", params, data)

    def start(self, attempt_id: int) -> CheckpointReport:
        """The checkpoint that an attempt starts from."""
        return self._get(f"/worker/attempts/{attempt_id}/start", s.StartReply).report

    def start_file(self, attempt_id: int, name: str, offset: int) -> Iterator[bytes]:
        """A file of that checkpoint from a byte on, piece by piece."""
        path = f"/worker/attempts/{attempt_id}/start/file"
        return self._pieces(path, headers={"Range": f"bytes={offset}-"}, name=name)

    def output(self, attempt_id: int) -> dict[str, int]:
        """Bytes of each file that have come of the checkpoint of an attempt."""
        return self._get(f"/worker/attempts/{attempt_id}/output", s.OutputReply).received

    def send_output(self, attempt_id: int, name: str, offset: int, data: bytes) -> int:
        """Send bytes of a file of the checkpoint that start at `offset`; returns the offset after them."""
        return self._send_bytes(f"/worker/attempts/{attempt_id}/output", {"name": name, "offset": offset}, data)

    def place_output(self, attempt_id: int, report: CheckpointReport) -> None:
        """All of it was sent: it becomes the checkpoint of the attempt."""
        body = report.model_dump(mode="json")
        self._post(f"/worker/attempts/{attempt_id}/output/place", s.OutputReply, body)

    def beat_session(self, session_id: int) -> s.SessionBeatReply:
        """Extend the lease of a session."""
        return self._post(f"/worker/sessions/{session_id}/heartbeat", s.SessionBeatReply, {})

    def send_session_events(self, session_id: int, offset: int, data: bytes) -> int:
        """Send bytes of a session's events file that start at `offset`; returns the offset after them."""
        reply = self._send(
            "POST",
            f"/worker/sessions/{session_id}/events",
            params={"offset": offset},
            content=data,
            headers={"Content-Type": "application/octet-stream"},
        )
        return s.StreamReply.model_validate(reply.json()).offset

    def finish_session(self, session_id: int, request: s.FinishRequest) -> s.FinishReply:
        """The trainer of a session has ended."""
        return self._post(f"/worker/sessions/{session_id}/finish", s.FinishReply, request.model_dump(mode="json"))

    def finish(self, attempt_id: int, request: s.FinishRequest) -> s.FinishReply:
        """End an attempt."""
        return self._post(f"/worker/attempts/{attempt_id}/finish", s.FinishReply, request.model_dump(mode="json"))

    def _send_bytes(self, path: str, params: Mapping[str, str | float], data: bytes) -> int:
        headers = {"Content-Type": "application/octet-stream"}
        reply = self._send("POST", path, params=dict(params), content=data, headers=headers)
        return s.StreamReply.model_validate(reply.json()).offset
