"""A backend that serves on loopback from a thread of the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from backend.slow_clients import server_options
from tests.running_stack import wait_until


@contextmanager
def serving(app: FastAPI, port: int) -> Iterator[str]:
    """Serve an application while the block runs; gives its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", **server_options()))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, 20, "start of the backend")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
