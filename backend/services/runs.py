"""Submitting, stopping, resuming and deleting runs."""

import shutil
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import delete as sql_delete
from sqlalchemy import text
from sqlmodel import Session, col, select

from backend.errors import LARGEST_INTEGER, Conflict, no_such_run
from backend.services import lifecycle
from backend.services.children import living
from backend.services.jobs import has_open
from backend.store.models import (
    Alarm,
    Answer,
    AnswerScore,
    Attempt,
    Checkpoint,
    Job,
    Metric,
    Pipeline,
    PipelineStep,
    PipelineTag,
    ReportedMetric,
    Rollout,
    Run,
    RunEvent,
    RunTag,
    Scoring,
)
from memgen.contract.config import RunConfig, config_hash, stored_config
from memgen.contract.publish import point_newest
from memgen.contract.rundir import added_checkpoints_dir, attempt_dir, log_link, newest_link, published_dir, runs_dir
from memgen.contract.stages import STAGES
from memgen.contract.status import (
    ATTEMPT_LIVE,
    RUN_ENDED,
    RUN_NOT_STARTED,
    RUN_RESTARTABLE,
    AttemptStatus,
    Cause,
    RunStatus,
    StopMode,
)


def largest_used_id(home: Path) -> int:
    """The highest number of a run, or of a checkpoint from outside, that a folder carries; 0 where there is none."""
    areas = {stage.output.area for stage in STAGES}
    places = [
        runs_dir(home),
        added_checkpoints_dir(home),
        *(place for area in areas for place in (home / area).glob("*/*")),
    ]
    names = [path.name for place in places if place.is_dir() for path in place.iterdir()]
    return max((int(name) for name in names if name.isdecimal() and len(name) < 19), default=0)


def skip_ids(session: Session, largest: int) -> None:
    """Let ids go on after `largest`: the database may be new, or restored into a home that has more runs."""
    # the sequence may be ahead: of runs that were deleted
    known = session.execute(text("SELECT seq FROM sqlite_sequence WHERE name = 'run'")).scalar()
    if largest > (known or 0):
        session.execute(text("DELETE FROM sqlite_sequence WHERE name = 'run'"))
        session.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES ('run', :seq)"), {"seq": largest})


def next_id(session: Session) -> int:
    """A number that no run gets: for a checkpoint from outside, as a run's parent is named by its number alone."""
    last = session.execute(text("SELECT seq FROM sqlite_sequence WHERE name = 'run'")).scalar() or 0
    skip_ids(session, last + 1)
    return int(last) + 1


def get(session: Session, run_id: int) -> Run:
    """The run of this id.

    Raises:
        NotFound: `run_not_found`.
    """
    run = session.get(Run, run_id) if abs(run_id) <= LARGEST_INTEGER else None
    if run is None:
        raise no_such_run(run_id)
    return run


def submit(
    session: Session,
    config: RunConfig,
    note: str,
    *,
    at: float,
    retries: int,
    parent_id: int | None = None,
    pipeline: int | None = None,
    step: str | None = None,
    fixes: int | None = None,
    site: str | None = None,
    actor: str = "user",
) -> Run:
    """Store a run and queue its first attempt; one whose parent has no checkpoint yet waits.

    Args:
        session: the transaction.
        config: of the run.
        note: of the user.
        at: seconds since 1970.
        retries: how often a lost attempt is tried again.
        parent_id: the checkpoint that it starts from, whose training may not have ended.
        pipeline: that it belongs to.
        step: its place in that pipeline.
        fixes: the failed run that it mends.
        site: where it is to run; None for the workers of this service.
        actor: who submits.
    """
    waits = parent_id is not None and session.get(Checkpoint, parent_id) is None
    status = RunStatus.WAITING if waits else RunStatus.QUEUED
    run = Run(
        stage=config.stage,
        setting=config.measured,
        preset=config.preset,
        data=config.data,
        note=note,
        config=config.model_dump(mode="json"),
        config_hash=config_hash(config),
        status=status,
        retries_left=retries,
        created_at=at,
        queued_at=at,
        parent_id=parent_id,
        pipeline_id=pipeline,
        step=step,
        fixes_id=fixes,
        site=site,
    )
    session.add(run)
    session.flush()
    detail = "submitted" if fixes is None else f"submitted to mend run {fixes}"
    lifecycle.note(session, run, "run", None, status, actor=actor, at=at, detail=detail)
    if not waits:
        lifecycle.add_attempt(session, run, at=at)
    return run


def check_stoppable(run: Run) -> None:
    """Refuse to stop what has ended.

    Raises:
        Conflict: `run_ended`.
    """
    if run.status in RUN_ENDED:
        raise Conflict(
            "run_ended",
            f"run {run.id} is {run.status} already",
            field="run_id",
            value=run.id,
            way_out="Nothing is left to stop.",
        )


def stop(session: Session, run: Run, mode: StopMode, *, at: float, actor: str = "user") -> None:
    """Ask a run to stop; a queued one is cancelled at once. A stop can be made harsher, never milder.

    Raises:
        Conflict: `run_ended`.
    """
    check_stoppable(run)
    status = RunStatus(run.status)
    if status is RunStatus.WAITING:
        lifecycle.change_run(session, run, RunStatus.CANCELLED, actor=actor, at=at, cause=Cause.STOPPED)
        return
    attempt = lifecycle.attempts_of(session, run.id)[-1]
    if attempt.status == AttemptStatus.QUEUED:
        attempt.stop_mode = mode  # a later resume must know of a discard
        session.add(attempt)
        lifecycle.change_attempt(session, attempt, AttemptStatus.STOPPED, actor=actor, at=at, cause=Cause.STOPPED)
        lifecycle.change_run(session, run, RunStatus.CANCELLED, actor=actor, at=at, cause=Cause.STOPPED)
        return
    if status is RunStatus.RUNNING:
        lifecycle.change_run(session, run, RunStatus.STOPPING, actor=actor, at=at, detail=f"stop requested: {mode}")
    order = list(StopMode)
    if attempt.stop_mode is None or order.index(mode) > order.index(StopMode(attempt.stop_mode)):
        attempt.stop_mode = mode
        session.add(attempt)


def outcome_of_stop(session: Session, run: Run, mode: StopMode) -> str:
    """What a stop would do with a run that has not ended, in a few words."""
    if run.status == RunStatus.WAITING:
        return "does not start"
    if run.status == RunStatus.QUEUED or lifecycle.attempts_of(session, run.id)[-1].status == AttemptStatus.QUEUED:
        return "leaves the queue"
    return _STOP_OUTCOMES[mode]


_STOP_OUTCOMES = {
    StopMode.SAVE: "ends at its next step and keeps what is done",
    StopMode.DISCARD: "ends at its next step without saving",
    StopMode.FORCE: "is killed at once",
}


def set_priority(session: Session, run: Run, priority: int, *, at: float, actor: str = "user") -> None:
    """Change the place of a run that has not started.

    Raises:
        Conflict: `run_started`.
    """
    if run.status not in RUN_NOT_STARTED:
        raise Conflict(
            "run_started",
            f"run {run.id} is {run.status} and stands in no queue",
            field="run_id",
            value=run.id,
            way_out="Only waiting and queued runs have a place in it.",
        )
    detail = f"from {run.priority} to {priority}"
    run.priority = priority
    session.add(run)
    lifecycle.note(session, run, "priority", None, None, actor=actor, at=at, detail=detail)


def resume_source(attempts: list[Attempt]) -> tuple[int | None, str]:
    """The attempt whose progress a next attempt would take over, and a sentence about it."""
    number: int | None = len(attempts)
    while number:
        attempt = attempts[number - 1]
        if attempt.stop_mode == StopMode.DISCARD:
            return None, "The last stop discarded what had been computed; retry starts again."
        if attempt.num_answers > 0:
            return attempt.number, f"Goes on after {attempt.num_answers} answers of attempt {attempt.number}."
        if attempt.checkpoint_step:
            return attempt.number, f"Continues after step {attempt.checkpoint_step} of attempt {attempt.number}."
        # one that never started left nothing behind; one that started afresh forgot what was before
        number = attempt.resumes if attempt.claimed_at is not None else attempt.number - 1
    return None, "Nothing was saved yet; retry starts again."


def lacks_parent(session: Session, run: Run) -> bool:
    """Whether the checkpoint that a run starts from is not there (yet, or any more)."""
    return run.parent_id is not None and session.get(Checkpoint, run.parent_id) is None


def start_again(session: Session, run: Run, *, resume: bool, at: float, retries: int, actor: str = "user") -> None:
    """Queue the next attempt of a run that failed or was cancelled.

    Raises:
        Conflict: `not_restartable` or `nothing_to_resume`.
    """
    if run.status not in RUN_RESTARTABLE:
        raise Conflict(
            "not_restartable",
            f"run {run.id} is {run.status}",
            field="run_id",
            value=run.id,
            way_out="Only failed and cancelled runs start again; launch a new run instead.",
        )
    if lacks_parent(session, run):
        raise Conflict(
            "no_parent",
            f"run {run.id} starts from checkpoint {run.parent_id}, which is not there",
            field="run_id",
            value=run.id,
            way_out="Launch a new run from another checkpoint, or continue its pipeline.",
        )
    source, reason = resume_source(lifecycle.attempts_of(session, run.id))
    if resume and source is None:
        raise Conflict(
            "nothing_to_resume", f"run {run.id} has nothing to resume", field="run_id", value=run.id, way_out=reason
        )
    run.retries_left = retries
    session.add(run)
    detail = f"resumes attempt {source}" if resume else "starts again"
    lifecycle.change_run(session, run, RunStatus.QUEUED, actor=actor, at=at, detail=detail)
    lifecycle.add_attempt(session, run, at=at, resumes=source if resume else None)


def paths_of(session: Session, run: Run, home: Path, log_path: Callable[[int, int], Path]) -> list[Path]:
    """Everything on disk that belongs to a run."""
    config = stored_config(run.config)
    logs = [log_path(run.id, attempt.number) for attempt in lifecycle.attempts_of(session, run.id)]
    candidates = [
        attempt_dir(home, run.id, 1, run.stage).path.parent.parent,
        published_dir(home, config, run.id).parent,
    ]
    candidates += [log_link(home, run.id), *logs]
    return [path for path in candidates if path.exists() or path.is_symlink()]


def check_deletable(session: Session, run: Run) -> None:
    """Refuse to delete what has not ended, or what others still need.

    Raises:
        Conflict: `run_not_ended` or `run_has_children`.
    """
    live = any(attempt.status in ATTEMPT_LIVE for attempt in lifecycle.attempts_of(session, run.id))
    if run.status not in RUN_ENDED or live:
        raise Conflict(
            "run_not_ended", f"run {run.id} is {run.status}", field="run_id", value=run.id, way_out="Stop it first."
        )
    if has_open(session, run.id):
        raise Conflict(
            "run_not_ended",
            f"the job of run {run.id} has not left site {run.site} yet",
            field="run_id",
            value=run.id,
            way_out="Try again in a few seconds.",
        )
    children = living(session, run.id)
    if children:
        raise Conflict(
            "run_has_children",
            f"run {children[0].id} starts from the checkpoint of run {run.id} and is {children[0].status}",
            field="run_id",
            value=run.id,
            way_out="Stop it first, or wait until it has ended.",
        )


def delete(session: Session, run: Run) -> None:
    """Take an ended run out of the database.

    Raises:
        Conflict: as `check_deletable`.
    """
    check_deletable(session, run)
    for table in _OF_RUNS:
        session.execute(sql_delete(table).where(col(table.run_id) == run.id))
    session.delete(run)
    session.flush()
    if run.pipeline_id is not None:
        _delete_pipeline_without_runs(session, run.pipeline_id)


_OF_RUNS = (
    Alarm, Metric, ReportedMetric, AnswerScore, Scoring, Answer, Rollout, RunEvent, RunTag, Job, Attempt, Checkpoint,
)  # fmt: skip


def _delete_pipeline_without_runs(session: Session, pipeline_id: int) -> None:
    """A pipeline goes with the last of its own runs; until then a deleted run leaves its place empty."""
    if session.exec(select(Run.id).where(col(Run.pipeline_id) == pipeline_id).limit(1)).first() is not None:
        return
    for table in (PipelineStep, PipelineTag):
        session.execute(sql_delete(table).where(col(table.pipeline_id) == pipeline_id))
    session.execute(sql_delete(Pipeline).where(col(Pipeline.id) == pipeline_id))


def delete_files(paths: list[Path], home: Path, config: RunConfig, newest_left: int | None) -> list[str]:
    """Remove a deleted run's files and point the newest-run link at what is left.

    Returns:
        For each file or folder that could not be removed its path below the home, and why.
    """
    left = []
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)
        try:  # once more for the reason, if something stays
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.exists():
                shutil.rmtree(path)
        except OSError as error:
            left.append(f"{path.relative_to(home)}: {error.strerror}")
    try:
        point_newest(home, config, newest_left)
    except OSError as error:
        left.append(f"{newest_link(home, config).relative_to(home)}: {error.strerror}")
    return left
