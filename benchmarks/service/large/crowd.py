"""Workers that report and tabs that poll, in a process of its own: it must not slow down the clients that measure.

Spoken over bare connections that are kept, as supervisors and dashboard keep theirs: a client library would take longer
than the backend that is measured.
"""

import asyncio
import json
import multiprocessing
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from backend.api.client import API
from benchmarks.service.large.plan import ANNOUNCE_SECONDS, BEAT_SECONDS, STEP_SECONDS, TABS
from benchmarks.service.plan import percentile

PATIENCE = 60.0  # seconds that a request may take
WRONG_OFFSET = "wrong_offset"
Reply = tuple[int, dict[str, Any]]
"""Its status, 0 for none, and what it says."""
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
NAMES = ("train/loss", "train/grad_norm", "train/learning_rate", "train/step_seconds", "system/gpu_memory")


@dataclass(frozen=True)
class Hired:
    """A worker with the attempt that it works on."""

    attempt_id: int
    run_id: int
    token: str
    announcement: str
    """JSON of its sign of life."""


@dataclass(frozen=True)
class Crowd:
    """Who is there."""

    port: int
    user_token: str
    worker_token: str
    workers: Sequence[Hired]
    tabs: int
    running: Sequence[int]
    """Runs that tabs look at."""


@dataclass
class Told:
    """What became of the crowd's requests, by kind: `beat`, `report`, `announce`, `tab`."""

    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter[str] = field(default_factory=Counter)
    """By kind and status; 0 got no reply."""
    lasted: float = 0.0

    def figures(self) -> dict[str, float]:
        """95th percentiles, requests per second, and how many were refused."""
        figures = {f"{kind}_p95": percentile(taken) for kind, taken in self.seconds.items()}
        figures["requests_per_second"] = sum(map(len, self.seconds.values())) / self.lasted
        figures["refused"] = float(sum(self.refused.values()))
        return figures


@contextmanager
def beside(crowd: Crowd) -> Iterator[Callable[[], Told]]:
    """A crowd that is busy while the block runs; yields what tells of it once the block has ended."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_run, args=(crowd, theirs), daemon=True)
    process.start()
    theirs.close()  # if it ends, this side hears of it
    ours.recv()  # it is there
    told: list[Told] = []
    try:
        yield lambda: told[0]
    finally:
        ours.send("over")
        if ours.poll(PATIENCE):
            told.append(ours.recv())
        process.kill()  # with what it still waits for
        process.join()


def _run(crowd: Crowd, pipe: Connection) -> None:
    pipe.send("there")
    asyncio.run(_live(crowd, pipe))


async def _live(crowd: Crowd, pipe: Connection) -> None:
    told, began = Told(), time.perf_counter()
    everybody = [asyncio.create_task(one) for one in (*_workers(crowd, told), *_tabs(crowd, told))]
    while not pipe.poll():
        await asyncio.sleep(0.1)
    told.lasted = time.perf_counter() - began
    pipe.send(told)
    await asyncio.gather(*everybody)  # until it is killed


def _workers(crowd: Crowd, told: Told) -> Iterator[Coroutine[Any, Any, None]]:
    """A supervisor that beats and one that reports, of one attempt, and its worker's signs of life."""
    for number, one in enumerate(crowd.workers):
        share = number / len(crowd.workers)
        yield _beat(Line(crowd.port, one.token, told), one, share)
        yield _report(Line(crowd.port, one.token, told), one, share)
        yield _announce(Line(crowd.port, crowd.worker_token, told), one, share)


async def _beat(line: "Line", one: Hired, share: float) -> None:
    async for _ in _every(BEAT_SECONDS, share):
        await line.ask("beat", "POST", f"/worker/attempts/{one.attempt_id}/heartbeat")


async def _announce(line: "Line", one: Hired, share: float) -> None:
    async for _ in _every(ANNOUNCE_SECONDS, share):
        await line.ask("announce", "POST", "/worker/announce", one.announcement.encode())


async def _report(line: "Line", one: Hired, share: float) -> None:
    """A step each time: its numbers, and a line of the log. Goes on where an earlier crowd has ended."""
    ends = {"events": 0, "log": 0}
    first = int(time.time())
    async for number in _every(STEP_SECONDS, share):
        step = first + number
        events = [{"event": "metric", "name": name, "step": step, "value": 1 / (number + 1)} for name in NAMES]
        events.append({"event": "progress", "done": number + 1, "total": 10**6, "unit": "steps"})
        lines = "".join(json.dumps({"time": time.time(), **event}) + "\n" for event in events)
        for stream, data in (("events", lines), ("log", f"step {step} loss 0.3512, 4 examples in 1.13 s\n")):
            path = f"/worker/attempts/{one.attempt_id}/{stream}?offset="
            status, reply = await line.ask("report", "POST", f"{path}{ends[stream]}", data.encode())
            if reply.get("code") == WRONG_OFFSET:  # an earlier crowd has sent some
                ends[stream] = int(reply["value"])
                status, reply = await line.ask("report", "POST", f"{path}{ends[stream]}", data.encode())
            if status == 200:
                ends[stream] = reply["offset"]


def _tabs(crowd: Crowd, told: Told) -> Iterator[Coroutine[Any, Any, None]]:
    for number in range(crowd.tabs):
        seconds, routes = TABS[number % len(TABS)]
        running = crowd.running[number % len(crowd.running)]
        paths = [route.format(running=running) for route in routes]
        yield _poll(Line(crowd.port, crowd.user_token, told), paths, seconds, number / crowd.tabs)


async def _poll(line: "Line", paths: Sequence[str], seconds: float, share: float) -> None:
    async for _ in _every(seconds, share):
        for path in paths:
            await line.ask("tab", "GET", path)


async def _every(seconds: float, share: float) -> AsyncIterator[int]:
    """Counts at even times from a share of the pause on; whoever is late begins again from now."""
    number, due = 0, time.perf_counter() + share * seconds
    while True:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        yield number
        number, due = number + 1, max(due + seconds, time.perf_counter())


class Line:
    """A connection of one client, which asks one thing after the other.

    Args:
        port: of the backend.
        token: of the client.
        told: what becomes of its requests.
    """

    def __init__(self, port: int, token: str, told: Told) -> None:
        self._port = port
        self._token = token
        self._told = told
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, kind: str, method: str, path: str, body: bytes = b"") -> Reply:
        """Send one request."""
        began = time.perf_counter()
        try:
            status, reply = await asyncio.wait_for(self._kept_or_new(method, path, body), PATIENCE)
        except (OSError, TimeoutError, ValueError, EOFError):
            self._streams, status, reply = None, 0, {}
        self._told.seconds[kind].append(time.perf_counter() - began)
        if not 200 <= status < 300 and reply.get("code") != WRONG_OFFSET:
            self._told.refused[f"{kind} {status}"] += 1
        return status, reply

    async def _kept_or_new(self, method: str, path: str, body: bytes) -> Reply:
        """On the kept connection, unless the backend has hung up meanwhile, as it does with those that are silent."""
        if self._streams is not None:
            with suppress(OSError, EOFError):
                return await self._spoken(*self._streams, method, path, body)
        self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return await self._spoken(*self._streams, method, path, body)

    async def _spoken(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, path: str, body: bytes
    ) -> Reply:
        kind = "application/octet-stream" if "offset=" in path else "application/json"
        head = (
            f"{method} {API}{path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        answer = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(answer)
        content = await reader.readexactly(int(length[1]) if length is not None else 0)
        # what tabs get is not looked into
        return int(answer.split(b" ", 2)[1]), json.loads(content) if method == "POST" and content else {}
