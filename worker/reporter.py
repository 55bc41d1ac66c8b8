"""Bringing a trainer's files to the backend: by byte offset, again and again until all is there."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, Self

from backend.api.client import ApiError, Client, Unreachable
from memgen.contract.plain_file import open_plain

PIECE = 2**20  # bytes of one report
MOST_PIECES = 16  # a look at one file ends after that many, so that beats are not late
LONGEST_LINE = 4 * 2**20  # bytes; the backend takes lines whole and reports of twice that
MOST_BYTES = 2 * 2**30  # of one file that are reported: a file with a hole may claim any size
REFUSED = frozenset({400, 413, 415, 422})  # the backend will not take this, however often it is asked

log = logging.getLogger(__name__)


class AttemptStale(Exception):
    """The backend no longer accepts reports of this attempt: its lease is gone."""


class NotTaken(Unreachable):
    """The backend answers, but can't take a report now: it is sent again, as to a backend that is away."""

    def __init__(self, error: ApiError) -> None:
        Exception.__init__(self, f"The backend can't take a report now ({error.code}): {error}")
        self.url = ""


@dataclass
class _Tail:
    send: Callable[[int, bytes], int]
    """Sends bytes that start at an offset; returns the offset after them."""
    path: Path
    whole_lines: bool
    offset: int = field(default=0)
    problem: str | None = None
    """Why the file can't be reported now."""


class Reporter:
    """Tails log, events, answers and rollouts of one attempt, or the events of a session.

    Args:
        client: with the attempt's token.
        attempt_id: whose files they are.
        log, events, answers, rollouts: the files; each may not exist yet.
        clock: seconds since 1970, of this machine.
    """

    _tails: list[_Tail]

    def __init__(
        self,
        client: Client,
        attempt_id: int,
        *,
        log: Path,
        events: Path,
        answers: Path,
        rollouts: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        send = partial(client.send_stream, attempt_id)
        self._tails = [
            _Tail(lambda offset, data: send("events", offset, data, clock=clock()), events, whole_lines=True),
            _Tail(partial(send, "answers"), answers, whole_lines=True),
            _Tail(partial(send, "rollouts"), rollouts, whole_lines=True),
            _Tail(partial(send, "log"), log, whole_lines=False),
        ]

    @classmethod
    def of_session(cls, client: Client, session_id: int, events: Path) -> Self:
        """Tails the events of a session."""
        one = cls.__new__(cls)
        one._tails = [_Tail(partial(client.send_session_events, session_id), events, whole_lines=True)]
        return one

    def report(self) -> bool:
        """Send what is new.

        Returns:
            Whether everything that the files held, and that can be reported, is with the backend now.

        Raises:
            AttemptStale: the lease is gone.
            Unreachable: the backend does not answer; what was not sent is sent next time.
        """
        done = [self._send(tail) for tail in self._tails]
        return all(done)

    def problems(self) -> list[str]:
        """What could not be reported at the last look, in one sentence each."""
        return [tail.problem for tail in self._tails if tail.problem is not None]

    def _send(self, tail: _Tail) -> bool:
        try:
            with open_plain(tail.path) as file:
                done = self._send_from(file, tail)
        except FileNotFoundError:
            tail.problem = None  # it may come yet; what must be there at the end is the verdict's business
            return True
        except (OSError, _Unsendable) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            problem = f"{tail.path.name} can't be reported: {reason}"
            if problem != tail.problem:
                log.warning("%s", problem)
            tail.problem = problem
            return True
        tail.problem = None
        return done

    def _send_from(self, file: BinaryIO, tail: _Tail) -> bool:
        for _ in range(MOST_PIECES):
            if tail.offset >= MOST_BYTES:
                return True
            file.seek(tail.offset)
            data = file.read(PIECE)
            if tail.whole_lines:
                data = _whole_lines(data, file)
            if not data:
                return True
            before, tail.offset = tail.offset, self._deliver(tail, data)
            if tail.offset == before:
                raise _Unsendable("the backend takes none of it")
        return False

    def _deliver(self, tail: _Tail, data: bytes) -> int:
        try:
            return tail.send(tail.offset, data)
        except ApiError as error:
            if error.code == "wrong_offset" and error.problem.value is not None:
                return int(error.problem.value)  # an answer was lost on its way: go on where the backend is
            if error.problem.status in REFUSED:
                raise _Unsendable(f"the backend refuses it: {error}") from error
            raise stale_or(error) from error


def stale_or(error: ApiError) -> Exception:
    """`AttemptStale` if the backend has given the attempt up; else it failed itself, and the trainer goes on."""
    if error.code in {"stale_attempt", "wrong_token"}:
        return AttemptStale(str(error))
    return NotTaken(error)


class _Unsendable(Exception):
    """A file whose content can't be reported."""


def _whole_lines(data: bytes, file: BinaryIO) -> bytes:
    end = data.rfind(b"\n") + 1
    if end == 0 and len(data) == PIECE:
        rest = file.readline(LONGEST_LINE)
        if len(rest) == LONGEST_LINE and not rest.endswith(b"\n"):
            raise _Unsendable(f"a line is longer than {LONGEST_LINE // 2**20} MB")
        return data + rest if rest.endswith(b"\n") else b""
    return data[:end]
