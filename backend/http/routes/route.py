"""What all routes share: a body is parsed in a thread, so that nobody else waits for it."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

SHORT = 4096  # bytes that are parsed faster than a thread is asked


class Route(APIRoute):
    """A route whose body is parsed beside the event loop."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of FastAPI, given requests that parse so."""
        handle = super().get_route_handler()

        async def handle_beside(request: Request) -> Response:
            return await handle(_Request(request.scope, request.receive))

        return handle_beside


class _Request(Request):
    async def json(self) -> Any:
        body = await self.body()
        return json.loads(body) if len(body) <= SHORT else await run_in_threadpool(json.loads, body)
