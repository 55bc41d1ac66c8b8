"""Many requests at the same moment, as when a lab comes back from lunch: how long the slowest takes, and who is hurt.

Spoken over bare sockets: a client library would take longer than the backend that is measured.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

ASKED = 200  # requests at once
LET_BEGIN = 0.1  # seconds until something urgent comes into a burst
PATIENCE = 120.0  # seconds


@dataclass(frozen=True)
class Request:
    """One request as it is sent."""

    method: str
    path: str
    token: str = ""
    body: bytes = b""


@dataclass
class Burst:
    """What became of requests that were sent at once."""

    seconds: list[float] = field(default_factory=list)
    """Of each, from connecting to the last byte of its reply."""
    statuses: Counter[int] = field(default_factory=Counter)
    """0 counts those that got no reply."""
    urgent: list[tuple[int, float]] = field(default_factory=list)
    """Status and seconds of each request that came in meanwhile."""

    @property
    def slowest(self) -> float:
        """Seconds."""
        return max(self.seconds)


def burst(port: int, requests: Sequence[Request], urgent: Sequence[Request] = ()) -> Burst:
    """Send requests at once, and some moments later urgent ones one after the other.

    Args:
        port: of a server on loopback.
        requests: sent at once.
        urgent: what must not wait for them.
    """

    async def send() -> Burst:
        replies = asyncio.gather(*(ask(port, request) for request in requests))
        await asyncio.sleep(LET_BEGIN)
        answered = [await ask(port, request) for request in urgent]
        done = await replies
        return Burst([seconds for _, seconds in done], Counter(status for status, _ in done), answered)

    return asyncio.run(send())


def bursts(
    port: int, routes: Mapping[str, Callable[[int], Request]], urgent: Callable[[], Sequence[Request]]
) -> dict[str, Burst]:
    """A burst on each route; every request of one gets a number, so that it may differ from the others."""
    return {name: burst(port, [make(n) for n in range(ASKED)], urgent()) for name, make in routes.items()}


async def ask(port: int, request: Request) -> tuple[int, float]:
    """Send one request; returns the status of its reply, or 0, and the seconds that it took."""
    began = time.perf_counter()
    try:
        status = await asyncio.wait_for(_spoken(port, request), PATIENCE)
    except (OSError, TimeoutError, ValueError, IndexError):
        status = 0
    return status, time.perf_counter() - began


async def _spoken(port: int, request: Request) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = (
            f"{request.method} {request.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {request.token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(request.body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + request.body)
        await writer.drain()
        reply = await reader.read()
        return int(reply.split(b" ", 2)[1])
    finally:
        writer.close()
