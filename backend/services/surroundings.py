"""What a reply about a run depends on beside the database, looked at at most once per request."""

from collections.abc import Callable
from functools import cached_property


class Surroundings:
    """Time, broker and disk; the last two are asked when a reply first needs them.

    Args:
        at: seconds since 1970.
        broker: `ok`, or why Redis can't be reached.
        free_disk: bytes of the disk of the home folder that are free and that no run under way may still write.
    """

    def __init__(self, at: float, broker: Callable[[], str], free_disk: Callable[[], int]) -> None:
        self.at = at
        self._ask_broker = broker
        self._ask_disk = free_disk

    @cached_property
    def broker(self) -> str:
        """`ok`, or why Redis can't be reached."""
        return self._ask_broker()

    @cached_property
    def free_disk(self) -> int:
        """Bytes that are free and that no run under way may still write."""
        return self._ask_disk()
