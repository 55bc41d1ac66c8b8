"""Many at once, and clients that dawdle: nobody else waits for them."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from backend.api.client import Client
from backend.http import doors, lanes
from backend.http.lanes import Lanes
from backend.http.main import create_app
from backend.serving.slow_clients import PatientProtocol
from backend.settings import Settings
from backend.store.db import READERS, Database
from benchmarks.service.burst import Request, burst
from benchmarks.service.ours import Ours
from benchmarks.service.plan import Scale
from tests.backend.conftest import Backend, check_problem
from tests.backend.http.test_auth import USER_ROUTES
from tests.ports import free_port
from tests.running_stack import wait_until
from tests.serving import serving

JSON = {"Content-Type": "application/json"}
NINE_MEGABYTES = b'{"config": ' + b"[" + b"[]," * (3 * 2**20) + b"[]]}"
NOT_FILLED = {
    "/checkpoints/1", "/pipelines/1", "/compare", "/compare/answers", "/compare/insertions", "/compare/export",
    "/compare/answers/export", "/try/1", "/try/1/stream",
}  # fmt: skip


@pytest.fixture(scope="module")
def busy_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    """A backend of its own process with 2,000 runs, 200 of them queued, and four under way."""
    scale = Scale(runs=2000, points_of_one=20_000, points=30_000, asked=1, seconds=0.1, queued=200)
    ours = Ours(tmp_path_factory.mktemp("busy"), free_port(), scale)
    ours.fill()
    ours.start()
    yield ours
    ours.stop()


def test_two_hundred_reads_at_once_are_answered_on_every_route_and_a_stop_and_heartbeats_meanwhile(
    busy_backend: Ours,
) -> None:
    routes = busy_backend.burst_routes()
    for name, make in routes.items():
        done = burst(busy_backend.port, [make(n) for n in range(200)], busy_backend.urgent())
        assert done.statuses[200] >= 190, (name, done.statuses)
        assert set(done.statuses) <= {200, 503}, (name, done.statuses)
        assert [status for status, _ in done.urgent] == [200] * len(done.urgent), name


def test_burst_reads_every_route_that_reads(busy_backend: Ours) -> None:
    burst_on = {make(0).path.removeprefix("/api/v1").split("?")[0] for make in busy_backend.burst_routes().values()}
    reading = {path for method, path in USER_ROUTES if method == "GET"}
    assert reading - NOT_FILLED == {path for path in burst_on if path != "/runs/2000"}


def test_burst_is_answered_beside_large_bodies_without_a_token_and_slow_connections(busy_backend: Ours) -> None:
    with ExitStack() as held:
        for _ in range(50):
            slow = held.enter_context(socket.create_connection(("127.0.0.1", busy_backend.port)))
            slow.sendall(b"POST /api/v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        attack = [Request("POST", "/api/v1/runs", "", NINE_MEGABYTES) for _ in range(3)]
        read = busy_backend.burst_routes()["list_runs"]
        done = burst(busy_backend.port, [*attack, *(read(n) for n in range(200))], busy_backend.urgent())
    assert done.statuses[200] >= 190
    assert set(done.statuses) <= {200, 401, 503, 0}  # 0: an attacker whose connection was closed while it sent
    assert [status for status, _ in done.urgent] == [200] * len(done.urgent)


def test_thread_that_holds_a_connection_is_refused_a_second(tmp_path: Path) -> None:
    database = Database(tmp_path / "memgen.db")
    for outer in (database.read, database.write):
        for inner in (database.read, database.write):
            with outer(), pytest.raises(RuntimeError, match="holds a database connection already"), inner():
                pass
    with database.read():
        pass  # an attempt that was refused leaves no mark
    database.close()


@pytest.mark.parametrize("word", ["read", "write"])
def test_request_that_gets_no_connection_is_told_when_to_come_again(
    start: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setattr("backend.store.db.PATIENCE", 0.1)
    backend = start()
    run_id = backend.submit()
    taken, over = threading.Semaphore(0), threading.Event()

    def hold() -> None:
        with getattr(backend.context.database, word)() as session:
            session.connection()
            taken.release()
            over.wait(30)

    threads = [threading.Thread(target=hold) for _ in range(READERS if word == "read" else 1)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert taken.acquire(timeout=30)
    path = "/runs" if word == "read" else f"/runs/{run_id}/stop"
    reply = backend.user("GET", path) if word == "read" else backend.user("POST", path, json={})
    over.set()
    for thread in threads:
        thread.join(30)
    check_problem(reply, 503, "backend_busy")
    assert reply.headers["retry-after"] == "2"
    assert backend.run(run_id)["status"] == "queued"


def test_client_comes_again_when_a_busy_backend_says_so_but_not_for_ever(backend: Backend) -> None:
    replies = [httpx.Response(503, headers={"Retry-After": "2"})] * 2 + [httpx.Response(200, json={"items": []})]
    waited: list[float] = []
    transport = httpx.MockTransport(lambda _: replies.pop(0))
    with Client("http://nowhere", "t", transport=transport, sleep=waited.append) as client:
        assert client.presets() == []
        assert waited == [2.0, 2.0]
        replies[:] = [httpx.Response(503, headers={"Retry-After": header}) for header in ("900", "soon", "1")]
        with pytest.raises(Exception, match="503"):
            client.presets()
    assert waited[2:] == [5.0, 1.0]


class Counting:
    """An application that answers when it is let."""

    def __init__(self) -> None:
        self.calls = 0
        self.let = asyncio.Event()

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        self.calls += 1
        number = self.calls
        await self.let.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(number).encode()})


async def reply_of(app: Lanes, path: str, method: str = "GET") -> tuple[int, bytes]:
    messages: list[dict] = []

    async def send(message: dict) -> None:
        messages.append(message)

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}
    await app(scope, receive, send)
    return messages[0]["status"], messages[1]["body"]


def test_same_question_at_the_same_time_is_answered_once_and_again_after_a_change() -> None:
    async def story() -> None:
        commits = 0
        inner = Counting()
        app = Lanes(inner, lambda: commits)
        first = [asyncio.create_task(reply_of(app, "/api/v1/runs")) for _ in range(50)]
        await asyncio.sleep(0.01)
        assert inner.calls == 1
        commits += 1  # whoever asks now must see what was changed
        later = asyncio.create_task(reply_of(app, "/api/v1/runs"))
        other = asyncio.create_task(reply_of(app, "/api/v1/queue"))
        await asyncio.sleep(0.01)
        first[0].cancel()  # the one who asked first hangs up
        inner.let.set()
        assert await asyncio.gather(*first[1:]) == [(200, b"1")] * 49
        assert {await later, await other} == {(200, b"2"), (200, b"3")}
        assert await reply_of(app, "/api/v1/runs") == (200, b"4")  # nothing is kept

    asyncio.run(story())


def test_exports_are_made_for_each_who_asks_a_few_at_once_and_leave_room_for_reads() -> None:
    async def story() -> None:
        inner = Counting()
        app = Lanes(inner, lambda: 0)
        exports = [asyncio.create_task(reply_of(app, "/api/v1/compare/export")) for _ in range(lanes.EXPORTS + 2)]
        await asyncio.sleep(0.01)
        assert inner.calls == lanes.EXPORTS
        read = asyncio.create_task(reply_of(app, "/api/v1/runs"))
        await asyncio.sleep(0.01)
        assert inner.calls == lanes.EXPORTS + 1
        inner.let.set()
        await asyncio.gather(read, *exports)
        assert inner.calls == lanes.EXPORTS + 3

    asyncio.run(story())


def test_lane_lets_in_as_many_as_it_is_wide_and_turns_away_who_waits_for_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "MOST_WAITING", 10)

    async def story() -> None:
        inner = Counting()
        app = Lanes(inner, lambda: 0, patience=0.05)
        asked = [asyncio.create_task(reply_of(app, f"/api/v1/runs/{n}")) for n in range(30)]
        async with asyncio.timeout(10):
            while inner.calls < lanes.READS:
                await asyncio.sleep(0)
        urgent = ("/api/v1/runs/1/stop", "/api/v1/worker/attempts/1/heartbeat", "/api/v1/queue/pause")
        now = [asyncio.create_task(reply_of(app, path, "POST")) for path in urgent]
        await asyncio.sleep(0.2)
        assert inner.calls == lanes.READS + len(urgent)
        inner.let.set()
        statuses = [status for status, _ in await asyncio.gather(*asked, *now)]
        assert statuses.count(200) == lanes.READS + len(urgent)
        assert statuses.count(503) == 30 - lanes.READS
        assert await reply_of(app, "/api/v1/runs") == (200, str(inner.calls).encode())  # every place was given back

    asyncio.run(story())


@pytest.mark.parametrize("path", ["/runs", "/preflight", "/pipelines", "/pipelines/preflight", "/runs/1/stop"])
def test_long_bodies_are_parsed_beside_the_event_loop(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    parsers: list[int] = []
    loads = json.loads

    def watched(body: bytes, **more: object) -> object:
        if isinstance(body, bytes) and len(body) > 50_000:
            parsers.append(threading.get_ident())
        return loads(body, **more)

    monkeypatch.setattr("json.loads", watched)
    reply = backend.user("POST", path, json={"x" * 60_000: 1})
    check_problem(reply, 422, "invalid_request")
    assert len(reply.content) < 2000
    loop = backend.http.portal.call(threading.get_ident)
    assert len(parsers) == 1
    assert parsers != [loop]


@pytest.fixture
def served(home: Path, settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Port of a backend whose patience with clients is short."""
    monkeypatch.setattr(PatientProtocol, "head_seconds", 0.5)
    monkeypatch.setattr(PatientProtocol, "reply_seconds", 0.5)
    port = free_port()
    app = create_app(settings(token="a-token-of-the-tests"), pace=doors.Pace(idle=0.3, body=1.0))
    with serving(app, port):
        yield port


def speak(port: int, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send pieces and read until the server hangs up."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as line:
        for piece in pieces:
            try:
                line.sendall(piece)
            except OSError:
                break
            time.sleep(pause)
        reply = b""
        try:
            while piece := line.recv(65536):
                reply += piece
        except ConnectionResetError:
            pass
        return reply


def head(path: str, *headers: str, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode()


TOKEN = "Authorization: Bearer a-token-of-the-tests"


@pytest.mark.parametrize(
    ("start_of_request", "status"),
    [
        (head("/api/v1/runs", "Content-Length: 9000000"), 401),
        (head("/api/v1/runs", "Authorization: Bearer wrong", "Content-Length: 9000000"), 401),
        (head("/api/v1/runs", "Transfer-Encoding: chunked"), 401),
        (head("/api/v1/nowhere", "Content-Length: 9000000"), 401),
        (head("/api/v1/worker/claim", TOKEN, "Content-Length: 9000000"), 401),
        (head("/api/v1/worker/attempts/1/log?offset=0", "Authorization: Bearer x", "Content-Length: 8000000"), 401),
        (head("/api/v1/worker/attempts/1/finish", "Authorization: Bearer x", "Content-Length: 8000000"), 401),
        (head("/api/v1/runs", TOKEN, "Content-Length: 65537"), 413),
        (head("/api/v1/pipelines", TOKEN, "Content-Length: 1048577"), 413),
        (head("/api/v1/preflight", TOKEN, f"Content-Length: {'9' * 20}"), 413),
        (head("/nowhere", "Content-Length: 9000000"), 413),
    ],
)
def test_request_is_refused_before_a_byte_of_its_body_is_sent(
    served: int, start_of_request: bytes, status: int
) -> None:
    reply = speak(served, start_of_request)  # nothing more: the reply must come, and the connection end
    assert reply.startswith(f"HTTP/1.1 {status} ".encode()), reply[:200]
    assert b"application/problem+json" in reply
    assert b"connection: close" in reply.lower()


def test_chunked_body_is_refused_once_it_is_too_long(served: int) -> None:
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    reply = speak(served, head("/api/v1/runs", TOKEN, "Transfer-Encoding: chunked"), *[chunk] * 6)
    assert reply.startswith(b"HTTP/1.1 413 "), reply[:200]


def test_body_that_does_not_come_is_given_up(served: int) -> None:
    reply = speak(served, head("/api/v1/runs", TOKEN, "Content-Length: 100"), b"{")
    assert reply.startswith(b"HTTP/1.1 408 "), reply[:200]
    assert b"body_too_slow" in reply


def test_body_that_trickles_is_given_up_though_it_never_rests(served: int) -> None:
    began = time.monotonic()
    reply = speak(served, head("/api/v1/runs", TOKEN, "Content-Length: 100"), *[b" "] * 40, pause=0.1)
    assert b"408" in reply[:20] or reply == b""  # the rest of what it sends may break the connection first
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nX: "])
def test_connections_without_a_whole_head_are_closed(served: int, sent: bytes) -> None:
    with ExitStack() as held:
        lines = [held.enter_context(socket.create_connection(("127.0.0.1", served), timeout=30)) for _ in range(50)]
        for line in lines:
            line.sendall(sent)
        for line in lines:
            with suppress(ConnectionResetError):
                assert line.recv(1000) == b""


def test_second_request_of_a_connection_has_the_same_time(served: int) -> None:
    with closing(socket.create_connection(("127.0.0.1", served), timeout=30)) as line:
        line.sendall(head("/api/v1/health", TOKEN, method="GET"))
        replies = line.recv(65536)
        line.sendall(b"GET /api/v1/heal")
        with suppress(ConnectionResetError):
            while piece := line.recv(65536):  # the rest of the first reply may come by itself
                replies += piece
    assert replies.startswith(b"HTTP/1.1 200")
    assert replies.count(b"HTTP/1.1") == 1


def test_client_that_never_reads_is_hung_up_on_and_others_are_served(
    home: Path, settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PatientProtocol, "reply_seconds", 0.3)
    port = free_port()
    app = create_app(settings(token="a-token-of-the-tests"))
    app.add_api_route("/api/v1/large", lambda: "x" * 20_000_000)
    with serving(app, port), closing(socket.socket()) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(30)
        line.connect(("127.0.0.1", port))
        line.sendall(head("/api/v1/large", TOKEN, method="GET"))
        reply = speak(port, head("/api/v1/health", TOKEN, "Connection: close", method="GET"))
        assert reply.startswith(b"HTTP/1.1 200")
        wait_until(lambda: _has_hung_up(port), 30, "end of the connection")


def _has_hung_up(port: int) -> bool:
    """Whether the server has no connection left, seen from its own side."""
    ours = [one for one in psutil.Process().net_connections("tcp") if one.laddr and one.laddr.port == port]
    return all(one.status == psutil.CONN_LISTEN for one in ours)
