"""The state of everything but the archive, in one reply."""

from sqlmodel import Session, and_, col, func, or_, select

from backend.api import schemas as s
from backend.services import alarms, baseline, claim, lifecycle
from backend.services.gains import Gains
from backend.services.surroundings import Surroundings
from backend.store.models import Alarm, Run, RunEvent
from backend.views import series, views
from backend.views.baseline import baseline_out
from backend.views.machines import machines
from backend.views.results import results
from memgen.contract.stages import evaluation_names
from memgen.contract.status import CAUSE_TEXT, RUN_UNDER_WAY, Cause, RunStatus

MOST_RUNNING, MOST_FAILED, MOST_WARNED, MOST_WAITING, MOST_RESULTS = 8, 6, 4, 5, 6
WEEK, DAY = 7 * 86_400.0, 86_400.0
LOOKED_AT = 40  # runs of the last day that are asked for warnings
POINTS = 40  # of a sparkline
_SHOWN = col(Run.archived_at).is_(None)


def home(session: Session, gains: Gains, around: Surroundings) -> s.HomeOut:
    """What runs, what needs attention, what waits, what came out.

    Args:
        session: a transaction.
        gains: of evaluations against their bases.
        around: what the reply depends on beside the database.
    """
    counts = dict(session.exec(select(Run.status, func.count()).where(_SHOWN).group_by(Run.status)).all())
    failed = _newest(session, [RunStatus.FAILED], since=around.at - WEEK, limit=MOST_FAILED)
    queued = claim.queued_ids(session)
    following = _in_order(session, queued[:MOST_WAITING])
    running = list(
        session.exec(
            select(Run).where(col(Run.status).in_(RUN_UNDER_WAY)).order_by(col(Run.id).desc()).limit(MOST_RUNNING)
        )
    )
    room = around.disk.now(session)
    return s.HomeOut(
        num_runs=sum(counts.values()),
        num_running=sum(counts.get(status, 0) for status in RUN_UNDER_WAY),
        running=_running(session, running, around),
        num_failed=_number_failed(session, since=around.at - WEEK),
        attention=[*_failures(session, failed, around), *_alarmed(session, around), *_warned(session, around)],
        paused=claim.paused(session),
        num_queued=len(queued),
        num_waiting=counts.get(RunStatus.WAITING, 0),
        waiting=views.runs_out(session, following, around),
        baseline=baseline_out(session, around),
        results=results(session, _evaluations(session), gains, around, pinned=baseline.pinned_run(session)),
        workers=[worker for worker in machines(session, around) if worker.alive],
        disk_bytes=room.total,
        disk_free_bytes=room.free,
        disk_spare_bytes=room.spare,
    )


def _newest(session: Session, statuses: list[RunStatus], *, since: float, limit: int) -> list[Run]:
    """Runs that have ended since then, the last first."""
    query = select(Run.id).where(col(Run.status).in_(statuses), col(Run.ended_at) > since, _SHOWN)
    # numbers alone are sorted: whole rows have configs and tracebacks
    numbers = session.exec(query.order_by(col(Run.ended_at).desc(), col(Run.id).desc()).limit(limit))
    return _in_order(session, list(numbers))


def _number_failed(session: Session, *, since: float) -> int:
    failed = (Run.status == RunStatus.FAILED, col(Run.ended_at) > since, _SHOWN)
    return session.exec(select(func.count()).select_from(Run).where(*failed)).one()


def _evaluations(session: Session) -> list[Run]:
    finished = (col(Run.status) == RunStatus.SUCCEEDED, col(Run.stage).in_(evaluation_names()), _SHOWN)
    query = select(Run.id).where(*finished)
    numbers = session.exec(query.order_by(col(Run.ended_at).desc(), col(Run.id).desc()).limit(MOST_RESULTS))
    return _in_order(session, list(numbers))


def _in_order(session: Session, numbers: list[int]) -> list[Run]:
    rows = {run.id: run for run in session.exec(select(Run).where(col(Run.id).in_(numbers)))}
    return [rows[number] for number in numbers]


def _running(session: Session, runs: list[Run], around: Surroundings) -> list[s.RunningOut]:
    return [
        s.RunningOut(run=out, metric=_telling(session, run), warnings=lifecycle.warnings_of(session, run.id))
        for run, out in zip(runs, views.runs_out(session, runs, around), strict=True)
    ]


def _telling(session: Session, run: Run) -> s.MetricSeries | None:
    """The metric that says most about a run."""
    name = series.telling(run, list(series.names(session, run.id)))
    found = [] if name is None else series.metrics(session, run.id, name=name, max_points=POINTS)
    return found[0] if found else None  # none where it started anew and has not reported it again


def _failures(session: Session, runs: list[Run], around: Surroundings) -> list[s.AttentionOut]:
    return [
        s.AttentionOut(
            kind="failed",
            run=out,
            text=run.failure.message if run.failure else CAUSE_TEXT[Cause(run.cause)] if run.cause else "It failed.",
            way_out=run.failure.way_out if run.failure else "Look at its log.",
        )
        for run, out in zip(runs, views.runs_out(session, runs, around), strict=True)
    ]


def _alarmed(session: Session, around: Surroundings) -> list[s.AttentionOut]:
    """Runs under way, and those that ended within a day without failing, that have raised an alarm."""
    ended = and_(col(Run.ended_at) > around.at - DAY, col(Run.status) != RunStatus.FAILED)
    of_them = select(Alarm.run_id).join(Run, col(Run.id) == col(Alarm.run_id))
    looked_at = of_them.where(or_(col(Run.status).in_(RUN_UNDER_WAY), ended), _SHOWN).distinct()
    numbers = list(session.exec(looked_at.order_by(col(Alarm.run_id).desc()).limit(MOST_WARNED)))
    by_run = alarms.alarms_of(session, numbers)
    runs = [run for run in _in_order(session, numbers) if run.id in by_run]
    return [_alarm(out, by_run[run.id]) for run, out in zip(runs, views.runs_out(session, runs, around), strict=True)]


def _alarm(run: s.RunOut, of_run: list[Alarm]) -> s.AttentionOut:
    """The newest of a run's alarms."""
    newest = views.alarm_out(of_run[-1])
    more = f" (the last of {len(of_run)} alarms)" if len(of_run) > 1 else ""
    text = f"{newest.title}{more}. {newest.fact} {newest.cause}".strip()
    return s.AttentionOut(kind="alarm", run=run, text=text, way_out=newest.remedy)


def _warned(session: Session, around: Surroundings) -> list[s.AttentionOut]:
    """Runs that ended well within a day, and whose trainers warned of something."""
    ended = _newest(session, [RunStatus.SUCCEEDED], since=around.at - DAY, limit=LOOKED_AT)
    of_them = select(RunEvent.run_id).where(
        col(RunEvent.run_id).in_([run.id for run in ended]), col(RunEvent.kind) == "warning"
    )
    warned = set(session.exec(of_them.distinct()))
    runs = [run for run in ended if run.id in warned][:MOST_WARNED]
    return [
        s.AttentionOut(kind="warning", run=out, text=" ".join(_sentences(session, run.id)), way_out="")
        for run, out in zip(runs, views.runs_out(session, runs, around), strict=True)
    ]


def _sentences(session: Session, run_id: int) -> list[str]:
    return [f"{one[:1].upper()}{one[1:].rstrip('.')}." for one in lifecycle.warnings_of(session, run_id)]
