"""Times of the database, seconds since 1970, as the API shows them."""

from datetime import UTC, datetime
from typing import overload


@overload
def when(seconds: float) -> datetime: ...
@overload
def when(seconds: float | None) -> datetime | None: ...
def when(seconds: float | None) -> datetime | None:
    """Seconds since 1970 as a time in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
