"""What a reply about a run depends on beside the database, looked at at most once per request."""

from collections.abc import Callable
from functools import cached_property

from backend.services.disk import SpareDisk
from backend.services.site_board import SiteBoard
from backend.store.models import Worker


class Surroundings:
    """Time, broker, disk and sites; broker and disk are asked when a reply first needs them.

    Args:
        at: seconds since 1970.
        broker: `ok`, or why Redis can't be reached.
        disk: of the home folder.
        alive_seconds: how long a worker counts as alive after its last announcement.
        board: what is known of the sites.
    """

    def __init__(
        self, at: float, broker: Callable[[], str], disk: SpareDisk, alive_seconds: float, board: SiteBoard
    ) -> None:
        self.at = at
        self._alive_seconds = alive_seconds
        self._ask_broker = broker
        self.disk = disk
        self.sites, self.site_troubles = board.sites, board.troubles

    @cached_property
    def broker(self) -> str:
        """`ok`, or why Redis can't be reached."""
        return self._ask_broker()

    def is_alive(self, worker: Worker) -> bool:
        """Whether the worker has been heard of lately."""
        return self.at - worker.last_seen < self._alive_seconds
