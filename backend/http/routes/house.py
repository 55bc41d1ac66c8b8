"""The house: health, workers, queue."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlmodel import select

from backend.api import schemas as s
from backend.http.auth import require_user
from backend.http.context import Context, ContextDep
from backend.http.routes.route import Route
from backend.services import claim, drains
from backend.services.machines import versions_of
from backend.services.openings import refusal
from backend.store.models import Worker
from backend.views import views
from backend.views.home import home as state_of_everything
from backend.views.machines import machines, sick_slots
from memgen import __version__

router = APIRouter(route_class=Route, dependencies=[Depends(require_user)], tags=["house"])


@router.get("/health")
def health(context: ContextDep) -> s.HealthOut:
    """Whether the service and what it needs are well."""
    around = context.look_around_first()
    age = context.reconciler.age()
    with context.database.read() as session:
        workers = list(session.exec(select(Worker)))
    reasons = [refusal(one.host, versions_of(one)) for one in workers if around.is_alive(one)]
    refusals = [one for one in reasons if one is not None]
    alive = len(reasons) - len(refusals)
    sick = sick_slots(workers, around)
    late = age is not None and age > 10 * context.settings.reconcile_seconds
    return s.HealthOut(
        status="ok" if around.broker == "ok" and alive and not (late or sick or refusals) else "degraded",
        version=__version__,
        database="ok",
        broker=around.broker,
        reconciler_age_seconds=age,
        reconciler_round_seconds=context.reconciler.took,
        workers_alive=alive,
        home_free_bytes=context.disk.free,
        sick_slots=sick,
        refusals=refusals,
    )


@router.get("/home")
def home(context: ContextDep) -> s.HomeOut:
    """What runs, what needs attention, what waits and why, what came out, and what is free."""
    around = context.look_around()
    with context.database.read() as session:
        return state_of_everything(session, context.gains, around)


@router.get("/workers")
def workers(context: ContextDep) -> s.WorkerList:
    """Workers that have announced themselves, and what their slots do."""
    return _workers(context)


@router.post("/workers/drain")
def drain(body: s.DrainRequest, context: ContextDep) -> s.WorkerList:
    """Give a machine, or one of its slots, nothing new while it finishes what it has; or give it work again."""
    with context.database.write() as session:
        if body.drained:
            drains.drain(session, body.host, body.slot, at=context.clock())
        else:
            drains.undrain(session, body.host, body.slot)
    if not body.drained:
        context.doorbell.ring()
    return _workers(context)


@router.get("/queue")
def queue(
    context: ContextDep,
    limit: Annotated[int | None, Query(ge=1, le=1000, description="Most runs, the first; empty for all.")] = None,
) -> s.QueueOut:
    """Queued runs in the order in which they are handed out."""
    return _queue(context, limit)


@router.post("/queue/pause")
def pause(body: s.PauseRequest, context: ContextDep) -> s.QueueOut:
    """Pause or resume the queue; running runs go on."""
    with context.database.write() as session:
        claim.pause(session, body.paused)
    if not body.paused:
        context.doorbell.ring()
    return _queue(context, None)


def _queue(context: Context, limit: int | None) -> s.QueueOut:
    with context.database.read() as session:
        priorities = [priority for _, priority in claim.queued_priorities(session)]
        rows = [run for _, run in claim.queued(session, limit)]
        around = context.look_around()
        items = views.runs_out(session, rows, around)
        sick = sick_slots(session.exec(select(Worker)), around)
        return s.QueueOut(
            paused=claim.paused(session),
            items=items,
            total=len(priorities),
            lowest_priority=priorities[-1] if priorities else None,
            sick_slots=sick,
        )


def _workers(context: Context) -> s.WorkerList:
    with context.database.read() as session:
        return s.WorkerList(items=machines(session, context.look_around()))
