"""Bringing a trainer's files to the backend: by byte offset, again and again until all is there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from backend.client import ApiError, Client, Stream, Unreachable

PIECE = 2**20  # bytes of one report
MOST_PIECES = 16  # a look at one file ends after that many, so that beats are not late


class AttemptStale(Exception):
    """The backend no longer accepts reports of this attempt: its lease is gone."""


@dataclass
class _Tail:
    stream: Stream
    path: Callable[[], Path]
    whole_lines: bool
    offset: int = field(default=0)


class Reporter:
    """Tails log, events and answers of one attempt.

    Args:
        client: with the attempt's token.
        attempt_id: whose files they are.
        log, events, answers: the files; each may not exist yet.
    """

    def __init__(self, client: Client, attempt_id: int, *, log: Path, events: Path, answers: Path) -> None:
        self._client = client
        self._attempt_id = attempt_id
        self._tails = [
            _Tail("events", lambda: events, whole_lines=True),
            _Tail("answers", lambda: answers, whole_lines=True),
            _Tail("log", lambda: log, whole_lines=False),
        ]

    def report(self) -> bool:
        """Send what is new.

        Returns:
            Whether everything that the files held is with the backend now.

        Raises:
            AttemptStale: the lease is gone.
            Unreachable: the backend does not answer; what was not sent is sent next time.
        """
        done = [self._send(tail) for tail in self._tails]
        return all(done)

    def _send(self, tail: _Tail) -> bool:
        path = tail.path()
        if not path.exists():
            return True
        with path.open("rb") as file:
            for _ in range(MOST_PIECES):
                file.seek(tail.offset)
                data = file.read(PIECE)
                if tail.whole_lines:
                    data = _whole_lines(data, file)
                if not data:
                    return True
                tail.offset = self._deliver(tail, data)
        return False

    def _deliver(self, tail: _Tail, data: bytes) -> int:
        try:
            return self._client.send_stream(self._attempt_id, tail.stream, tail.offset, data)
        except ApiError as error:
            if error.code == "wrong_offset" and error.problem.value is not None:
                return int(error.problem.value)  # an answer was lost on its way: go on where the backend is
            raise stale_or(error) from error


def stale_or(error: ApiError) -> Exception:
    """`AttemptStale` if the backend has given the attempt up; else it failed itself, and the trainer goes on."""
    if error.code in {"stale_attempt", "wrong_token"}:
        return AttemptStale(str(error))
    return Unreachable("", error.code)


def _whole_lines(data: bytes, file: object) -> bytes:
    end = data.rfind(b"\n") + 1
    if end == 0 and len(data) == PIECE:
        rest = file.readline()  # type: ignore[attr-defined]
        return data + rest if rest.endswith(b"\n") else b""
    return data[:end]
