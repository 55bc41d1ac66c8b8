"""The way to one backend over HTTP: its token, its address, what is tried again, and how a refusal is raised."""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from backend.api import schemas as s
from memgen.contract.errors import BadInput
from memgen.contract.problem import Problem

_T = TypeVar("_T", bound=BaseModel)
API = "/api/v1"
TRIES = 3  # of a request that a busy backend turns away
LONGEST_PAUSE = 5.0  # seconds between two of them, whatever it asks for
READING = 660.0  # seconds until files that the backend reads or converts count as unanswered


@cache
def certificates() -> ssl.SSLContext:
    """Whom a client trusts, read once in a process: a client that reads it anew takes as long as several requests."""
    return httpx.create_ssl_context(trust_env=False)


class ApiError(Exception):
    """The backend refused a request; `problem` says what, which value, and the way out."""

    def __init__(self, problem: s.ProblemReply) -> None:
        super().__init__(f"{problem.message} {problem.way_out}".strip())
        self.problem = problem

    @property
    def code(self) -> str:
        """Stable name of the problem."""
        return self.problem.code

    @property
    def problems(self) -> Sequence[Problem]:
        """Every problem of the reply; at least one."""
        return self.problem.errors or [self.problem]


class Unreachable(Exception):
    """The backend did not answer."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"The backend at {url} does not answer ({reason}). Is it running? Start it with `make up`.")
        self.url = url


class Connection:
    """The way to one backend with one token; the nouns of `calls` go over it.

    Args:
        url: address of the backend, e.g. `http://127.0.0.1:8000`.
        token: bearer token of a user, of a worker, or of one attempt.
        timeout: seconds until a call counts as unanswered.
        instance: the home that the backend must serve; what answers for another one counts as no answer.
        transport: another way to reach the backend, for tests.
        sleep: waits some seconds, where a busy backend says when to come again.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float = 10.0,
        instance: str | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self._sleep = sleep
        self._instance = instance
        self._http = httpx.Client(
            base_url=url.rstrip("/") + API,
            headers={"Authorization": f"Bearer {token}"} | ({s.INSTANCE_HEADER: instance} if instance else {}),
            timeout=timeout,
            transport=transport,
            trust_env=False,  # a proxy in the environment is not for a service on this machine
            verify=certificates(),
        )

    def move_to(self, url: str) -> None:
        """Go on with the same backend at another address."""
        self.url = url
        self._http.base_url = httpx.URL(url.rstrip("/") + API)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _get(self, path: str, model: type[_T], **params: object) -> _T:
        given = {name: value for name, value in params.items() if value is not None}
        return self._read(model, self._send("GET", path, params=given))

    def _post(self, path: str, model: type[_T], body: object, *, key: str | None = None) -> _T:
        headers = {"Idempotency-Key": key} if key else {}
        return self._read(model, self._send("POST", path, json=body, headers=headers))

    def _pieces(self, path: str, *, headers: Mapping[str, str] | None = None, **params: object) -> Iterator[bytes]:
        """A reply piece by piece as it comes; a refusal is raised at once.

        Raises, while it is read:
            Unreachable: the backend broke off.
        """
        given = {name: value for name, value in params.items() if value is not None}
        response = self._send("GET", path, stream=True, params=given, headers=dict(headers or {}))

        def pieces() -> Iterator[bytes]:
            with closing(response):
                try:
                    yield from response.iter_bytes()
                except httpx.HTTPError as error:
                    raise Unreachable(self.url, type(error).__name__) from error

        return pieces()

    def _read(self, model: type[_T], response: httpx.Response) -> _T:
        try:
            return model.model_validate(response.json())
        except ValueError as error:  # no JSON, or not of this form
            raise Unreachable(self.url, "something else answers there, or another version") from error

    def _send(self, method: str, path: str, *, stream: bool = False, **arguments: Any) -> httpx.Response:
        for again in reversed(range(TRIES)):
            response = self._ask(method, path, stream=stream, **arguments)
            if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or not again:
                break
            self._sleep(_come_again(response))  # it was refused before anything was done, so it may be sent again
        if self._instance is not None and response.headers.get(s.INSTANCE_HEADER) != self._instance:
            raise Unreachable(self.url, "something else answers there")
        if response.is_error:
            raise ApiError(_problem_of(response))
        return response

    def _ask(self, method: str, path: str, *, stream: bool, **arguments: Any) -> httpx.Response:
        try:
            response = self._http.send(self._http.build_request(method, path, **arguments), stream=stream)
            if response.is_error:  # its problem is wanted
                response.read()
            return response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(self.url, type(error).__name__) from error
        except ValueError as error:  # a number that is none, half of a surrogate pair
            raise BadInput(
                "unsendable",
                f"this can't be sent: {error}",
                way_out="Numbers are finite, and text is Unicode.",
            ) from error


def _come_again(response: httpx.Response) -> float:
    """Seconds after which a busy backend wants to be asked again."""
    header = response.headers.get("Retry-After", "")
    return min(float(header), LONGEST_PAUSE) if header.isdecimal() else 1.0


def _problem_of(response: httpx.Response) -> s.ProblemReply:
    try:
        return s.ProblemReply.model_validate(response.json())
    except (ValidationError, ValueError):
        return s.ProblemReply(
            message=f"The backend answered {response.status_code} without saying why.",
            status=response.status_code,
            code="unknown_error",
            way_out="Look at the backend's log.",
        )
