"""The application: routes over one context, with the reconciler beside them."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend import errors
from backend.context import Context
from backend.db import Database
from backend.enqueue import Doorbell
from backend.identity import Identity
from backend.routes import chain, compare, house, launch, pipelines, runs, worker
from backend.schemas import Problem
from backend.services.reconcile import Reconciler
from backend.services.runs import skip_used_ids
from backend.settings import Settings
from memgen import __version__

LARGEST_BODY = worker.MAX_BODY + 2**20  # bytes; a report of a trainer's files is the largest and has its own limit


def create_app(settings: Settings, *, clock: Callable[[], float] = time.time) -> FastAPI:
    """Build the application: migrate the database, then serve.

    Args:
        settings: where it lives and how patient it is.
        clock: seconds since 1970.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database)
    database.migrate()
    with database.write() as session:
        skip_used_ids(session, settings.home)
    doorbell = Doorbell(settings.redis_url)
    reconciler = Reconciler(database, settings, lambda: _ignore(doorbell.ring()), clock=clock)
    context = Context(
        settings=settings,
        database=database,
        doorbell=doorbell,
        reconciler=reconciler,
        user_token=settings.user_token(),
        worker_token=settings.workers_token(),
        instance=settings.instance(),
        clock=clock,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        reconciler.start()
        yield
        reconciler.stop()
        doorbell.close()
        database.close()

    app = FastAPI(
        title="MemGen Studio",
        version=__version__,
        summary="Launch, watch and judge MemGen runs.",
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        responses={"4XX": {"model": Problem, "description": "What is wrong, and the way out."}},
    )
    app.state.context = context
    errors.install(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(Identity, instance=context.instance)
    for module in (launch, runs, pipelines, chain, compare, house, worker):
        app.include_router(module.router, prefix="/api/v1")
    return app


class BodyLimit:
    """Refuses a body larger than any request of ours: it is read before the token is looked at."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, counting its bytes."""
        taken = 0

        async def limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST_BODY:
                raise HTTPException(413, f"A request has at most {LARGEST_BODY} bytes.")
            return message

        await self._app(scope, limited, send)


def _ignore(_: str) -> None:
    """The doorbell logs why it could not ring; the reconciler rings again anyway."""
