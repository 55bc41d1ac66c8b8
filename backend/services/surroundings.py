"""What a reply about a run depends on beside the database, looked at once per request."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Surroundings:
    """Time, broker and disk."""

    at: float
    """Seconds since 1970."""
    broker: str
    """`ok`, or why Redis can't be reached."""
    free_disk: int
    """Bytes free on the disk of the home folder."""
