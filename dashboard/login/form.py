"""The body of the login form: small, of one kind, and not waited for longer than a browser takes.

Starlette's `request.form()` is not used: it bounds fields and not the body (it parses `&&&&...` for as long as that
comes), takes the first of two fields of one name, and replaces what is not UTF-8 instead of refusing it.
"""

import asyncio
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request

MAX_BYTES, MAX_FIELDS = 8192, 10
MAX_SECONDS = 10.0
_KIND = "application/x-www-form-urlencoded"


async def read_form(request: Request, *, seconds: float = MAX_SECONDS) -> dict[str, str] | int:
    """The fields of a login form, each with its one value; an HTTP status where the body is none.

    Args:
        request: whose body was not read yet.
        seconds: for the whole body.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _KIND:
        return 415
    if len(request.headers.get("content-length", "")) > len(str(MAX_BYTES)):
        return 413
    try:
        async with asyncio.timeout(seconds):
            body = await _body(request)
    except TimeoutError:
        return 408
    except ClientDisconnect:
        return 400
    if body is None:
        return 413
    try:
        fields = parse_qs(
            body.decode(), keep_blank_values=True, strict_parsing=bool(body), errors="strict", max_num_fields=MAX_FIELDS
        )  # fmt: skip
    except ValueError:  # not UTF-8, no fields, or too many
        return 400
    if any(len(values) > 1 for values in fields.values()):
        return 400  # two readers could take two different ones
    return {name: values[0] for name, values in fields.items()}


async def _body(request: Request) -> bytes | None:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            return None
    return body
