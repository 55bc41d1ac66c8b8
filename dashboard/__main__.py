"""`python -m dashboard`: serve the web UI."""

import errno
import logging
import socket
from typing import Annotated

import typer

from backend.serving.http_server import http_server, run_server
from backend.serving.variables import url_of
from dashboard.settings import Settings
from memgen.contract.errors import BadInput
from memgen.contract.process import begin_process

EXIT_BAD_INPUT = 2


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
) -> None:
    """Serve the dashboard until it is stopped."""
    begin_process()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per request, some every second
    try:
        settings = Settings.read()
        settings.read_token()
        settings.allowed_hosts(host)
        proxies = settings.proxy_addresses()
        listener = _listen(host, port)
    except BadInput as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(EXIT_BAD_INPUT) from None
    # imported late: an error in the settings or the port shows at once
    from dashboard.app import build_app

    server = http_server(build_app(settings, host), host=host, port=port, proxies=proxies)
    typer.echo(f"Dashboard: {url_of(host, port)}")
    run_server(server, [listener])


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        BadInput: the address can't be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            message, way_out = (
                "the port is in use",
                "Stop the other program or choose another port with --port.",
            )
        else:
            message, way_out = (
                f"the address can't be used: {error.strerror}",
                "Choose others with --host and --port.",
            )
        raise BadInput("address_unusable", message, field="--port", value=f"{host}:{port}", way_out=way_out) from None
    return listener


if __name__ == "__main__":
    typer.run(serve)
