"""Bounds of the numbers and texts that a trainer says: each can be stored, sent as JSON and shown.

Numbers out of bounds are refused; texts are cut, and what UTF-8 can't carry is replaced.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

LARGEST_WHOLE = 2**53 - 1  # every reader of JSON has it exactly, and SQLite holds it
LARGEST_TIME = 32_503_680_000.0  # the year 3000, in seconds since 1970

Whole = Annotated[int, Field(ge=0, le=LARGEST_WHOLE)]
"""A count, a step, an index."""
Finite = Annotated[float, Field(allow_inf_nan=False)]
"""Any number but NaN and the infinite ones."""
Amount = Annotated[float, Field(ge=0, le=LARGEST_WHOLE, allow_inf_nan=False)]
"""So much of something, e.g. bytes or seconds."""
Time = Annotated[float, Field(ge=0, le=LARGEST_TIME, allow_inf_nan=False)]
"""Seconds since 1970, UTC."""


def sendable(text: str) -> str:
    """The text as UTF-8 can carry it: file names and JSON may bring half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()


def cut_at(length: int) -> BeforeValidator:
    """Cuts a text at so many characters, and makes it sendable; what is no text is left to the type."""

    def cut(value: Any) -> Any:
        return sendable(value[:length]) if isinstance(value, str) else value

    return BeforeValidator(cut)


Word = Annotated[str, cut_at(200)]
"""A code, a unit, the name of a phase."""
Line = Annotated[str, cut_at(2_000)]
"""A sentence or a path."""
Paragraph = Annotated[str, cut_at(20_000)]
"""A long message, a traceback."""
