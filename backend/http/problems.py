"""How errors of the service go out: problem+json with a stable code, field, value and way out."""

import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from backend.api.schemas import ProblemReply
from backend.errors import Conflict, Gone, NotFound, ServiceError, Unauthorized
from backend.services.data_sets import UnusableRows
from memgen.contract.config import InvalidConfig
from memgen.contract.errors import BadInput
from memgen.contract.problem import Problem

log = logging.getLogger(__name__)
MOST_PROBLEMS = 100  # of one reply
COME_AGAIN = 2  # seconds, where there is too much to do


STATUS: dict[type[BadInput], int] = {NotFound: 404, Conflict: 409, Unauthorized: 401, Gone: 410, ServiceError: 400}
"""The first class that fits decides; any other bad input is 422."""


class RequestRefused(ServiceError):
    """A request that is refused for how it is sent, whatever it asks for."""

    status: int


class Refused(HTTPException):
    """An error while a body is read: FastAPI calls any exception of another class a body that can't be parsed.

    Args:
        error: what is wrong.
        headers: of the reply.
    """

    def __init__(self, error: ServiceError, headers: dict[str, str]) -> None:
        super().__init__(status_of(error), error.message, headers)
        self.error = error


def install(app: FastAPI) -> None:
    """Answer every error as problem+json."""

    @app.exception_handler(BadInput)
    def bad_input(_: Request, error: BadInput) -> JSONResponse:
        return reply_to(error)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        items = [_invalid_item(item) for item in error.errors()[:MOST_PROBLEMS]]
        return _reply(422, items[0], items)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error, Refused):
            return reply_to(error.error, dict(error.headers or {}))
        known = {400: "unparsable_body", 404: "no_such_route", 405: "method_not_allowed", 413: "body_too_large"}
        code = known.get(error.status_code, "http_error")
        problem = BadInput(
            code, str(error.detail), field="path", value=request.url.path, way_out="The routes are listed at /docs."
        )
        return _reply(error.status_code, problem, headers=dict(error.headers or {}))

    @app.exception_handler(OverflowError)
    def too_large(_: Request, error: OverflowError) -> JSONResponse:
        log.warning("a number is too large: %s", error)
        problem = BadInput(
            "number_too_large", "a number of this request is too large", way_out="Numbers stay below 2**63."
        )
        return _reply(422, problem)

    @app.exception_handler(PoolTimeout)
    def no_connection(_: Request, error: PoolTimeout) -> JSONResponse:
        log.warning("the database is busy: %s", error)
        return busy()

    @app.exception_handler(OperationalError)
    @app.exception_handler(OSError)
    def not_stored(_: Request, error: OperationalError | OSError) -> JSONResponse:
        log.error("storage failed: %s", error)
        reason = str(error.orig) if isinstance(error, OperationalError) else error.strerror or str(error)
        problem = ServiceError(
            "storage_failed",
            f"the backend can't store or read its files ({reason})",
            field="MEMGEN_HOME",
            way_out="Nothing was changed. If the disk is full, delete runs or make room, then try again.",
        )
        return _reply(507, problem)

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.exception("unexpected error on %s %s", request.method, request.url.path, exc_info=error)
        problem = BadInput(
            "internal_error",
            "the backend failed to handle this request",
            way_out="Nothing was changed. The backend's log has the details.",
        )
        return _reply(500, problem)


def status_of(error: BadInput) -> int:
    """The HTTP status of an error."""
    if isinstance(error, RequestRefused):
        return error.status
    known = (status for kind, status in STATUS.items() if isinstance(error, kind))
    return next(known, 422)


def reply_to(error: BadInput, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error as it goes out."""
    status = status_of(error)
    errors = error.problems[:MOST_PROBLEMS] if isinstance(error, InvalidConfig | UnusableRows) else []
    if isinstance(error, ServiceError) and error.retry_after is not None:
        headers = {"Retry-After": str(error.retry_after), **(headers or {})}
    return _reply(status, error, errors, headers)


def busy() -> JSONResponse:
    """The reply to a request that has waited for too long; nothing of it was done."""
    problem = BadInput(
        "backend_busy",
        "the backend is busy with other requests",
        way_out=f"Nothing was changed. Send the request again in {COME_AGAIN} s.",
    )
    return _reply(503, problem, headers={"Retry-After": str(COME_AGAIN)})


def _reply(
    status: int, error: BadInput, errors: Sequence[BadInput] = (), headers: dict[str, str] | None = None
) -> JSONResponse:
    if status == 401:
        headers = {"WWW-Authenticate": "Bearer", **(headers or {})}
    return problem_json(status, error.problem, [item.problem for item in errors], headers)


def problem_json(
    status: int, problem: Problem, errors: Sequence[Problem] = (), headers: dict[str, str] | None = None
) -> JSONResponse:
    """A problem as it goes out, with all of them where there are several."""
    reply = ProblemReply(
        **dict(problem.in_sentences()), status=status, errors=[error.in_sentences() for error in errors]
    )
    return JSONResponse(reply.model_dump(), status, headers, media_type="application/problem+json")


def _invalid_item(item: dict[str, Any]) -> BadInput:
    place, *names = [str(part) for part in item["loc"]]
    field = (".".join(names) or place)[:200]
    code = "invalid_request"
    if item["type"] == "json_invalid":
        code, field = "unparsable_body", "body"
    value = None if item["type"] in {"missing", "json_invalid"} else item.get("input")
    return BadInput(code, f"{field}: {item['msg']}", field=field, value=value, way_out="See /docs for this route.")
