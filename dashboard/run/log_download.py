"""The whole log of an attempt as a file, handed on piece by piece: it is never held as a whole."""

from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backend.api.client import Client
from backend.api.schemas import LogOut
from dashboard.parts import api
from dashboard.parts.downloads import streamed

PIECE_BYTES = 2**20
_PATH = "/download/runs/{run}/attempts/{attempt}/log"


def log_address(run_id: int, attempt: int) -> str:
    """Where the browser finds the log of an attempt."""
    return _PATH.format(run=run_id, attempt=attempt)


def download_log(request: Request) -> Response:
    """The log as a download; what the backend says of it where it can't be had."""
    run_id, attempt = request.path_params["run"], request.path_params["attempt"]
    client = api.client()
    return streamed(
        lambda: _pieces(client, run_id, client.log(run_id, attempt=attempt, offset=0, limit=PIECE_BYTES)),
        f"run-{run_id}-attempt-{attempt}.log", "text/plain",
    )  # fmt: skip


def _pieces(client: Client, run_id: int, piece: LogOut) -> Iterator[str]:
    """What the backend has of it now, one piece at a time; a break in between ends the download as a failed one."""
    end = piece.size
    while True:
        yield piece.text
        if piece.next_offset <= piece.offset or piece.next_offset >= end:
            return
        piece = client.log(run_id, attempt=piece.attempt, offset=piece.next_offset, limit=PIECE_BYTES)


LOG_DOWNLOAD = Route(_PATH.replace("}", ":int}"), download_log, methods=["GET"])
