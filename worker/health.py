"""Whether a slot may work. One that fails takes itself out, is asked again at growing intervals, and comes back."""

import logging
import time
from collections.abc import Callable

from backend.api.schemas import Sickness
from memgen.contract.problem import Problem

LONGEST_PAUSE = 60  # times the first one: between two questions to a slot that stays sick

log = logging.getLogger(__name__)


class Health:
    """What is known of one slot.

    Args:
        name: of the slot, for the log.
        ask: why the slot can't work now; None where it can.
        first_pause: seconds until a slot that has failed is asked again; doubles each time, up to sixty times that.
        changed: called when it falls sick or is well again.
        clock: seconds that no clock change moves.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[], Problem | None],
        *,
        first_pause: float,
        changed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._ask = ask
        self._first_pause = first_pause
        self._changed = changed
        self._clock = clock
        self._reason: Problem | None = None
        self._since = 0.0
        self._due = 0.0
        self._bad_answers = self._failed_runs = 0

    @property
    def is_sick(self) -> bool:
        """Whether it takes no work."""
        return self._reason is not None

    def due_in(self) -> float | None:
        """Seconds until a sick slot is to be asked again; None while it is well."""
        return max(0.0, self._due - self._clock()) if self.is_sick else None

    def is_well(self) -> bool:
        """Ask it now."""
        reason = self._ask()
        if reason is not None:
            self._bad_answers += 1
            self._fail(reason)
        elif self.is_sick:
            log.warning("slot %s works again", self._name)
            self._reason = None
            self._bad_answers = 0
            self._changed()
        return reason is None

    def failed(self) -> None:
        """A run on it has ended through its GPU, whatever it answers now."""
        self._failed_runs += 1
        self._fail(
            Problem(
                code="card_failed",
                message="a run that worked on it ended through its GPU or driver",
                way_out="The run's page has the error; the slot is asked again by itself.",
            )
        )

    def worked(self) -> None:
        """A run on it has ended through nothing of the slot's: the next that fails counts as the first."""
        self._failed_runs = 0

    def sickness(self) -> Sickness | None:
        """What the backend is told."""
        reason, now = self._reason, self._clock()
        if reason is None:
            return None
        return Sickness(reason=reason, seconds=max(0.0, now - self._since), asked_again_in=max(0.0, self._due - now))

    def _fail(self, reason: Problem) -> None:
        now = self._clock()
        if not self.is_sick:
            self._since = now
        earlier = self._bad_answers + self._failed_runs - 1  # a card may answer well and fail under each run
        pause = self._first_pause * min(LONGEST_PAUSE, 2.0 ** min(earlier, 30))
        if self._reason is None or self._reason.message != reason.message:
            log.warning("slot %s takes no work: %s", self._name, reason)
        self._reason, self._due = reason, now + pause
        self._changed()
