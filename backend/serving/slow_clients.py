"""A server's end of a connection that ends when the client dawdles: uvicorn alone waits for ever.

The body of a request has its limit in `backend.http.doors`.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""Within which the head of a request must be there, from its first byte or from the start of the connection."""
REPLY_SECONDS = 30.0
"""Within which a client takes something of a reply that is too long for the network's own buffers."""
MOST_CONNECTIONS = 800
"""Of one server; a process may open 1,024 files where nobody raises the limit."""


class PatientProtocol(H11Protocol):
    """Speaks HTTP with one client, and hangs up on one that sends no whole head of a request or takes no reply."""

    head_seconds = HEAD_SECONDS
    reply_seconds = REPLY_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The client has connected; the first head is due."""
        self._due: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Bytes have come: a head is complete, or still due."""
        super().data_received(data)
        answered = self.cycle is None or self.cycle.response_complete
        if answered and self.transport.get_protocol() is self:
            self._expect_head()
        else:
            self._head_is_there()

    def on_response_complete(self) -> None:
        """The reply is out; from here on the keep-alive time counts until the next head begins."""
        self._head_is_there()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._head_is_there()
        self._stop_watching()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client takes less than we have for it."""
        super().pause_writing()
        self._watch_reply(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The client has taken nearly all."""
        self._stop_watching()
        super().resume_writing()

    def _watch_reply(self, left: int) -> None:
        self._watch = self.loop.call_later(self.reply_seconds, self._look_at_reply, left)

    def _look_at_reply(self, left_before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < left_before:
            self._watch_reply(left)
        else:
            self.transport.abort()

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _expect_head(self) -> None:
        if self._due is None:
            self._due = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _head_is_there(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


def server_options() -> dict[str, Any]:
    """What both of our servers tell uvicorn about clients."""
    return {"http": PatientProtocol, "limit_concurrency": MOST_CONNECTIONS}
