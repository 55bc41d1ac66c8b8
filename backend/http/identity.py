"""Which home a backend serves: supervisors outlive it, and something else may answer at its address by then."""

from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.schemas import INSTANCE_HEADER
from backend.http.problems import problem_json
from memgen.contract.problem import Problem


class Identity:
    """Names the instance in every reply, and refuses requests that are meant for another one.

    Args:
        app: what answers.
        instance: name of this home.
    """

    def __init__(self, app: ASGIApp, instance: str) -> None:
        self._app = app
        self._instance = instance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on if it is meant for this home or for any."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[INSTANCE_HEADER] = self._instance
            await send(message)

        wanted = Headers(scope=scope).get(INSTANCE_HEADER)
        app = self._app if wanted in {None, self._instance} else _refusal(wanted or "")
        await app(scope, receive, named)


def _refusal(wanted: str) -> JSONResponse:
    problem = Problem(
        code="other_instance",
        message="this backend serves another home",
        field=INSTANCE_HEADER,
        value=wanted,
        way_out="Start the backend of the home that the request is meant for.",
    )
    return problem_json(HTTPStatus.MISDIRECTED_REQUEST, problem)
