"""The application: routes over one context, with the reconciler beside them."""

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse

from backend.http import problems
from backend.http.api_document import describe_errors
from backend.http.api_page import CONTENT_SECURITY_POLICY, api_page
from backend.http.auth import Guard
from backend.http.context import Context
from backend.http.doors import Doors, Pace
from backend.http.identity import Identity
from backend.http.known_host import KnownHost
from backend.http.lanes import Lanes
from backend.http.routes import (
    bulk,
    chain,
    compare,
    curves,
    data_sets,
    house,
    launch,
    notifications,
    pipelines,
    runs,
    saved_launches,
    saved_views,
    search,
    sites,
    tags,
    trying,
    worker,
)
from backend.notifying.notifier import Notifier
from backend.services.channel_addresses import ChannelAddresses
from backend.services.disk import SpareDisk
from backend.services.dispatch import Dispatcher
from backend.services.enqueue import Doorbell
from backend.services.gains import Gains
from backend.services.outputs import Publisher
from backend.services.reconcile import Reconciler
from backend.services.runs import largest_used_id, skip_ids
from backend.services.site_board import SiteBoard
from backend.settings import Settings
from backend.store.db import Database
from memgen import __version__
from memgen.contract.data_sets.registry import say_broken_plugins, use_home

log = logging.getLogger(__name__)


ROOMS = (
    launch, saved_launches, data_sets, runs, bulk, pipelines, chain, compare, curves, tags, saved_views, search,
    notifications, house, sites, trying, worker,
)  # fmt: skip
# made once: the routes of one application serve the next one as well, and what FastAPI derives from them takes longer
# than all else that an application needs
API = APIRouter(prefix="/api/v1")
for room in ROOMS:
    API.include_router(room.router)


def create_app(settings: Settings, *, clock: Callable[[], float] = time.time, pace: Pace | None = None) -> FastAPI:
    """Build the application: migrate the database, then serve.

    Args:
        settings: where it lives and how patient it is.
        clock: seconds since 1970.
        pace: how long a client may take; usual times if None.
    """
    use_home(settings.home)
    say_broken_plugins(log.warning)
    settings.home.mkdir(parents=True, exist_ok=True)
    board = SiteBoard(settings.sites, settings.home, clock)
    database = Database(settings.database)
    database.migrate()
    largest = largest_used_id(settings.home)
    with database.write() as session:
        skip_ids(session, largest)
    publisher = Publisher(database, settings.home)
    publisher.catch_up(at=clock())
    doorbell = Doorbell(settings.redis_url)
    disk = SpareDisk(settings.home)
    reconciler = Reconciler(database, settings, disk, publisher, lambda: _ignore(doorbell.ring()), clock=clock)
    gains, addresses = Gains(), ChannelAddresses(settings.home)
    notifier = Notifier(database, settings, addresses, gains, clock=clock)
    dispatcher = Dispatcher(database, settings, disk, board, settings.instance(), clock=clock)
    context = Context(
        settings=settings,
        database=database,
        disk=disk,
        doorbell=doorbell,
        publisher=publisher,
        reconciler=reconciler,
        notifier=notifier,
        board=board,
        dispatcher=dispatcher,
        addresses=addresses,
        gains=gains,
        user_token=settings.user_token(),
        worker_token=settings.workers_token(),
        instance=settings.instance(),
        clock=clock,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        reconciler.start()
        notifier.start()
        dispatcher.start()
        yield
        dispatcher.stop()
        notifier.stop()
        reconciler.stop()
        doorbell.close()
        database.close()

    app = FastAPI(
        title="MemGen Studio",
        version=__version__,
        summary="Launch, watch and judge MemGen runs.",
        lifespan=lifespan,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # FastAPI's pages load their scripts from a foreign host
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat the Host header
    )
    app.state.context = context
    problems.install(app)
    describe_errors(app)
    app.add_middleware(Lanes, commits=lambda: database.commits)  # the innermost comes first here
    app.add_middleware(Doors, guard=Guard(context), pace=pace or Pace(), upload=settings.upload_bytes)
    app.add_middleware(Identity, instance=context.instance)
    app.add_middleware(KnownHost, hosts=settings.hosts())
    app.router.routes.extend(API.routes)
    for path in ("/docs", "/redoc"):
        app.add_api_route(path, _documentation, include_in_schema=False)
    return app


def _documentation(request: Request) -> HTMLResponse:
    # no function inside `create_app`: FastAPI remembers thousands of endpoints, and each would keep its application
    page = api_page(request.app.openapi())
    return HTMLResponse(page, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})


def _ignore(_: str) -> None:
    """The doorbell logs why it could not ring; the reconciler rings again anyway."""
