"""Metrics as charts read them: at most so many points of each series, found by seeking instead of reading all.

A run may have a million points. The table is ordered by run, name, step and attempt, so a point at or after a step is
one seek away.
"""

from collections.abc import Collection, Iterator

from sqlmodel import Session, col, func, select, text

from backend.api import schemas as s
from backend.errors import LARGEST_INTEGER
from backend.services import lifecycle
from backend.store.models import Metric, Run
from memgen.contract.stages import find_stage

ACCURACY = "eval/accuracy"
Point = tuple[int, float, float]
"""Step, value and time in seconds since 1970."""

# of each of n steps, evenly from the first to the last, the nearest point at or after it, of its last attempt
_SEEK = text(
    """
    WITH RECURSIVE place(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM place WHERE k < :points - 1)
    SELECT DISTINCT (
        SELECT step FROM metric
        WHERE run_id = :run AND name = :name AND step >= :first + (:last - :first) * k / (:points - 1)
            AND attempt BETWEEN :start AND :end
        ORDER BY step LIMIT 1
    ) AS found FROM place ORDER BY found
    """
)


def metrics(
    session: Session,
    run_id: int,
    *,
    name: str | None,
    since: int | None = None,
    until: int | None = None,
    max_points: int,
    attempt: int | None = None,
    grid: tuple[int, int] | None = None,
) -> list[s.MetricSeries]:
    """Metrics of a run since it last started from nothing; of a step that several attempts reported the last counts.

    Args:
        session: a view of the database.
        run_id: of the run.
        name: of one metric; None for all.
        since: only steps after this one.
        until: only steps up to this one.
        max_points: most points of a series; of a longer one points at even distances, first and last among them.
        attempt: only what this one reported.
        grid: first and last of the steps near which the points of a longer series lie, its last point apart; None is
            its own.

    Raises:
        OverflowError: `since` or `until` is larger than the database's numbers.
    """
    check_steps(since, until)
    wanted = list(names(session, run_id)) if name is None else [name]
    attempts = (lifecycle.start_of(session, run_id), LARGEST_INTEGER) if attempt is None else (attempt, attempt)
    found = {one: _points(session, run_id, one, (since, until), max_points, attempts, grid) for one in wanted}
    return [
        s.MetricSeries(
            name=one,
            steps=[step for step, _, _ in points],
            values=[value for _, value, _ in points],
            times=[time for *_, time in points],
        )
        for one, points in found.items()
        if points
    ]


def check_steps(*steps: int | None) -> None:
    """Refuse a step that the database can't hold.

    Raises:
        OverflowError: one is larger than the database's numbers.
    """
    for step in steps:
        if step is not None and abs(step) > LARGEST_INTEGER:
            raise OverflowError(f"step {step}")


def bounds(session: Session, run_id: int, name: str, since: int | None, until: int | None) -> tuple[int, int] | None:
    """First and last step of a metric between two steps, each found by a seek; None where it has none there."""
    own = [col(Metric.run_id) == run_id, col(Metric.name) == name]
    own += [] if since is None else [col(Metric.step) > since]
    own += [] if until is None else [col(Metric.step) <= until]
    first, last = (session.exec(select(one(Metric.step)).where(*own)).one() for one in (func.min, func.max))
    return None if first is None else (first, last)


def telling(run: Run, reported: Collection[str]) -> str | None:
    """The metric that says most about a run, of those it has reported.

    The first that its stage's charts show, of evaluations the accuracy, else the first of all.
    """
    stage = find_stage(run.stage)
    panels = stage.charts.panels if stage is not None and stage.trains else ()
    shown = [name for row in panels for panel in row for name in panel.names] if panels else [ACCURACY]
    return next((name for name in (*shown, *sorted(reported)) if name in reported), None)


def names(session: Session, run_id: int) -> Iterator[str]:
    """Names of a run's metrics in order, each found by a seek after the one before."""
    found = session.exec(select(func.min(Metric.name)).where(col(Metric.run_id) == run_id)).one()
    while found is not None:
        yield found
        following = select(func.min(Metric.name)).where(col(Metric.run_id) == run_id, col(Metric.name) > found)
        found = session.exec(following).one()


def _points(
    session: Session,
    run_id: int,
    name: str,
    steps_between: tuple[int | None, int | None],
    max_points: int,
    attempts: tuple[int, int],
    grid: tuple[int, int] | None,
) -> list[Point]:
    own = [col(Metric.run_id) == run_id, col(Metric.name) == name]
    (since, until), (start, end) = steps_between, attempts
    if start > 1:
        own.append(col(Metric.attempt) >= start)
    if end < LARGEST_INTEGER:
        own.append(col(Metric.attempt) <= end)
    if since is not None:
        own.append(col(Metric.step) > since)
    if until is not None:
        own.append(col(Metric.step) <= until)
    columns = select(Metric.step, Metric.value, Metric.time).where(*own).order_by(col(Metric.step), col(Metric.attempt))
    steps = select(Metric.step).where(*own).distinct().limit(max_points + 1).subquery()
    if session.exec(select(func.count()).select_from(steps)).one() > max_points:
        ends = [session.exec(select(one(Metric.step)).where(*own)).one() for one in (func.min, func.max)]
        first, last = grid or ends
        asked = {"run": run_id, "name": name, "first": first, "last": last, "points": max_points}
        asked |= {"start": start, "end": end}
        chosen = {step for (step,) in session.execute(_SEEK, asked)} - {None}
        columns = columns.where(col(Metric.step).in_(chosen | {ends[1]}))
    # on the connection: rows that pass the session take twice as long
    rows = session.connection().execute(columns)
    return list({step: (step, value, time) for step, value, time in rows}.values())
