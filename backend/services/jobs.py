"""Jobs of sites: what is handed in for a queued attempt, what its batch system says of it, and when it is done with.

The attempt's own report is the truth about it; what a batch system lists is a hint. A job is open until nothing is left
to do for it, and a run has a job for its next attempt only when that of the one before is closed.
"""

import hmac
import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from backend.api.schemas import ClaimRequest
from backend.errors import LARGEST_INTEGER, Conflict, Unauthorized
from backend.executors.executor import Site, Size, TheirJob
from backend.services import drains, fit, lifecycle
from backend.services.apart import apart
from backend.services.claim import Claim, hand_out, hash_token, paused, queued_for
from backend.services.disk import disk_of
from backend.services.machines import Patience
from backend.store.models import Attempt, Job, Run
from memgen.contract.planner.placement import gib
from memgen.contract.problem import Problem
from memgen.contract.status import ATTEMPT_ENDED, AttemptStatus, Cause, RunStatus

log = logging.getLogger(__name__)
SUBMITTING, REFUSED, PENDING, ENDED, CANCELLED = "submitting", "refused", "pending", "ended", "cancelled"
"""Phases of a job here; those after it was taken are the batch system's."""
ACTOR = "dispatcher"
AT_ONCE = 20  # orders of one round
UNHEARD_SECONDS = 60.0  # after which an order that nobody answered, and that no list shows, counts as not taken
VANISHED_SECONDS = 15.0  # that a job is missing from the list before it counts as gone
TIME_TO_END = 20.0  # seconds that a job has to end by itself after its attempt
TIME_TO_SAY = 90.0  # the same where what the batch system says of its end decides what becomes of the run
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 600.0  # seconds after a refusal, doubled with each


@dataclass(frozen=True)
class Pending:
    """A job that is to be handed in."""

    job_id: int
    size: Size
    ticket: str


def name_of(prefix: str, job_id: int) -> str:
    """How a job is called in its batch system, and its files in the site's folder."""
    return f"{prefix}-{job_id}"


def prefix_of(instance: str) -> str:
    """How names of all jobs of a home begin; a batch system may have jobs of several homes."""
    return f"memgen-{instance[:8]}"


def open_jobs(session: Session, site: str) -> list[Job]:
    """Jobs of a site for which something is left to do."""
    return list(
        session.exec(select(Job).where(col(Job.site) == site, col(Job.closed_at).is_(None)).order_by(col(Job.id)))
    )


def has_open(session: Session, run_id: int) -> bool:
    """Whether something is left to do for a job of a run."""
    jobs = select(Job.id).where(col(Job.run_id) == run_id, col(Job.closed_at).is_(None))
    return session.exec(jobs.limit(1)).first() is not None


def has_queued(session: Session, site: str) -> bool:
    """Whether a run of this site waits for its turn."""
    waiting = (
        select(Attempt.id)
        .join(Run, col(Run.id) == col(Attempt.run_id))
        .where(col(Attempt.status) == AttemptStatus.QUEUED, col(Run.site) == site)
    )
    return session.exec(waiting.limit(1)).first() is not None


def newest_job(session: Session, run_id: int, attempt: int) -> Job | None:
    """What was last asked for an attempt."""
    query = select(Job).where(col(Job.run_id) == run_id, col(Job.attempt) == attempt).order_by(col(Job.id).desc())
    return session.exec(query.limit(1)).first()


def numbers_of(session: Session, run_id: int) -> dict[int, str]:
    """By number of the attempt: the job that its batch system ran, or has, for it."""
    jobs = session.exec(
        select(Job).where(col(Job.run_id) == run_id, col(Job.number).is_not(None)).order_by(col(Job.id))
    )
    return {job.attempt: job.number or "" for job in jobs}


def in_queue(session: Session, site: str) -> int:
    """How many jobs of ours a site has."""
    count = select(func.count()).where(
        col(Job.site) == site, col(Job.closed_at).is_(None), col(Job.phase).not_in([REFUSED])
    )
    return session.exec(count).one()


def next_orders(session: Session, site: Site, *, at: float, free_disk: int) -> list[Pending]:
    """Make jobs of the attempts whose turn it is, each with a ticket; they count as being handed in from now on."""
    if paused(session) or site.name in drains.drained_sites(session):
        return []
    room = min(AT_ONCE, site.most_jobs - in_queue(session, site.name))
    by_run: dict[int, list[Job]] = {}
    for job in open_jobs(session, site.name):
        by_run.setdefault(job.run_id, []).append(job)
    orders: list[Pending] = []
    for attempt, run in queued_for(session, site.name):
        if len(orders) >= room:
            break
        jobs = by_run.get(run.id, [])
        refused = next((job for job in jobs if job.phase == REFUSED and job.attempt == attempt.number), None)
        if len(jobs) > (refused is not None) or attempt.not_before > at or (refused and refused.not_before > at):
            continue
        if disk_of(session, run) > free_disk:
            continue
        order = _order(session, site, run, attempt, refused, at)
        if order is not None:
            orders.append(order)
    return orders


def _order(session: Session, site: Site, run: Run, attempt: Attempt, refused: Job | None, at: float) -> Pending | None:
    job = refused or Job(run_id=run.id, attempt=attempt.number, site=site.name, phase=SUBMITTING, tried_at=at)
    job.tried_at, job.tries = at, job.tries + 1
    session.add(job)
    size = size_for(session, site, run)
    if size is None:
        was_refused(session, job, too_large(site), at=at)
        return None
    job.phase, job.words = SUBMITTING, ""
    job.size = size.name
    ticket = new_ticket(job, site, at=at)
    session.flush()
    return Pending(job.id, size, ticket)


def size_for(session: Session, site: Site, run: Run) -> Size | None:
    """The first size of a site that holds a run."""
    fitting = (size for size in site.offers if fit.place_run(session, run, size.device, size.device_memory))
    return next(fitting, None)


def too_large(site: Site) -> str:
    """That no size of a site holds a run."""
    largest = max(site.offers, key=lambda size: sum(size.device_memory))
    has = gib(largest.device_memory[0])
    return f"it needs more than any of its sizes has; the largest is {largest.name} with {max(1, largest.gpus)} x {has}"


def new_ticket(job: Job, site: Site, *, at: float) -> str:
    """A new secret with which the job's worker may claim its attempt; an earlier one is good for nothing any more."""
    ticket = secrets.token_urlsafe(24)
    job.ticket_hash, job.ticket_until = hash_token(ticket), at + 3600 * site.ticket_hours
    return ticket


def to_renew(session: Session, site: Site, *, at: float) -> list[int]:
    """Jobs that have not begun and whose tickets have lived half of their time."""
    due = at + 1800 * site.ticket_hours
    return [job.id for job in open_jobs(session, site.name) if job.ticket_hash and (job.ticket_until or 0.0) < due]


def was_taken(session: Session, job_id: int, number: str) -> None:
    """The batch system has taken an order."""
    job = session.get_one(Job, job_id)
    job.number, job.phase, job.words, job.missing_since = number, PENDING, "", None
    session.add(job)


def was_refused(session: Session, job: Job, words: str, *, at: float) -> None:
    """The batch system does not take an order, or none of its sizes is large enough: it is tried again later."""
    job.phase, job.words, job.number = REFUSED, words, None
    job.ticket_hash = job.ticket_until = None
    job.not_before = at + min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(job.tries - 1, 20))
    session.add(job)


def put_back(session: Session, job_id: int, *, at: float) -> None:
    """An order that was made and not handed in."""
    job = session.get_one(Job, job_id)
    job.tries -= 1
    was_refused(session, job, "it was not asked", at=at)
    job.not_before = at


def take_states(
    session: Session, site: str, theirs: Mapping[int, Sequence[TheirJob]], outputs: Mapping[int, str], *, at: float
) -> list[str]:
    """Bring what a batch system lists together with what is known of the attempts.

    Args:
        session: the transaction.
        site: whose jobs they are.
        theirs: the listed jobs by ours; several of one name where an order was taken twice.
        outputs: of jobs that ended the last line that they printed.
        at: seconds since 1970.

    Returns:
        Numbers of jobs that are to be cancelled.
    """
    unwanted: list[str] = []
    jobs = open_jobs(session, site)
    for job in jobs:
        with apart(session, f"looking at job {job.id} of run {job.run_id}"):
            _see(session, job, theirs.get(job.id, ()), at)
            unwanted += _settle(session, job, outputs.get(job.id, ""), at)
    kept = {job.number for job in jobs}
    for listed in theirs.values():
        unwanted += [one.number for one in listed if one.number not in kept and one.phase in {"pending", "running"}]
    return unwanted


def _see(session: Session, job: Job, listed: Iterable[TheirJob], at: float) -> None:
    """Take over what the batch system says of a job."""
    by_number = {one.number: one for one in listed}
    session.add(job)
    if job.phase == REFUSED:
        return
    if job.number is None:
        if by_number:  # it was taken, and the answer was lost
            job.number = max(by_number, key=lambda number: (len(number), number))
        elif at - job.tried_at > UNHEARD_SECONDS:
            was_refused(session, job, "it did not answer in time", at=at)
            return
        else:
            return
    seen = by_number.get(job.number)
    if seen is not None:
        job.phase, job.words, job.missing_since = seen.phase, seen.words, None
    elif job.phase not in {ENDED, CANCELLED}:
        job.missing_since = at if job.missing_since is None else job.missing_since
        if at - job.missing_since >= VANISHED_SECONDS:
            job.phase, job.words = ENDED, "it is not there any more"


def _settle(session: Session, job: Job, output: str, at: float) -> list[str]:
    """Draw the conclusions; returns the number of a job that is to be cancelled."""
    run = session.get_one(Run, job.run_id)
    attempt = lifecycle.attempts_of(session, run.id)[job.attempt - 1]
    if attempt.status not in ATTEMPT_ENDED:
        if attempt.status == AttemptStatus.QUEUED and job.phase == CANCELLED:
            _cancel_run(session, run, job, at)
        elif attempt.status == AttemptStatus.QUEUED and job.phase == ENDED:
            _ended_unclaimed(session, run, attempt, job, output, at)
        return []  # an attempt under way speaks for itself, whatever is said of its job
    job.left_at = at if job.left_at is None else job.left_at
    goes_on = attempt.cause in {Cause.INTERRUPTED, Cause.LOST} and run.status == RunStatus.QUEUED
    if job.phase == CANCELLED and goes_on:
        _cancel_run(session, run, job, at)
    if job.number is None or job.phase in {CANCELLED, ENDED}:
        _close(session, job, at)
        return []
    patience = TIME_TO_SAY if goes_on else TIME_TO_END
    is_at_work = attempt.claimed_at is not None and attempt.status != AttemptStatus.LOST
    if is_at_work and at - job.left_at < patience:
        return []
    _close(session, job, at)
    return [job.number]


def _cancel_run(session: Session, run: Run, job: Job, at: float) -> None:
    """Somebody has cancelled the job where it is: that is meant for the run, which can be resumed."""
    detail = f"job {job.number} of site {job.site} was cancelled there"
    attempt = lifecycle.attempts_of(session, run.id)[-1]
    lifecycle.change_attempt(
        session, attempt, AttemptStatus.STOPPED, actor=ACTOR, at=at, cause=Cause.STOPPED, detail=detail
    )
    lifecycle.change_run(session, run, RunStatus.CANCELLED, actor=ACTOR, at=at, cause=Cause.STOPPED, detail=detail)
    _close(session, job, at)


def _ended_unclaimed(session: Session, run: Run, attempt: Attempt, job: Job, output: str, at: float) -> None:
    """Hand the attempt in once more while the run has retries, else give it up."""
    said = f"; it said last: {output}" if output else ""
    detail = f"job {job.number} of site {job.site} has ended before it began with the run: {job.words}{said}"
    log.warning("run %s: %s", run.id, detail)
    _close(session, job, at)
    if run.retries_left > 0:
        run.retries_left -= 1
        session.add(run)
        lifecycle.note(
            session, run, "job", None, None, cause=Cause.JOB, actor=ACTOR, at=at, detail=f"{detail}; handed in again",
            attempt=attempt.number,
        )  # fmt: skip
        return
    run.failure = Problem(
        code="job_failed",
        message=f"{detail[:1].upper()}{detail[1:]}. No retry is left.",
        field="site",
        value=job.site,
        way_out="Look at its output in the site's folder, mend that, then retry.",
    )
    session.add(run)
    session.flush()
    lifecycle.change_attempt(session, attempt, AttemptStatus.FAILED, actor=ACTOR, at=at, cause=Cause.JOB, detail=detail)
    lifecycle.change_run(session, run, RunStatus.FAILED, actor=ACTOR, at=at, cause=Cause.JOB, detail=detail)


def has_open_elsewhere(session: Session, known: Iterable[str]) -> bool:
    """Whether there are open jobs of sites that the operator has taken out of the file."""
    return session.exec(_elsewhere(known).limit(1)).first() is not None


def close_elsewhere(session: Session, known: Iterable[str], *, at: float) -> None:
    """Close jobs of sites that the operator has taken out of the file, once their attempts have ended."""
    for job in session.exec(_elsewhere(known)):
        if lifecycle.attempts_of(session, job.run_id)[job.attempt - 1].status in ATTEMPT_ENDED:
            _close(session, job, at)


def _elsewhere(known: Iterable[str]) -> SelectOfScalar[Job]:
    return select(Job).where(col(Job.closed_at).is_(None), col(Job.site).not_in(list(known)))


def _close(session: Session, job: Job, at: float) -> None:
    job.closed_at, job.ticket_hash, job.ticket_until = at, None, None
    session.add(job)
    session.flush()


def authorize(session: Session, job_id: int, ticket: str, *, at: float) -> Job:
    """The job that this ticket speaks for.

    Raises:
        Unauthorized: `wrong_token`: it is another's, was used, is too old, or never was.
    """
    job = session.get(Job, job_id) if abs(job_id) <= LARGEST_INTEGER else None
    stored = (job.ticket_hash if job is not None and (job.ticket_until or 0.0) > at else None) or ""
    if job is None or not hmac.compare_digest(stored, hash_token(ticket)):
        raise Unauthorized(
            "wrong_token",
            "the ticket is not that of this job, was used, or is too old",
            field="Authorization",
            way_out="A ticket is good for one claim; if the run is still queued, another job is handed in for it.",
        )
    return job


def claim(session: Session, job: Job, request: ClaimRequest, patience: Patience, *, at: float) -> Claim:
    """Give a job's attempt to the worker that the batch system has started for it.

    Raises:
        Conflict: `not_queued`, if the run was stopped meanwhile; `does_not_fit`.
    """
    run = session.get_one(Run, job.run_id)
    attempt = lifecycle.attempts_of(session, run.id)[-1]
    if attempt.number != job.attempt or attempt.status != AttemptStatus.QUEUED or run.status != RunStatus.QUEUED:
        raise Conflict(
            "not_queued",
            f"run {run.id} is {run.status} and waits for no worker",
            field="run_id",
            value=run.id,
            way_out="Nothing is left to do for this job.",
        )
    placement = fit.place_run(session, run, request.slot.device, request.free_device_memory)
    if placement is None:
        raise Conflict(
            "does_not_fit",
            f"run {run.id} needs more memory than is free on {request.host}",
            field="free_memory",
            value=gib(min(request.free_device_memory)),
            way_out="Ask for more memory in the flags of the site's size, or for a machine without other jobs.",
        )
    job.ticket_hash = job.ticket_until = None
    session.add(job)
    return hand_out(session, attempt, run, placement, request, patience, at)
