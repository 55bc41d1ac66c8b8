"""A brake on guessing tokens: a wrong try is answered late, and only a few tries at once are compared at all.

Used by the API and by the dashboard's login, each with a brake of its own. It locks nobody out for
long: the place that a wrong try takes is free again after some seconds.
"""

import ipaddress
from collections import Counter, deque
from collections.abc import Callable

HOLD_SECONDS = 2.0
PER_ADDRESS, OVERALL = 3, 30


class Brake:
    """Places for wrong tries: few per address and few overall, each taken for some seconds.

    Not for several threads at once: it is asked on the event loop.

    Args:
        clock: seconds that only grow.
        seconds: how long the answer to a wrong try is held back, and its place taken.
        per_address: wrong tries of one address that may wait for their answer.
        overall: the same for all addresses together; as much is remembered, never more.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        seconds: float = HOLD_SECONDS,
        per_address: int = PER_ADDRESS,
        overall: int = OVERALL,
    ) -> None:
        self._clock, self._seconds = clock, seconds
        self._per_address, self._overall = per_address, overall
        self._taken: deque[tuple[float, str]] = deque()  # end and address, oldest first
        self._of_address: Counter[str] = Counter()

    def seconds_until_free(self, address: str) -> float:
        """0 if a try of this address finds a place now."""
        now, group = self._clock(), address_group(address)
        while self._taken and self._taken[0][0] <= now:
            _, gone = self._taken.popleft()
            self._of_address[gone] -= 1
            if not self._of_address[gone]:
                del self._of_address[gone]
        ends = [self._taken[0][0]] if len(self._taken) >= self._overall else []
        if self._of_address[group] >= self._per_address:
            ends.append(next(end for end, other in self._taken if other == group))
        return max((end - now for end in ends), default=0.0)

    def wrong(self, address: str) -> float:
        """Take a place for a wrong try; the seconds for which its answer is to be held back.

        Ask `seconds_until_free` first: without a free place there is nothing to take and nothing to hold.
        """
        if self._seconds <= 0 or self.seconds_until_free(address) > 0:
            return 0.0
        group = address_group(address)
        self._taken.append((self._clock() + self._seconds, group))
        self._of_address[group] += 1
        return self._seconds


class WrongTryLines:
    """Lines for a log: one now and then, which counts the wrong tries since the last one.

    Args:
        clock: seconds that only grow.
        seconds: between two lines.
    """

    def __init__(self, clock: Callable[[], float], *, seconds: float = 10.0) -> None:
        self._clock, self._seconds = clock, seconds
        self._next_at: float | None = None
        self._unsaid = 0

    def line(self, address: str) -> str | None:
        """What to log about a wrong try from this address; None where a line was written just now."""
        now = self._clock()
        if self._next_at is not None and now < self._next_at:
            self._unsaid += 1
            return None
        more = f" ({self._unsaid} more wrong tries since the last such line)" if self._unsaid else ""
        self._next_at, self._unsaid = now + self._seconds, 0
        return f"wrong token from {address[:64]!r}{more}"


def address_group(address: str) -> str:
    """What counts as one address: of IPv6 a network of 64 bits, since whoever has one address there has them all."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
