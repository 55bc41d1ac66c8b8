"""Rows as the API shows them."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.services import alarms, jobs, lifecycle, scoring, tags
from backend.services.fixing import fixed_by
from backend.services.origin import Origin, origin_of, origins_of
from backend.services.runs import resume_source
from backend.services.surroundings import Surroundings
from backend.services.waiting import Waiting
from backend.store.models import Alarm, Attempt, Checkpoint, PipelineStep, Run, RunEvent, RunTag
from backend.views.times import when
from memgen.contract.alarms import find_rule
from memgen.contract.pipeline import BASE_STEP
from memgen.contract.status import (
    ATTEMPT_ENDED,
    CAUSE_TEXT,
    RUN_ENDED,
    RUN_NOT_STARTED,
    RUN_RESTARTABLE,
    AttemptStatus,
    Cause,
    RunStatus,
)


def runs_out(session: Session, runs: list[Run], around: Surroundings) -> list[s.RunOut]:
    """Runs as lists show them, with one query for all their attempts."""
    ids = [run.id for run in runs]
    attempts = lifecycle.newest_attempts(session, ids)
    waiting = Waiting(session, around)
    scores = scoring.newest_scores(session, runs)
    origins, labels = origins_of(session, runs), tags.tags_of_runs(session, ids)
    return [
        _run(run, attempts.get(run.id), waiting, scores[run.id], origins[run.id], labels.get(run.id, []))
        for run in runs
    ]


def run_detail(session: Session, run: Run, around: Surroundings) -> s.RunDetail:
    """A run with everything that its page shows."""
    attempts = lifecycle.attempts_of(session, run.id)
    source, reason = resume_source(attempts)
    parent = session.get(Checkpoint, run.parent_id) if run.parent_id is not None else None
    if parent is None and run.parent_id is not None:
        source, reason = None, f"Checkpoint {run.parent_id}, which it starts from, is not there."
    restartable = run.status in RUN_RESTARTABLE
    if not restartable:
        reason = f"A run that is {run.status} is not resumed."
    scores, newest = scoring.all_scores(session, run), attempts[-1] if attempts else None
    numbers = jobs.numbers_of(session, run.id) if run.site is not None else {}
    labels, waiting = tags.tags_of_runs(session, [run.id]).get(run.id, []), Waiting(session, around)
    return s.RunDetail(
        **dict(_run(run, newest, waiting, scores[-1], origin_of(session, run), labels)),
        scorings=[
            s.ScoringOut(version=one.version, summary=one.summary) for one in scores if scoring.is_known(run, one)
        ],
        config=run.config,
        config_hash=run.config_hash,
        failure=run.failure,
        traceback=run.traceback,
        exit_code=run.exit_code,
        can_resume=restartable and source is not None,
        resume_reason=reason,
        output=run.output,
        environment=run.environment,
        attempts=[_attempt(attempt, numbers.get(attempt.number)) for attempt in attempts],
        parent_outside=parent is not None and parent.run_id is None,
        fixes_id=run.fixes_id,
        fixed_by=fixed_by(session, run),
        base_id=_base_of(session, run),
        warnings=lifecycle.warnings_of(session, run.id, lifecycle.start_among(attempts)),
        alarms=[alarm_out(one) for one in alarms.alarms_of(session, [run.id]).get(run.id, [])],
    )


def _base_of(session: Session, run: Run) -> int | None:
    """The evaluation against which a run of a pipeline is judged."""
    if run.pipeline_id is None or not run.setting:
        return None
    steps = select(PipelineStep.run_id).where(
        PipelineStep.pipeline_id == run.pipeline_id, PipelineStep.step == BASE_STEP, PipelineStep.run_id != run.id
    )
    ended = select(Run.id).where(col(Run.id).in_(steps), Run.status == RunStatus.SUCCEEDED)
    return session.exec(ended).first()


def alarm_out(alarm: Alarm) -> s.AlarmOut:
    """An alarm with cause and remedy in words; of a rule that this version does not know with what was seen alone."""
    rule = find_rule(alarm.code)
    return s.AlarmOut(
        code=alarm.code,
        title=rule.title if rule is not None else alarm.code,
        fact=alarm.fact,
        cause=rule.cause if rule is not None else "",
        remedy=rule.remedy if rule is not None else "",
        attempt=alarm.attempt,
        step=alarm.step,
        time=when(alarm.time),
    )


def event_out(event: RunEvent) -> s.RunEventOut:
    """One line of history."""
    return s.RunEventOut(
        time=when(event.time),
        attempt=event.attempt,
        kind=event.kind,
        from_status=event.from_status,
        to_status=event.to_status,
        cause=event.cause,
        actor=event.actor,
        detail=event.detail,
    )


def _run(
    run: Run,
    attempt: Attempt | None,
    waiting: Waiting,
    scores: scoring.Scores,
    origin: Origin,
    labels: Sequence[RunTag],
) -> s.RunOut:
    waits = waiting.why(run, attempt) if run.status in RUN_NOT_STARTED else None
    cause = Cause(run.cause) if run.cause else None
    return s.RunOut(
        id=run.id,
        stage=run.stage,
        setting=run.setting,
        **vars(origin),
        preset=run.preset,
        data=run.data,
        note=run.note,
        status=RunStatus(run.status),
        cause=cause,
        cause_text=CAUSE_TEXT[cause] if cause else None,
        waits_for=waits,
        priority=run.priority,
        created_at=when(run.created_at),
        started_at=when(run.started_at),
        ended_at=when(run.ended_at),
        progress=None if run.status in RUN_ENDED or attempt is None else _progress(run, attempt),
        summary=scores.summary,
        can_rescore=scoring.can_rescore(run, scores.version),
        scorer_version=scores.version if scoring.is_known(run, scores) else None,
        num_attempts=attempt.number if attempt is not None else 0,
        parent_id=run.parent_id,
        pipeline_id=run.pipeline_id,
        step=run.step,
        tags=[tag.name for tag in labels],
        group=tags.group_of(labels),
        archived=run.archived_at is not None,
        site=run.site,
    )


def _progress(run: Run, attempt: Attempt) -> s.ProgressOut | None:
    if attempt.status in ATTEMPT_ENDED or attempt.status == AttemptStatus.QUEUED:
        return None
    return s.ProgressOut(
        phase=attempt.phase or "starting",
        detail=attempt.phase_detail,
        done=attempt.progress_done,
        total=attempt.progress_total,
        unit=attempt.progress_unit,
        seconds_left=_seconds_left(attempt, _at_once(run, attempt)),
    )


def _at_once(run: Run, attempt: Attempt) -> int:
    """Units of progress that are worked on together: the first few questions of a batch say little of the rate."""
    width = run.summary.get("batch_size", run.config.get("batch_size"))
    return int(width) if attempt.progress_unit == "questions" and isinstance(width, int | float) else 1


def _seconds_left(a: Attempt, at_once: int) -> float | None:
    """From the mean rate since this attempt's phase began; None until it has done as much as is worked on at once."""
    if a.progress_done is None or a.progress_total is None or a.progress_at is None:
        return None
    if a.progress_first_at is None or a.progress_first_done is None:
        return None
    done, seconds = a.progress_done - a.progress_first_done, a.progress_at - a.progress_first_at
    if done < at_once or done <= 0 or seconds <= 0:
        return None
    return (a.progress_total - a.progress_done) * seconds / done


def _attempt(a: Attempt, job: str | None) -> s.AttemptOut:
    return s.AttemptOut(
        number=a.number,
        status=AttemptStatus(a.status),
        cause=Cause(a.cause) if a.cause else None,
        worker=a.host,
        slot=a.slot,
        resumes=a.resumes,
        created_at=when(a.created_at),
        claimed_at=when(a.claimed_at),
        ended_at=when(a.ended_at),
        log_bytes=a.log_offset,
        job=job,
    )
