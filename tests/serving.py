"""What serves on loopback while a test runs: a backend in a thread, a dashboard in a process."""

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from starlette.types import ASGIApp

from backend.launcher.stack import answers
from backend.serving.http_server import http_server
from tests.running_stack import wait_until


@contextmanager
def serving(app: ASGIApp, port: int, proxies: Sequence[str] = ()) -> Iterator[str]:
    """Serve an application as ours are served while the block runs; gives its address."""
    server = http_server(app, host="127.0.0.1", port=port, proxies=proxies)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, 20, "start of the backend")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


@contextmanager
def serving_process(command: Sequence[str], port: int, **environment: str) -> Iterator[str]:
    """Run a command that serves a dashboard on the port while the block runs; gives its address."""
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        wait_until(lambda: answers(f"{url}/healthz"), 60, "start of the dashboard")
        yield url
    finally:
        process.terminate()
        process.wait(20)
