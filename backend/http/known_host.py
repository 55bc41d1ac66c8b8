"""Refuses requests for a host that this service is not, and says what no reply is meant for."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.http.problems import problem_json
from backend.serving.hosts import AllowedHosts
from memgen.contract.problem import Problem

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


class KnownHost:
    """Lets through what names this service in its Host header; every reply tells browsers to make no page of it.

    Args:
        app: what answers.
        hosts: names of this service.
    """

    def __init__(self, app: ASGIApp, hosts: AllowedHosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, or refuse it without reading its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        given = Headers(scope=scope).getlist("host")
        allowed = len(given) == 1 and self._hosts.allows(given[0])
        await (self._app if allowed else _refusal(given))(scope, receive, with_headers)


def _refusal(given: list[str]) -> JSONResponse:
    problem = Problem(
        code="unknown_host",
        message="the API is not known by this name",
        field="Host",
        value=", ".join(given),
        way_out="Use 127.0.0.1 or the address that it listens on, or add the name to MEMGEN_ALLOWED_HOSTS.",
    )
    return problem_json(400, problem)
