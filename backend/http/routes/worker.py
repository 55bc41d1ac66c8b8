"""What workers and supervisors say: announce, claim, and the reports of an attempt."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from backend.api import schemas as s
from backend.http.auth import AttemptToken, require_worker
from backend.http.context import ContextDep
from backend.http.routes.route import Route
from backend.services import claim, ingest
from backend.store.models import Run
from backend.views.claims import claimed_attempt
from memgen.contract.rundir import attempt_dir

router = APIRouter(route_class=Route, prefix="/worker", tags=["worker"])
Offset = Annotated[int, Query(ge=0, description="Byte of the file at which the body starts.")]


async def raw_body(request: Request) -> bytes:
    """The bytes of a report; the doors have an eye on their number."""
    return await request.body()


Body = Annotated[bytes, Depends(raw_body)]


@router.post("/announce", dependencies=[Depends(require_worker)])
def announce(body: s.Announce, context: ContextDep) -> s.AnnounceReply:
    """A worker says that it is alive; the reply says when to say so again."""
    with context.database.write() as session:
        claim.announce(session, body, context.patience, at=context.clock())
    return s.AnnounceReply(announce_seconds=context.settings.announce_seconds)


@router.post("/claim", dependencies=[Depends(require_worker)])
def claim_work(body: s.ClaimRequest, context: ContextDep) -> s.ClaimReply:
    """Ask for the best waiting attempt that fits a slot."""
    with context.database.write() as session:
        free_disk = context.disk.spare(session)
        taken = claim.claim(session, body, context.patience, at=context.clock(), free_disk=free_disk)
        attempt = None if taken is None else claimed_attempt(taken, context.patience)
    return s.ClaimReply(attempt=attempt, instance=context.instance)


@router.post("/look", dependencies=[Depends(require_worker)])
def look_for_work(body: s.ClaimRequest, context: ContextDep) -> s.LookReply:
    """Whether a claim would get something now; nothing is claimed."""
    with context.database.read() as session:
        free_disk = context.disk.spare(session)
        return s.LookReply(has_work=claim.has_work(session, body, at=context.clock(), free_disk=free_disk))


@router.post("/attempts/{attempt_id}/heartbeat")
def heartbeat(attempt_id: int, token: AttemptToken, context: ContextDep) -> s.HeartbeatReply:
    """Extend the lease; the reply carries a stop request."""
    with context.database.write() as session:
        attempt = ingest.authorize(session, attempt_id, token)
        stop = ingest.beat(session, attempt, at=context.clock(), lease=context.settings.lease_seconds)
    return s.HeartbeatReply(stop=stop, lease_seconds=context.settings.lease_seconds)


@router.post("/attempts/{attempt_id}/log")
def log(attempt_id: int, offset: Offset, data: Body, token: AttemptToken, context: ContextDep) -> s.StreamReply:
    """Bytes of the log."""
    with context.database.write() as session:
        attempt = ingest.authorize(session, attempt_id, token)
        path = context.log_path(attempt.run_id, attempt.number)
        end = ingest.take_log(attempt, offset, data, path)
        session.add(attempt)
    return s.StreamReply(offset=end)


@router.post("/attempts/{attempt_id}/events")
def events(attempt_id: int, offset: Offset, data: Body, token: AttemptToken, context: ContextDep) -> s.StreamReply:
    """Lines of the events file."""
    with context.database.write() as session:
        attempt = ingest.authorize(session, attempt_id, token)
        end = ingest.take_events(session, attempt, offset, data, at=context.clock())
    return s.StreamReply(offset=end)


@router.post("/attempts/{attempt_id}/answers")
def answers(attempt_id: int, offset: Offset, data: Body, token: AttemptToken, context: ContextDep) -> s.StreamReply:
    """Lines of the answer file."""
    with context.database.write() as session:
        attempt = ingest.authorize(session, attempt_id, token)
        end = ingest.take_answers(session, attempt, offset, data)
    return s.StreamReply(offset=end)


@router.post("/attempts/{attempt_id}/rollouts")
def rollouts(attempt_id: int, offset: Offset, data: Body, token: AttemptToken, context: ContextDep) -> s.StreamReply:
    """Lines of the file of kept rollouts."""
    with context.database.write() as session:
        attempt = ingest.authorize(session, attempt_id, token)
        end = ingest.take_rollouts(session, attempt, offset, data)
    return s.StreamReply(offset=end)


@router.post("/attempts/{attempt_id}/finish")
def finish(attempt_id: int, body: s.FinishRequest, token: AttemptToken, context: ContextDep) -> s.FinishReply:
    """End an attempt; with its success its output gets its public path."""
    with context.database.read() as session:
        attempt = ingest.attempt_of(session, attempt_id, token)
        stage = session.get_one(Run, attempt.run_id).stage
        folder = attempt_dir(context.home, attempt.run_id, attempt.number, stage)
    end, steps = ingest.checked(stage, folder, body), folder.saved_steps()  # files: not in the writer's transaction
    with context.database.write() as session:
        attempt = ingest.attempt_of(session, attempt_id, token)
        if ingest.was_taken(attempt, end):
            return s.FinishReply()
        attempt = ingest.authorize(session, attempt_id, token)
        ingest.take_saved_steps(session, attempt, steps)
        actor = f"worker {attempt.host}"
        has_succeeded = ingest.finish(
            session,
            attempt,
            end,
            at=context.clock(),
            home=context.home,
            actor=actor,
            retry_pause=context.settings.pause_before_retry,
        )
    if has_succeeded:
        context.publisher.publish(attempt.run_id)
    context.doorbell.ring()  # its slot is free, and children may have been queued
    return s.FinishReply()
