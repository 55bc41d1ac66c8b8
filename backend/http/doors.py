"""Who gets in: token and length of a request are looked at before a byte of its body is read.

FastAPI parses a body first and asks for the token then, so that anybody could keep the event loop busy for seconds.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from http import HTTPStatus

from fastapi.security import HTTPAuthorizationCredentials
from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import ServiceError
from backend.http.problems import Refused, RequestRefused, reply_to

API = "/api/v1/"
SMALL, PIPELINE, END, REPORT = 64 * 2**10, 256 * 2**10, 2**20, 8 * 2**20
"""Most bytes of a request's body: of a config or a button, of a pipeline's six configs, of the end of an attempt, of a
report of a trainer's files. A user's file of rows has a limit of its own, a setting."""
CLOSE = {"Connection": "close"}  # what a client still sends of a request that was refused is not wanted
UPLOADS = API + "data-sets/uploads"
_LIMITS = (
    (re.compile(r"/api/v1/worker/(attempts|sessions)/[^/]+/(log|events|answers|rollouts|output)"), REPORT),
    (re.compile(r"/api/v1/worker/(attempts|sessions)/[^/]+/(finish|output/place)"), END),
    (re.compile(r"/api/v1/(pipelines(/preflight)?|saved-launches/[^/]+)"), PIPELINE),
)


class BodyTooLarge(RequestRefused):
    """A body that is longer than any that the route takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class TooSlow(RequestRefused):
    """A client that does not send the rest of its request."""

    status = HTTPStatus.REQUEST_TIMEOUT


@dataclass(frozen=True)
class Pace:
    """Seconds that a client has to send a body."""

    idle: float = 10.0
    """Between two pieces of a body."""
    body: float = 60.0
    """For a whole body."""
    upload: float = 3600.0
    """For a whole file of a user's."""


Guard = Callable[[HTTPAuthorizationCredentials | None, Scope], Awaitable[None]]
"""Raises `Unauthorized` where a request's token is not the one for its path."""


class Doors:
    """Lets requests in that carry the right token and a body of a possible length, and that do not dawdle.

    Args:
        app: what answers.
        guard: knows the tokens.
        pace: how long a client may take.
        upload: most bytes of a file of a user's.
    """

    def __init__(self, app: ASGIApp, guard: Guard, pace: Pace, upload: int) -> None:
        self._app = app
        self._guard = guard
        self._pace = pace
        self._upload = upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_upload = scope["path"] == UPLOADS
        limit = self._upload if is_upload else limit_of(scope["path"])
        pace = replace(self._pace, body=self._pace.upload) if is_upload else self._pace
        headers = Headers(scope=scope)
        try:
            if scope["path"].startswith(API):
                await self._guard(_credentials(headers), scope)
            _check_length(headers.get("content-length"), limit)
        except ServiceError as error:
            await reply_to(error, CLOSE)(scope, receive, send)
            return

        await self._app(scope, _Body(receive, limit, pace), send)


class _Body:
    """Gives out a body piece by piece, within its limits."""

    def __init__(self, receive: Receive, limit: int, pace: Pace) -> None:
        self._receive = receive
        self._limit = limit
        self._pace = pace
        self._taken = 0
        self._until: float | None = None
        self._whole = False

    async def __call__(self) -> Message:
        """The next piece.

        Raises:
            Refused: `body_too_large`, `body_too_slow`.
        """
        if self._whole:  # what comes now is that the client hangs up, whenever that is
            return await self._receive()
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + self._pace.body
        try:
            message = await asyncio.wait_for(self._receive(), min(self._pace.idle, max(0.0, self._until - now)))
        except TimeoutError as error:
            raise Refused(_too_slow(self._pace, self._taken), CLOSE) from error
        self._taken += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._taken > self._limit:
            raise Refused(_too_large(self._limit, self._taken), CLOSE)
        return message


def limit_of(path: str) -> int:
    """Most bytes that the body of a request to a path may have."""
    return next((limit for pattern, limit in _LIMITS if pattern.fullmatch(path)), SMALL)


def _credentials(headers: Headers) -> HTTPAuthorizationCredentials | None:
    scheme, token = get_authorization_scheme_param(headers.get("authorization"))
    return HTTPAuthorizationCredentials(scheme=scheme, credentials=token) if scheme.lower() == "bearer" else None


def _check_length(header: str | None, limit: int) -> None:
    if header is not None and header.isdecimal() and int(header[:20]) > limit:
        raise _too_large(limit, int(header[:20]))


def _too_slow(pace: Pace, size: int) -> TooSlow:
    return TooSlow(
        "body_too_slow",
        f"a body comes within {pace.body:g} s, and no piece of it {pace.idle:g} s after the one before",
        field="body",
        value=size,
        way_out="Send the request again over a better connection.",
    )


def _too_large(limit: int, size: int) -> BodyTooLarge:
    return BodyTooLarge(
        "body_too_large",
        f"the body of a request to this path has at most {limit} bytes",
        field="body",
        value=size,
        way_out="Send less; a trainer's files go in pieces.",
    )
