"""Who may ask: users, workers, and supervisors with the token of their attempt."""

import hmac
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from backend.context import ContextDep
from backend.errors import Unauthorized

_bearer = HTTPBearer(auto_error=False, description="The token that `make up` prints.")
_Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def require_user(context: ContextDep, credentials: _Credentials) -> None:
    """Refuse a request without the users' token."""
    _check(credentials, context.user_token, "HOME/backend/token")


def require_worker(context: ContextDep, credentials: _Credentials) -> None:
    """Refuse a request without the workers' token."""
    _check(credentials, context.worker_token, "HOME/backend/worker-token")


def attempt_token(credentials: _Credentials) -> str:
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


def _check(credentials: HTTPAuthorizationCredentials | None, expected: str, place: str) -> None:
    if not hmac.compare_digest(given(credentials).encode(), expected.encode()):
        raise Unauthorized(
            "wrong_token",
            "the token is wrong",
            field="Authorization",
            way_out=f"Use the one in {place} (HOME is MEMGEN_HOME).",
        )


AttemptToken = Annotated[str, Depends(attempt_token)]
