"""Clocks of other machines against ours. A lease, an age and the time of a point never depend on theirs."""

TOLERANCE = 5.0
"""Seconds: clocks that differ by less count as the same, as what they say is some time on its way."""


def seconds_ahead(clock: float | None, at: float, before: float = 0.0) -> float:
    """By how much a machine's clock is ahead of ours; negative where it is behind.

    Args:
        clock: what it said when the machine spoke; None where the machine did not say.
        at: seconds since 1970 by our clock, as it was heard.
        before: what was known; it stands until the clock differs from it, too, so that times of one run fit together.
    """
    if clock is None or abs(clock - at - before) <= TOLERANCE:
        return before
    measured = clock - at
    return measured if abs(measured) > TOLERANCE else 0.0


def by_ours(time: float, ahead: float, at: float) -> float:
    """A time that a machine wrote down, by our clock.

    Args:
        time: seconds since 1970 by the machine's clock.
        ahead: see `seconds_ahead`.
        at: seconds since 1970 by our clock; nothing was written down later.
    """
    return time if ahead == 0.0 else max(0.0, min(at, time - ahead))
