"""Who may ask: users, workers, and supervisors with the token of their attempt or session."""

import asyncio
import hmac
import re
from collections import OrderedDict
from typing import Annotated

from anyio import to_thread
from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Scope

from backend.errors import Unauthorized
from backend.http.context import Context, ContextDep
from backend.services import ingest, jobs, try_work
from backend.services.claim import hash_token

_bearer = HTTPBearer(auto_error=False, description="The token that `make up` prints.")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


_HELD = re.compile(r"/api/v1/worker/(attempts|sessions)/([^/]*)(/.*)?")
_JOB = re.compile(r"/api/v1/worker/jobs/([^/]*)(/.*)?")
MOST_KNOWN = 10_000  # attempts and sessions whose token was seen to be right; it never changes
AT_ONCE = 2  # of their tokens that are looked up in the database


class Guard:
    """Looks at the token of a request before anything else is done with it.

    Args:
        context: with the tokens, and the database that knows those of the attempts.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: OrderedDict[tuple[str, int, str], None] = OrderedDict()
        self._looking = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, credentials: HTTPAuthorizationCredentials | None, scope: Scope) -> None:
        """Refuse a request without the token that its path asks for; a wrong one is answered late.

        Raises:
            Unauthorized: `no_token`, `wrong_token`.
            TooManyWrongTokens: `too_many_wrong_tokens`.
        """
        try:
            await self._check(credentials, scope["path"])
        except Unauthorized as error:
            client = scope.get("client")
            raise await self._context.wrong_tokens.hold(client[0] if client else "", error) from None

    async def _check(self, credentials: HTTPAuthorizationCredentials | None, path: str) -> None:
        if path == "/api/v1/openapi.json":
            return
        held, job = _HELD.fullmatch(path), _JOB.fullmatch(path)
        if held is not None:
            await self._check_held(held[1], held[2], given(credentials))
        elif job is not None:  # a ticket is used once: nothing to remember
            async with self._looking:
                await to_thread.run_sync(self._look_up_job, _number(job[1]), given(credentials))
        elif path.startswith("/api/v1/worker/"):
            _check_worker(self._context, credentials)
        else:
            _check_user(self._context, credentials)

    async def _check_held(self, kind: str, number: str, token: str) -> None:
        held_id = _number(number)
        key = kind, held_id, hash_token(token)
        if key not in self._seen:
            async with self._looking:
                await to_thread.run_sync(self._look_up, kind, held_id, token)
            self._seen[key] = None
        self._seen.move_to_end(key)
        while len(self._seen) > MOST_KNOWN:
            self._seen.popitem(last=False)

    def _look_up(self, kind: str, held_id: int, token: str) -> None:
        with self._context.database.read() as session:
            if kind == "sessions":
                try_work.session_of(session, held_id, token)
            else:
                ingest.attempt_of(session, held_id, token)

    def _look_up_job(self, job_id: int, token: str) -> None:
        with self._context.database.read() as session:
            jobs.authorize(session, job_id, token, at=self._context.clock())


def _number(text: str) -> int:
    """A number in a path; 0, which nothing has, where it is none."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0


async def require_user(context: ContextDep, credentials: _Credentials) -> None:
    """Refuse a request without the users' token."""
    _check_user(context, credentials)


async def require_worker(context: ContextDep, credentials: _Credentials) -> None:
    """Refuse a request without the workers' token."""
    _check_worker(context, credentials)


async def attempt_token(credentials: _Credentials) -> str:
    """The token that a supervisor sent; whether it fits its attempt is decided where the attempt is read."""
    return given(credentials)


def given(credentials: HTTPAuthorizationCredentials | None) -> str:
    """The bearer token of a request.

    Raises:
        Unauthorized: `no_token`.
    """
    if credentials is None or not credentials.credentials:
        raise Unauthorized(
            "no_token",
            "this request carries no token",
            field="Authorization",
            way_out="Send the header `Authorization: Bearer TOKEN`; `make up` prints the token.",
        )
    return credentials.credentials


def _check_user(context: Context, credentials: HTTPAuthorizationCredentials | None) -> None:
    _check(credentials, context.user_token, "HOME/backend/token")


def _check_worker(context: Context, credentials: HTTPAuthorizationCredentials | None) -> None:
    _check(credentials, context.worker_token, "HOME/backend/worker-token")


def _check(credentials: HTTPAuthorizationCredentials | None, expected: str, place: str) -> None:
    if not hmac.compare_digest(given(credentials).encode(), expected.encode()):
        raise Unauthorized(
            "wrong_token",
            "the token is wrong",
            field="Authorization",
            way_out=f"Use the one in {place} (HOME is MEMGEN_HOME).",
        )


AttemptToken = Annotated[str, Depends(attempt_token)]
