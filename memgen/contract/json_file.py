"""JSON that others wrote, one value in a file or one in each line: read within bounds, or refused with a sentence.

Nesting ends at about 200 levels, integers at 4,300 digits; half of a surrogate pair, which no file can hold again, is
refused; a byte order mark is skipped.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import from_json

MOST_BYTES = 2**20  # of a file with one value, or of one line
MARK = b"\xef\xbb\xbf"  # some editors put it at the start of a file in UTF-8


class Unreadable(ValueError):
    """What can't be read as JSON; the text is a phrase such as `it is no file`."""


def parse_json(data: bytes) -> Any:
    """The value that this text holds.

    Raises:
        Unreadable: it is no JSON in UTF-8, or nested too deep.
    """
    try:
        return from_json(data.removeprefix(MARK))
    except ValueError as error:
        reason = str(error).replace("recursion limit exceeded", "nested too deep")
        raise Unreadable(f"it is not JSON in UTF-8: {reason}") from None


def read_json(path: Path, most_bytes: int = MOST_BYTES) -> Any:
    """The value that a file holds.

    Raises:
        Unreadable: there is no such file, it can't be read, is too long, or holds no JSON.
    """
    try:
        if not path.is_file():  # a pipe or a device would never end
            raise Unreadable("it is no file" if path.exists() else "there is no such file")
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise Unreadable(f"it can't be read: {error.strerror}") from error
    if len(data) > most_bytes:
        raise Unreadable(f"it is longer than {most_bytes:,} bytes")
    return parse_json(data)


def read_object(path: Path, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """The object that a file holds.

    Raises:
        Unreadable: as `read_json`, or it holds no object.
    """
    data = read_json(path, most_bytes)
    if not isinstance(data, dict):
        raise Unreadable("it holds no JSON object")
    return data


def lines_of(data: bytes) -> list[bytes]:
    r"""The lines of a file of JSON lines; they end at `\n` alone, as texts in them may hold every other separator."""
    return data.split(b"\n")


def read_lines(path: Path, most_bytes: int = MOST_BYTES) -> Iterator[tuple[int, bytes]]:
    """The lines of a file of JSON lines that are not blank, each with its number from 1 on.

    A line longer than `most_bytes` comes cut to one byte more than that, so that its reader can refuse it.

    Raises:
        OSError: the file can't be read.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(most_bytes + 1):
            number += 1
            whole = line.removeprefix(MARK)  # joined files have it inside
            while len(line) > most_bytes and not line.endswith(b"\n"):
                line = file.readline(most_bytes + 1)
            if whole.strip():
                yield number, whole
