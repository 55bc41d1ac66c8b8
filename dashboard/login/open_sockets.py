"""WebSockets of logged-in browsers: they end with their session."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY_VIOLATION = 1008


class OpenSockets:
    """The WebSockets that are open, by session.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._of_session: dict[str, set[asyncio.Event]] = {}

    def close(self, session_id: str) -> None:
        """Close all WebSockets of a session."""
        for over in self._of_session.pop(session_id, ()):
            over.set()

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, session_id: str, end: int) -> None:
        """Let the application serve a WebSocket until it closes, its session is closed, or its end has come.

        Args:
            app: what serves it.
            scope, receive, send: the WebSocket.
            session_id: of the cookie that opened it.
            end: of the session, seconds since 1970.
        """
        over = asyncio.Event()
        self._of_session.setdefault(session_id, set()).add(over)

        async def receive_until_over() -> Message:
            message = None if over.is_set() else await _first(receive, over, max(0.0, end - self._clock()))
            if message is not None:
                return message
            over.set()
            with suppress(Exception):  # the browser may be gone already
                await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "logged out"})
            return {"type": "websocket.disconnect", "code": POLICY_VIOLATION, "reason": "logged out"}

        async def send_until_over(message: Message) -> None:
            if over.is_set():
                raise OSError("the session has ended")  # what a server raises where the browser is gone
            await send(message)

        try:
            await app(scope, receive_until_over, send_until_over)
        finally:
            others = self._of_session.get(session_id, set())
            others.discard(over)
            if not others:
                self._of_session.pop(session_id, None)


async def _first(receive: Receive, over: asyncio.Event, seconds: float) -> Message | None:
    """The next message; None where the event came first, or nothing came in time."""
    incoming, ended = asyncio.ensure_future(receive()), asyncio.ensure_future(over.wait())
    try:
        await asyncio.wait({incoming, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return incoming.result() if incoming.done() and not over.is_set() else None
    finally:
        for task in (incoming, ended):
            task.cancel()
