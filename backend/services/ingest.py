"""What supervisors report: beats, bytes of the three streams by offset, and the end of an attempt."""

import hmac
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Session, col, select

from backend.api.schemas import FinishRequest
from backend.errors import LARGEST_INTEGER, Stale, Unauthorized, WrongOffset
from backend.services import alarms, checkpoints, children, lifecycle, retries, rollouts
from backend.services.claim import hash_token
from backend.services.clocks import by_ours, seconds_ahead
from backend.store.models import Answer, Attempt, Metric, ReportedMetric, Run
from memgen.contract import events as ev
from memgen.contract.answers import Summary, parse_line
from memgen.contract.config import stored_config
from memgen.contract.errors import BadInput, first_error
from memgen.contract.json_file import lines_of
from memgen.contract.numbers import sendable
from memgen.contract.problem import Problem
from memgen.contract.rundir import RunDir, attempt_dir, published_dir
from memgen.contract.status import ATTEMPT_LIVE, AttemptStatus, Cause, RunStatus, StopMode

log = logging.getLogger(__name__)
MOST_NUMBERS, MOST_NAME = 500, 100  # of a summary, and characters of the name of one


def authorize(session: Session, attempt_id: int, token: str) -> Attempt:
    """The live attempt that this token speaks for.

    Raises:
        Unauthorized: the token is not that attempt's, or the attempt never was.
        Stale: the attempt has ended.
    """
    attempt = attempt_of(session, attempt_id, token)
    if attempt.status not in ATTEMPT_LIVE:
        raise Stale(f"attempt {attempt.number} of run {attempt.run_id} is {attempt.status}")
    return attempt


def was_taken(attempt: Attempt, request: FinishRequest) -> bool:
    """Whether this end was taken before, and the reply was lost on its way."""
    return attempt.status == request.outcome


def attempt_of(session: Session, attempt_id: int, token: str) -> Attempt:
    """The attempt that this token speaks for, live or not.

    Raises:
        Unauthorized: `wrong_token`, whether the attempt is another's or never was: attempts can't be counted.
    """
    attempt = session.get(Attempt, attempt_id) if abs(attempt_id) <= LARGEST_INTEGER else None
    stored = (attempt.token_hash if attempt is not None else None) or ""
    if attempt is None or not hmac.compare_digest(stored, hash_token(token)):
        raise Unauthorized(
            "wrong_token",
            "the token is not that of this attempt",
            field="Authorization",
            way_out="Use the token that the claim gave; an attempt that was deleted takes no reports.",
        )
    return attempt


def beat(session: Session, attempt: Attempt, *, at: float, lease: float) -> StopMode | None:
    """Extend the lease; returns the stop that was asked for, if any."""
    attempt.lease_until = at + lease
    session.add(attempt)
    return StopMode(attempt.stop_mode) if attempt.stop_mode else None


def take_log(attempt: Attempt, offset: int, data: bytes, path: Path) -> int:
    """Store bytes of the log; returns the offset after them."""
    expect_offset(attempt.log_offset, offset)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if path.exists() else "wb") as file:
        file.seek(offset)  # bytes of a transaction that was undone are written again
        file.write(data)
        file.truncate()
    attempt.log_offset = offset + len(data)
    return attempt.log_offset


def take_events(
    session: Session, attempt: Attempt, offset: int, data: bytes, *, at: float, clock: float | None = None
) -> int:
    """Store whole lines of the events file; returns the offset after the last one.

    Args:
        session: the transaction.
        attempt: whose file it is.
        offset: byte at which the data begins.
        data: of the file.
        at: seconds since 1970 by our clock.
        clock: the same by the clock of the attempt's machine, which wrote the times of the events; None where nobody
            says.
    """
    expect_offset(attempt.events_offset, offset)
    attempt.clock_ahead = seconds_ahead(clock, at, attempt.clock_ahead)
    lines, size = whole_lines(data)
    metrics: list[dict[str, Any]] = []
    skipped: list[str] = []
    for line in lines:
        try:
            event = ev.read_event(line)
        except ValidationError as error:
            skipped.append(first_error(error))
            continue
        if isinstance(event, ev.Metric):
            metrics.append(
                {
                    "run_id": attempt.run_id,
                    "name": event.name,
                    "step": event.step,
                    "attempt": attempt.number,
                    "value": event.value,
                    "time": by_ours(event.time, attempt.clock_ahead, at),
                }
            )
        elif event is not None:
            _take_event(session, attempt, event, at)
    _warn_of(skipped, attempt, "events")
    if metrics:
        _show_training(session, attempt, metrics)
        statement = insert(Metric)
        update = {name: statement.excluded[name] for name in ("value", "time")}
        session.execute(
            statement.on_conflict_do_update(index_elements=["run_id", "name", "step", "attempt"], set_=update), metrics
        )
        reported = [{"name": name, "run_id": attempt.run_id} for name in {one["name"] for one in metrics}]
        session.execute(insert(ReportedMetric).on_conflict_do_nothing(), reported)
    if lines:
        _is_running(session, attempt, at)
    attempt.events_offset = offset + size
    session.add(attempt)
    return attempt.events_offset


def take_answers(session: Session, attempt: Attempt, offset: int, data: bytes) -> int:
    """Store whole lines of the answer file; returns the offset after the last one."""
    expect_offset(attempt.answers_offset, offset)
    lines, size = whole_lines(data)
    run = session.get_one(Run, attempt.run_id)
    skipped: list[str] = []
    for line in lines:
        try:
            entry = parse_line(line)
            record = entry.model_dump_json()
        except (ValueError, RecursionError) as error:
            skipped.append(first_error(error) if isinstance(error, ValidationError) else str(error))
            continue
        if isinstance(entry, Summary):
            run.summary = _numbers(entry.summary_metrics)
            continue
        key = (attempt.run_id, attempt.number, entry.index)
        if session.get(Answer, key) is not None:
            continue
        right = entry.metrics.get("accuracy", 0.0) > 0
        session.add(
            Answer(
                run_id=key[0],
                attempt=key[1],
                index=key[2],
                question_id=entry.id,
                right=right,
                truncated=entry.truncated,
                boxed=entry.metrics.get("format_ok", 0.0) > 0,
                record=record,
            )
        )
        attempt.num_answers += 1
        attempt.num_right += right
        run.summary = {"num_questions": attempt.num_answers, "accuracy": attempt.num_right / attempt.num_answers}
        if entry.batch_size is not None:
            run.summary["batch_size"] = entry.batch_size
    _warn_of(skipped, attempt, "answers")
    session.add(run)
    attempt.answers_offset = offset + size
    session.add(attempt)
    return attempt.answers_offset


def take_saved_steps(session: Session, attempt: Attempt, steps: Sequence[int]) -> None:
    """Count the checkpoints that lie in an attempt's folder: a trainer may die before it tells of one."""
    attempt.checkpoint_step = max([*steps, attempt.checkpoint_step or 0]) or None
    session.add(attempt)


def take_rollouts(session: Session, attempt: Attempt, offset: int, data: bytes) -> int:
    """Store whole lines of the file of kept rollouts; returns the offset after the last one."""
    expect_offset(attempt.rollouts_offset, offset)
    lines, size = whole_lines(data)
    _warn_of(rollouts.store_groups(session, attempt, lines), attempt, "rollouts")
    attempt.rollouts_offset = offset + size
    session.add(attempt)
    return attempt.rollouts_offset


def checked(stage: str, folder: RunDir, request: FinishRequest) -> FinishRequest:
    """The end of an attempt as it can be taken: with the checkpoint of a training, else as a failure that says why not.

    Looks into the attempt's folder; not to be called while a session is open.
    """
    if request.outcome != "succeeded":
        return request
    try:
        report = checkpoints.left_by(stage, folder, request.checkpoint)
        return request.model_copy(update={"checkpoint": report})
    except (BadInput, OSError) as error:
        reason = error.message if isinstance(error, BadInput) else str(error)
    failure = Problem(
        code="bad_run_folder",
        message=f"The training has ended, but its checkpoint can't be used: {reason}",
        way_out="Look at the attempt's folder, then resume or retry.",
    )
    return request.model_copy(
        update={"outcome": "failed", "cause": Cause.ERROR, "failure": failure, "checkpoint": None}
    )


def finish(
    session: Session,
    attempt: Attempt,
    request: FinishRequest,
    *,
    at: float,
    home: Path,
    actor: str,
    retry_pause: Callable[[int], float],
) -> bool:
    """End an attempt and its run; with a training's success its checkpoint is known and its children are queued.

    Args:
        session: the transaction.
        attempt: that ends.
        request: as `checked` returns it.
        at: seconds since 1970.
        home: folder of everything.
        actor: who tells of it, for the history.
        retry_pause: seconds before the next attempt of a run that has so many retries left.

    Returns:
        Whether the run has succeeded.
    """
    run = session.get_one(Run, attempt.run_id)
    is_tried_again = retries.is_tried_again(session, run, attempt, request)
    request = retries.last_word(session, attempt, request)
    end = AttemptStatus(request.outcome)
    run.environment = _sendable(request.environment)
    run.failure = request.failure
    run.traceback = None if request.traceback is None else sendable(request.traceback)
    run.exit_code = request.exit_code
    detail = run.failure.message if run.failure is not None else ""
    if end is AttemptStatus.SUCCEEDED:
        run.summary = _numbers(request.result)
        config = stored_config(run.config)
        run.output = str(published_dir(home, config, run.id).relative_to(home))
    session.add(run)
    session.flush()
    lifecycle.change_attempt(session, attempt, end, actor=actor, at=at, cause=request.cause, detail=detail)
    if end is AttemptStatus.STOPPED and request.cause is Cause.INTERRUPTED and run.status == RunStatus.RUNNING:
        retries.go_on(session, run, attempt, at=at, actor=actor)
    elif end is AttemptStatus.STOPPED:
        if run.status == RunStatus.RUNNING:  # a signal stopped the trainer, not a request
            lifecycle.change_run(session, run, RunStatus.STOPPING, actor=actor, at=at)
        lifecycle.change_run(session, run, RunStatus.CANCELLED, actor=actor, at=at, cause=Cause.STOPPED)
    elif run.status == RunStatus.RUNNING and _resumed_in_vain(session, attempt, request):
        lifecycle.change_run(
            session, run, RunStatus.QUEUED, actor=actor, at=at, cause=request.cause, detail=f"starts anew: {detail}"
        )
        lifecycle.add_attempt(session, run, at=at)
    elif is_tried_again:
        pause = retries.pause_after(run, request.cause, retry_pause)
        retries.try_again(session, run, request.cause, at=at, actor=actor, pause=pause, why=detail)
    else:
        to = RunStatus.SUCCEEDED if end is AttemptStatus.SUCCEEDED else RunStatus.FAILED
        lifecycle.change_run(session, run, to, actor=actor, at=at, cause=request.cause, detail=detail)
    if end is AttemptStatus.SUCCEEDED and request.checkpoint is not None:
        folder = attempt_dir(home, attempt.run_id, attempt.number, run.stage).output
        checkpoints.store(session, run, str(folder.relative_to(home)), request.checkpoint, at=at)
        children.settle(session, at=at, actor=actor, parent=run)
    return end is AttemptStatus.SUCCEEDED


def _resumed_in_vain(session: Session, attempt: Attempt, request: FinishRequest) -> bool:
    """Whether an attempt that nobody asked for was to go on with an earlier one, and that can't be done here."""
    if request.failure is None or request.failure.code != "resume_mismatch":
        return False
    return attempt.resumes is not None and retries.started_by_itself(session, attempt)


def live_attempts(session: Session) -> list[Attempt]:
    """Attempts that hold a lease."""
    return list(session.exec(select(Attempt).where(col(Attempt.status).in_(ATTEMPT_LIVE))))


def _show_training(session: Session, attempt: Attempt, metrics: list[dict[str, Any]]) -> None:
    """While a training runs, its newest numbers stand where its result will."""
    newest = {one["name"].removeprefix("train/"): one["value"] for one in metrics if one["name"].startswith("train/")}
    if newest:
        run = session.get_one(Run, attempt.run_id)
        run.summary = _numbers({**run.summary, **newest})
        session.add(run)


def _take_event(session: Session, attempt: Attempt, event: ev.Event, at: float) -> None:
    run = session.get_one(Run, attempt.run_id)
    match event:
        case ev.Phase():
            attempt.phase, attempt.phase_detail = event.name, event.detail
            attempt.progress_done = attempt.progress_total = None
            attempt.progress_unit = ""
            attempt.progress_first_at = attempt.progress_first_done = attempt.progress_at = None
        case ev.Progress():
            time = by_ours(event.time, attempt.clock_ahead, at)
            if attempt.progress_first_at is None:
                attempt.progress_first_at, attempt.progress_first_done = time, event.done
            attempt.progress_done, attempt.progress_total = event.done, event.total
            attempt.progress_unit, attempt.progress_at = event.unit, time
            attempt.phase_detail = event.detail or attempt.phase_detail
        case ev.Checkpoint():
            attempt.checkpoint_step = event.step
        case ev.Alarmed():
            alarms.raise_alarm(session, attempt, event.code, event.step, event.fact, at=at, actor="trainer")
        case ev.Warned():
            lifecycle.note(
                session,
                run,
                "warning",
                None,
                None,
                actor="trainer",
                at=at,
                detail=event.message,
                attempt=attempt.number,
            )
        case _:
            pass  # started, finished and failed come again with the finish


def _is_running(session: Session, attempt: Attempt, at: float) -> None:
    if attempt.status == AttemptStatus.STARTING:
        session.flush()
        lifecycle.change_attempt(session, attempt, AttemptStatus.RUNNING, actor="trainer", at=at)


def _numbers(values: Mapping[str, object]) -> dict[str, float]:
    """The finite numbers among the first of them: JSON can carry no other, and a summary holds nothing else."""
    most = sys.float_info.max
    numbers = ((name, v) for name, v in values.items() if isinstance(v, int | float) and -most <= v <= most)
    return {sendable(name[:MOST_NAME]): float(v) for name, v in islice(numbers, MOST_NUMBERS)}


def _warn_of(skipped: Sequence[str], attempt: Attempt, what: str) -> None:
    warn_of(skipped, f"attempt {attempt.number} of run {attempt.run_id}", what)


def warn_of(skipped: Sequence[str], where: str, what: str) -> None:
    """Say in the log that lines of a report could not be read, and why the first of them."""
    if skipped:
        log.warning("%s: %s unreadable %s skipped, the first: %s", where, len(skipped), what, skipped[0][:300])


def _sendable(data: dict[str, object]) -> dict[str, object]:
    """The same data if a reply can carry it (text in UTF-8, nested not too deep), else nothing."""
    try:
        [[sendable]] = from_json(to_json([[data]]))
    except (ValueError, RecursionError):
        log.warning("an environment that can't be sent is left out")
        return {}
    assert isinstance(sendable, dict)
    return sendable


def expect_offset(expected: int, offset: int) -> None:
    """Refuse bytes that do not follow what is there.

    Raises:
        WrongOffset: they do not.
    """
    if offset != expected:
        raise WrongOffset(expected)


def whole_lines(data: bytes) -> tuple[list[bytes], int]:
    """The whole lines of a report, without their ends, and the bytes that they take."""
    end = data.rfind(b"\n") + 1
    return [line for line in lines_of(data[:end]) if line], end
