"""How backend and dashboard listen: the same server with the same caution."""

import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import uvicorn

from backend.serving.slow_clients import server_options


def http_server(app: Any, *, host: str, port: int, proxies: Sequence[str] = ()) -> uvicorn.Server:
    """A server that is ready to run.

    Args:
        app: an ASGI application.
        host, port: where it listens.
        proxies: addresses whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. Nobody's by default: uvicorn
            would believe whatever comes from this machine, and then each request could bring an address of its own.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
            timeout_graceful_shutdown=3,
            **server_options(),
        )
    )


def run_server(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
    """Serve until a signal comes; the process ends with exit code 1 where it could not start."""
    with suppress(KeyboardInterrupt):  # raised anew by uvicorn after an orderly end
        server.run(sockets=sockets)
    if not server.started:
        sys.exit(1)
