"""How many requests are worked on at once: the rest wait here, where waiting costs no thread and no connection.

A hundred open pages ask at the same moment. Python works on them one after the other anyway, so a few threads
serve them as fast as many, and the threads that are left answer at once what can't wait: a stop, a heartbeat.
Pages that ask the same question at the same time get the same reply.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.http.problems import busy

READS = 4  # replies that are made at once
FILES = 2  # uploads, checks of rows and of checkpoints, which take minutes
STREAMS = 20  # that are followed at once
EXPORTS = 2  # files that are written out row by row, as fast as their readers take them
CHANGES = 8  # submissions and the like, which may wait for files, Redis or the hub
PATIENCE = 10.0  # seconds that a request waits for its turn before it is told to come again
MOST_WAITING = 2000  # requests of one lane; more are told to come again at once
_URGENT = ("/stop", "/pause")
_OF_FILES = re.compile(r"/api/v1/(data-sets|checkpoints|try/[^/]+/data-set$)")
_Key = tuple[str, bytes]


class Lane:
    """Lets a few in at once.

    Args:
        width: how many.
        patience: seconds until one that waits is turned away.
    """

    def __init__(self, width: int, patience: float = PATIENCE) -> None:
        self._places = asyncio.Semaphore(width)
        self._patience = patience
        self._waiting = 0

    async def enter(self) -> bool:
        """Wait for a place; False where none came free in time. One that got a place leaves it with `leave`."""
        if self._waiting >= MOST_WAITING:
            return False
        self._waiting += 1
        try:
            await asyncio.wait_for(self._places.acquire(), self._patience)
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True

    def leave(self) -> None:
        """Give the place to the next."""
        self._places.release()


@dataclass
class _Reply:
    """A reply that is being made, for all who ask for it meanwhile."""

    commits: int
    begun: bool = False
    messages: list[Message] = field(default_factory=list)


class Lanes:
    """Takes requests in turn.

    Args:
        app: what answers.
        commits: how many transactions the database has committed. A reply that was begun before the last one is not
            given to a request that came after it: whoever changes something sees the change.
        patience: seconds until a request that waits is turned away.
    """

    def __init__(self, app: ASGIApp, commits: Callable[[], int], *, patience: float = PATIENCE) -> None:
        self._app = app
        self._commits = commits
        self._reads = Lane(READS, patience)
        self._changes = Lane(CHANGES, patience)
        self._files = Lane(FILES, patience)
        self._exports = Lane(EXPORTS, patience)
        self._streams = Lane(STREAMS, patience)
        self._replies: dict[_Key, tuple[_Reply, asyncio.Task[None]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or say when to come again."""
        if scope["type"] != "http" or _is_urgent(scope):
            await self._app(scope, receive, send)
        elif scope["method"] == "GET" and scope["path"].endswith("/export"):  # not shared: nobody holds it as a whole
            await _take_turn(self._exports, self._app, scope, receive, send)
        elif scope["method"] == "GET" and scope["path"].endswith("/stream"):  # lasts as long as what is followed
            await _take_turn(self._streams, self._app, scope, receive, send)
        elif scope["method"] == "GET":
            await self._share(scope, send)
        else:
            reads_files = scope["method"] == "POST" and _OF_FILES.match(scope["path"]) is not None
            lane = self._files if reads_files else self._changes
            await _take_turn(lane, self._app, scope, receive, send)

    async def _share(self, scope: Scope, send: Send) -> None:
        key = scope["path"], scope["query_string"]
        reply, task = self._replies.get(key, (None, None))
        if reply is None or task is None or (reply.begun and reply.commits != self._commits()):
            reply = _Reply(self._commits())
            # a task of its own: whoever asked first may hang up, and others still wait for the reply
            task = asyncio.create_task(self._make(scope, reply))
            self._replies[key] = reply, task
            task.add_done_callback(lambda done: self._forget(key, done))
        await asyncio.shield(task)
        for message in reply.messages:
            await send(dict(message))

    async def _make(self, scope: Scope, reply: _Reply) -> None:
        async def keep(message: Message) -> None:
            reply.messages.append(message)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            reply.begun, reply.commits = True, self._commits()
            await self._app(scope, receive, send)

        await _take_turn(self._reads, app, dict(scope), _no_body, keep)

    def _forget(self, key: _Key, done: asyncio.Task[None]) -> None:
        if self._replies.get(key, (None, None))[1] is done:
            del self._replies[key]
        if not done.cancelled():
            done.exception()  # those who wait get it; reading it here keeps asyncio from warning where nobody does


async def _take_turn(lane: Lane, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    if not await lane.enter():
        await busy()(scope, receive, send)
        return
    try:
        await app(scope, receive, send)
    finally:
        lane.leave()


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _is_urgent(scope: Scope) -> bool:
    """What must be answered while hundreds wait: reports of runs under way, a stop, and whether we live."""
    path: str = scope["path"]
    return "/worker/" in path or path.endswith(("/health", *_URGENT))
