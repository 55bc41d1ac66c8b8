"""What happens to a wrong token on the API: its answer is late, and the log says where it came from.

A right token is not looked at here, so it passes at once, whatever else comes in.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable

from backend.errors import Unauthorized
from backend.http.problems import RequestRefused
from backend.serving.brake import Brake, WrongTryLines

log = logging.getLogger(__name__)


class TooManyWrongTokens(RequestRefused):
    """More wrong tokens at once than are answered one by one."""

    status = 429

    def __init__(self, seconds: float) -> None:
        self.retry_after = math.ceil(seconds)
        super().__init__(
            "too_many_wrong_tokens",
            "too many wrong tokens come from this address, or from all together",
            field="Authorization",
            way_out=f"Wait {self.retry_after} s. The right token passes at any time.",
        )


class WrongTokens:
    """Holds the answers to wrong tokens back; one per application, asked on its event loop.

    Args:
        brake: places for them.
        clock: seconds that only grow.
        sleep: holds an answer back.
    """

    def __init__(
        self,
        brake: Brake | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._brake = brake or Brake(clock)
        self._lines = WrongTryLines(clock)
        self._sleep = sleep

    async def hold(self, address: str, error: Unauthorized) -> Unauthorized | TooManyWrongTokens:
        """What to answer, after the time for which it is held back; a request without a token is no guess."""
        if error.code != "wrong_token":
            return error
        line = self._lines.line(address)
        if line:
            log.warning("API: %s", line)
        wait = self._brake.seconds_until_free(address)
        if wait > 0:
            return TooManyWrongTokens(wait)
        await self._sleep(self._brake.wrong(address))
        return error
