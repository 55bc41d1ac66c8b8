"""Login sessions without a store: a signed end time in a cookie, and a brake on guessing."""

import hashlib
import hmac
from collections import deque
from collections.abc import Callable

SESSION_SECONDS = 30 * 24 * 3600
COOKIE = "memgen_session"


class Sessions:
    """Makes and checks session cookies.

    The key comes from the token: a restart of the dashboard logs nobody out, a new token everybody.

    Args:
        token: what users type in to log in.
        clock: seconds since 1970.
    """

    def __init__(self, token: str, clock: Callable[[], float]) -> None:
        self._token = token.encode()
        self._key = hmac.digest(self._token, b"memgen dashboard session", "sha256")
        self._clock = clock

    def token_is_right(self, candidate: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(candidate.strip().encode(), self._token)

    def new_cookie(self) -> str:
        """A cookie value that is good for 30 days."""
        end = str(int(self._clock()) + SESSION_SECONDS)
        return f"{end}.{self._signature(end)}"

    def cookie_is_good(self, value: str) -> bool:
        """Whether the value was made here, for this token, and has not ended."""
        end, _, signature = value.partition(".")
        # signature first: the end of a forged cookie is never read
        if not hmac.compare_digest(signature.encode(), self._signature(end).encode()):
            return False
        return end.isdecimal() and int(end) > self._clock()

    def _signature(self, end: str) -> str:
        return hmac.new(self._key, end.encode(), hashlib.sha256).hexdigest()


class Brake:
    """At most `limit` wrong tries from one address within `seconds`.

    Args:
        clock: seconds, rising.
    """

    def __init__(self, clock: Callable[[], float], *, limit: int = 10, seconds: float = 60.0) -> None:
        self._clock, self._limit, self._seconds = clock, limit, seconds
        self._wrong: dict[str, deque[float]] = {}

    def seconds_to_wait(self, address: str) -> float:
        """0 if the address may try now."""
        tries = self._recent(address)
        return tries[0] + self._seconds - self._clock() if len(tries) >= self._limit else 0.0

    def wrong(self, address: str) -> None:
        """Note a wrong try."""
        self._recent(address).append(self._clock())

    def _recent(self, address: str) -> deque[float]:
        if len(self._wrong) > 10_000:  # a scan from many addresses must not fill the memory
            self._wrong = {key: tries for key, tries in self._wrong.items() if self._drop_old(tries)}
        tries = self._wrong.setdefault(address, deque())
        self._drop_old(tries)
        return tries

    def _drop_old(self, tries: deque[float]) -> deque[float]:
        while tries and tries[0] <= self._clock() - self._seconds:
            tries.popleft()
        return tries
