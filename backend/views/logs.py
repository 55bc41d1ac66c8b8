"""The log of an attempt, as the backend keeps it: a piece by its offset, or the lines that say something."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.errors import NotFound
from backend.store.models import Attempt
from memgen.contract.status import ATTEMPT_ENDED

SCANNED_BYTES = 8 * 2**20
"""Bytes that one search looks through at most; its caller goes on from there."""
LONGEST_LINE = 4000
"""Bytes of a line that are shown; a longer one counts as several."""
LEVELS: dict[s.LogLevel, re.Pattern[str]] = {
    "error": re.compile(
        r"^\s*(?:error|fatal)\b|\b(?:ERROR|CRITICAL|FATAL)\b"
        r"|^Traceback \(most recent|^[\w.]*(?:Error|Exception)\b(?::|$)"
    ),
    "warning": re.compile(r"^\s*warning\b|\bWARN(?:ING)?\b|\b\w*Warning:"),
}


@dataclass(frozen=True)
class Log:
    """The log of an attempt: where it lies and how much of it has been reported."""

    attempt: int
    path: Path
    size: int
    ended: bool


def log_of(session: Session, run_id: int, path_of: Callable[[int, int], Path], attempt: int | None) -> Log:
    """The log of an attempt, by default of the newest that has any.

    Raises:
        NotFound: `attempt_not_found`.
    """
    query = select(Attempt).where(col(Attempt.run_id) == run_id).order_by(col(Attempt.number).desc())
    rows = [row for row in session.exec(query) if attempt is None or row.number == attempt]
    if not rows:
        raise NotFound(
            "attempt_not_found",
            "the run has no such attempt",
            field="attempt",
            value=attempt,
            way_out=f"GET /api/v1/runs/{run_id} lists its attempts.",
        )
    # a run that waits for its next attempt shows the log of the last one that has any
    chosen = next((row for row in rows if row.log_offset), rows[0])
    path = path_of(run_id, chosen.number)
    size = min(chosen.log_offset, path.stat().st_size) if path.exists() else 0
    return Log(chosen.number, path, size, chosen.status in ATTEMPT_ENDED)


def piece(log: Log, *, offset: int | None, limit: int) -> s.LogOut:
    """A piece of a log; without an offset its end, from a line's start."""
    limit = max(limit, 4)  # the longest character must fit, or a reader would never get past it
    start = max(0, log.size - limit) if offset is None else min(max(0, offset), log.size)
    data = b""
    if log.size > start:
        with log.path.open("rb") as file:
            file.seek(start)
            data = file.read(min(limit, log.size - start))
    if offset is None and start > 0:
        cut = data.index(b"\n") + 1 if b"\n" in data else _continuation_bytes(data)
        start, data = start + cut, data[cut:]
    # a character that is not complete yet comes with the next piece
    held_back = 0 if start + len(data) == log.size and log.ended else _incomplete_tail(data)
    data = data[: len(data) - held_back]
    return s.LogOut(
        attempt=log.attempt,
        offset=start,
        next_offset=start + len(data),
        size=log.size,
        text=data.decode("utf-8", errors="replace"),
    )


def lines(log: Log, *, text: str | None, level: s.LogLevel | None, offset: int, limit: int) -> s.LogLines:
    """Lines that hold a text, whatever its case, and are of a level; one search reads a bounded part of the log."""
    wanted = text.casefold() if text else ""
    pattern = LEVELS[level] if level else None
    found: list[s.LogLine] = []
    place = min(offset, log.size)
    if place < log.size:
        with log.path.open("rb") as file:
            for start, line in _lines_from(file, place, min(log.size, place + SCANNED_BYTES)):
                place = start + len(line)
                shown = line.decode("utf-8", errors="replace").rstrip("\r\n")
                if wanted in shown.casefold() and (pattern is None or pattern.search(shown)):
                    found.append(s.LogLine(offset=start, text=shown))
                    if len(found) == limit:
                        break
    return s.LogLines(attempt=log.attempt, lines=found, next_offset=place, size=log.size)


def _lines_from(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Each line that begins at `start` or later and before `end`, with the offset of its first byte."""
    file.seek(start)
    while start < end and (line := file.readline(LONGEST_LINE)):
        yield start, line
        start += len(line)


def _continuation_bytes(data: bytes) -> int:
    """Bytes at the start that belong to a character before them: 0 to 3."""
    return next((n for n, byte in enumerate(data[:3]) if byte & 0xC0 != 0x80), min(3, len(data)))


def _incomplete_tail(data: bytes) -> int:
    """Bytes at the end that begin a UTF-8 character without finishing it: 0 to 3."""
    for back in range(1, min(4, len(data)) + 1):
        lead = data[-back]
        if lead & 0xC0 == 0x80:
            continue
        length = 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC0 else 1
        return back if length > back else 0
    return 0
