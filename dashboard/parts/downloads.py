"""Files for the browser that the backend has: handed on piece by piece, never held as a whole."""

from collections.abc import Callable, Iterator

from starlette.responses import PlainTextResponse, Response, StreamingResponse

from backend.api.client import ApiError, Unreachable


def streamed(ask: Callable[[], Iterator[str] | Iterator[bytes]], name: str, media_type: str) -> Response:
    """A download; what the backend says of it where it can't be had.

    Args:
        ask: sends the first request, and returns the pieces. A break in between ends the download as a failed one.
        name: of the file.
        media_type: of the file.
    """
    try:
        pieces = ask()
    except ApiError as error:
        return PlainTextResponse(str(error), error.problem.status)
    except Unreachable as error:
        return PlainTextResponse(str(error), 503)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(pieces, media_type=media_type, headers=headers)
