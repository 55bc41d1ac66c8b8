"""What workers and supervisors say: announce, claim, and the reports of an attempt."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse

from backend.api import schemas as s
from backend.http.auth import AttemptToken, require_worker
from backend.http.context import Context, ContextDep
from backend.http.routes.route import Route
from backend.services import claim, ingest, jobs, machines, openings, transfer, try_sessions, try_work
from backend.store.models import Run
from backend.views.claims import claimed_attempt, claimed_session
from memgen.contract.manifest import CheckpointReport, survey
from memgen.contract.numbers import Time
from memgen.contract.rundir import RunDir, attempt_dir

router = APIRouter(route_class=Route, prefix="/worker", tags=["worker"])
Offset = Annotated[int, Query(ge=0, description="Byte of the file at which the body starts.")]
Clock = Annotated[Time | None, Query(description="What the worker's clock said when this was sent.")]
FileName = Annotated[str, Query(max_length=500, description="Path of a file in the checkpoint's folder.")]


async def raw_body(request: Request) -> bytes:
    """The bytes of a report; the doors have an eye on their number."""
    return await request.body()


Body = Annotated[bytes, Depends(raw_body)]


@router.post("/announce", dependencies=[Depends(require_worker)])
def announce(body: s.Announce, context: ContextDep) -> s.AnnounceReply:
    """A worker says that it is alive; the reply says when to say so again, and why it is given no work if it is not."""
    with context.database.write() as session:
        host = machines.announce(session, body, context.patience, at=context.clock()).host
    refusal = openings.refusal(host, body.versions)
    return s.AnnounceReply(announce_seconds=context.settings.announce_seconds, refusal=refusal)


@router.post("/claim", dependencies=[Depends(require_worker)])
def claim_work(body: s.ClaimRequest, context: ContextDep) -> s.ClaimReply:
    """Ask for the best waiting attempt that fits a slot; where there is none, for a session."""
    openings.refuse_other_version(body)
    with context.database.write() as session:
        free_disk = context.disk.spare(session)
        taken = claim.claim(session, body, context.patience, at=context.clock(), free_disk=free_disk)
        attempt = None if taken is None else claimed_attempt(taken, context.patience)
        held = try_work.claim(session, body, context.patience, at=context.clock()) if taken is None else None
        one = None if held is None else claimed_session(held, context.patience)
    return s.ClaimReply(attempt=attempt, session=one, instance=context.instance)


@router.post("/look", dependencies=[Depends(require_worker)])
def look_for_work(body: s.ClaimRequest, context: ContextDep) -> s.LookReply:
    """Whether a claim would get something now; nothing is claimed."""
    openings.refuse_other_version(body)
    at = context.clock()
    with context.database.read() as session:
        free_disk = context.disk.spare(session)
        has_work = claim.has_work(session, body, context.patience, at=at, free_disk=free_disk)
        return s.LookReply(has_work=has_work or try_work.has_work(session, body, context.patience, at=at))


@router.post("/jobs/{job_id}/claim")
def claim_job(job_id: int, body: s.ClaimRequest, token: AttemptToken, context: ContextDep) -> s.ClaimedAttempt:
    """Ask, with a ticket, for the attempt that a site's job is there for."""
    with context.database.write() as session:
        job = jobs.authorize(session, job_id, token, at=context.clock())
        openings.refuse_other_version(body)
        taken = jobs.claim(session, job, body, context.patience, at=context.clock())
        return claimed_attempt(taken, context.patience)


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
def events(
    attempt_id: int, offset: Offset, data: Body, token: AttemptToken, context: ContextDep, clock: Clock = None
) -> s.StreamReply:
    """Lines of the events file, whose times are stored by the backend's clock."""
    with context.database.write() as session:
        attempt = ingest.authorize(session, attempt_id, token)
        end = ingest.take_events(session, attempt, offset, data, at=context.clock(), clock=clock)
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


@router.get("/attempts/{attempt_id}/start")
def start(attempt_id: int, token: AttemptToken, context: ContextDep) -> s.StartReply:
    """The checkpoint that an attempt starts from: for a machine that does not share the backend's disk."""
    return s.StartReply(report=survey(_start_of(context, attempt_id, token)))


@router.get("/attempts/{attempt_id}/start/file", response_class=FileResponse)
def start_file(attempt_id: int, name: FileName, token: AttemptToken, context: ContextDep) -> FileResponse:
    """A file of that checkpoint; a `Range` header asks for the rest of it."""
    path = transfer.file_of_start(_start_of(context, attempt_id, token), name)
    return FileResponse(path, media_type="application/octet-stream", headers={"Cache-Control": "no-store"})


@router.get("/attempts/{attempt_id}/output")
def output(attempt_id: int, token: AttemptToken, context: ContextDep) -> s.OutputReply:
    """How much of the checkpoint of an attempt has come."""
    return s.OutputReply(received=transfer.received(_folder_of(context, attempt_id, token)))


@router.post("/attempts/{attempt_id}/output")
def take_output(
    attempt_id: int, name: FileName, offset: Offset, data: Body, token: AttemptToken, context: ContextDep
) -> s.StreamReply:
    """A piece of a file of the checkpoint that a training has left on a disk of its own."""
    return s.StreamReply(offset=transfer.take(_folder_of(context, attempt_id, token), name, offset, data))


@router.post("/attempts/{attempt_id}/output/place")
def place_output(attempt_id: int, body: CheckpointReport, token: AttemptToken, context: ContextDep) -> s.OutputReply:
    """All files have come: they are compared with their hashes and become the checkpoint of the attempt."""
    folder = _folder_of(context, attempt_id, token)
    transfer.place(folder, body)
    return s.OutputReply(received=transfer.received(folder))


def _start_of(context: Context, attempt_id: int, token: str) -> Path:
    with context.database.read() as session:
        return transfer.start_of(session, ingest.authorize(session, attempt_id, token), context.home)


def _folder_of(context: Context, attempt_id: int, token: str) -> RunDir:
    with context.database.read() as session:
        attempt = ingest.authorize(session, attempt_id, token)
        stage = session.get_one(Run, attempt.run_id).stage
        return attempt_dir(context.home, attempt.run_id, attempt.number, stage)


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


@router.post("/sessions/{session_id}/heartbeat")
def beat_session(session_id: int, token: AttemptToken, context: ContextDep) -> s.SessionBeatReply:
    """Extend the lease; the reply carries questions, and a stop request."""
    settings = context.settings
    times = try_work.TryTimes(settings.try_idle_seconds, settings.try_absent_seconds)
    at, lease = context.clock(), settings.lease_seconds
    with context.database.read() as session:
        reply = try_work.glance(session, try_work.authorize(session, session_id, token), at=at, lease=lease)
    if reply is not None:
        return reply
    with context.database.write() as session:
        one = try_work.authorize(session, session_id, token)
        return try_work.beat(session, one, times, at=at, lease=lease)


@router.post("/sessions/{session_id}/events")
def session_events(
    session_id: int, offset: Offset, data: Body, token: AttemptToken, context: ContextDep
) -> s.StreamReply:
    """Lines of the events file of a session."""
    with context.database.write() as session:
        one = try_work.authorize(session, session_id, token)
        end = try_work.take_events(session, one, offset, data, at=context.clock())
    return s.StreamReply(offset=end)


@router.post("/sessions/{session_id}/finish")
def finish_session(session_id: int, body: s.FinishRequest, token: AttemptToken, context: ContextDep) -> s.FinishReply:
    """The trainer of a session has ended."""
    with context.database.write() as session:
        one = try_work.session_of(session, session_id, token)
        if one.status in try_sessions.HELD:  # else the reply to this end was lost on its way
            try_work.finish(session, one, body, at=context.clock())
    context.doorbell.ring()  # its slot is free
    return s.FinishReply()
