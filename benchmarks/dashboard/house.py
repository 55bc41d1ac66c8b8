"""A real backend and a real dashboard over a home, and a count of what the one asks of the other."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlmodel import Session
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.client import API, Client
from backend.http.context import Context
from backend.http.main import create_app
from backend.launcher import redis_server
from backend.launcher.stack import answers
from backend.serving.http_server import http_server
from backend.settings import Settings
from benchmarks.ports import free_port

PATIENCE = 60.0  # seconds until a service is up
LONG = (
    86_400.0  # seconds of a lease, and between two signs of life: the house has no supervisor and no worker that beats
)


@dataclass
class Asked:
    """What came in at the backend: requests and bytes of replies, by method and route."""

    requests: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)

    def total(self) -> tuple[int, int]:
        """Requests, and bytes of their replies."""
        return sum(self.requests.values()), sum(self.sent.values())


class Counting:
    """ASGI middleware that counts what users ask of the API; reports of workers do not count.

    Args:
        app: the backend.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.asked = Asked()

    def start_anew(self) -> Asked:
        """Count from 0 again; returns what will be counted."""
        self.asked = Asked()
        return self.asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(f"{API}/worker/"):
            await self._app(scope, receive, send)
            return
        route = "/".join("N" if part.isdecimal() else part for part in path.removeprefix(API).split("/"))
        name, asked = f"{scope['method']} {route}", self.asked
        asked.requests[name] += 1

        async def counted(message: Message) -> None:
            asked.sent[name] += len(message.get("body", b""))
            await send(message)

        await self._app(scope, receive, counted)


@dataclass
class House:
    """Services that run."""

    home: Path
    url: str
    """Of the backend."""
    dashboard_url: str
    token: str
    """Of users."""
    context: Context
    counting: Counting

    def user(self) -> Client:
        """A user's client."""
        return Client(self.url, self.token, timeout=60)

    def worker(self) -> Client:
        """A worker's client."""
        return Client(self.url, self.context.worker_token, timeout=60)

    @contextmanager
    def database(self) -> Iterator[Session]:
        """A transaction that changes the home beside all routes."""
        with self.context.database.write() as session:
            yield session


@contextmanager
def open_house(home: Path, python: str = sys.executable) -> Iterator[House]:
    """Serve a home while the block runs: Redis and the dashboard as processes, the backend in a thread.

    Args:
        home: folder of everything.
        python: interpreter of the dashboard.
    """
    home.mkdir(parents=True, exist_ok=True)
    redis_server.prepare(home)
    address = f"unix://{redis_server.socket_path(home)}"
    with _process(redis_server.server_command(home)):
        port, dashboard_port = free_port(), free_port()
        settings = Settings(home=home, REDIS_URL=address, lease_seconds=LONG, announce_seconds=LONG)
        app = create_app(settings)
        counting = Counting(app)
        context: Context = app.state.context
        url, dashboard_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{dashboard_port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MEMGEN_")}
        environment |= {"MEMGEN_HOME": str(home), "MEMGEN_BACKEND_URL": url, "MEMGEN_TOKEN": context.user_token}
        dashboard = [python, "-m", "dashboard", "--port", str(dashboard_port)]
        with _served(counting, port), _process(dashboard, environment):
            _wait(lambda: answers(f"{dashboard_url}/healthz"), "the dashboard")
            yield House(home, url, dashboard_url, context.user_token, context, counting)


@contextmanager
def _served(app: ASGIApp, port: int) -> Iterator[None]:
    server = http_server(app, host="127.0.0.1", port=port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        _wait(lambda: server.started, "the backend")
        yield
    finally:
        server.should_exit = True
        thread.join(20)


@contextmanager
def _process(command: list[str], environment: dict[str, str] | None = None) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def _wait(is_up: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_up():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} is not up within {PATIENCE:.0f} s")
        time.sleep(0.05)
