"""Metrics as charts read them: at most so many points of each series, found by seeking instead of reading all.

A run may have a million points. The table is ordered by run, name, step and attempt, so a point at or after a step is
one seek away.
"""

from collections.abc import Iterator

from sqlmodel import Session, col, func, select, text

from backend.api import schemas as s
from backend.errors import LARGEST_INTEGER
from backend.services import lifecycle
from backend.store.models import Metric

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

    Raises:
        OverflowError: `since` or `until` is larger than the database's numbers.
    """
    for given in (since, until):
        if given is not None and abs(given) > LARGEST_INTEGER:
            raise OverflowError(f"step {given}")
    names = list(_names(session, run_id)) if name is None else [name]
    attempts = (lifecycle.start_of(session, run_id), LARGEST_INTEGER) if attempt is None else (attempt, attempt)
    found = {one: _points(session, run_id, one, (since, until), max_points, attempts) for one in names}
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


def _names(session: Session, run_id: int) -> Iterator[str]:
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
        first, last = session.exec(select(func.min(Metric.step), func.max(Metric.step)).where(*own)).one()
        asked = {"run": run_id, "name": name, "first": first, "last": last, "points": max_points}
        asked |= {"start": start, "end": end}
        columns = columns.where(col(Metric.step).in_([step for (step,) in session.execute(_SEEK, asked)]))
    # on the connection: rows that pass the session take twice as long
    rows = session.connection().execute(columns)
    return list({step: (step, value, time) for step, value, time in rows}.values())
