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
    """Bytes of the disk of the home folder that are free and that no run under way may still write."""
