"""The list of runs: filtered, in the order of a column, page by page."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, SQLColumnExpression, case
from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from backend.api.schemas import Shown
from backend.errors import ServiceError
from backend.services.archiving import shows
from backend.services.sorting import Columns, Page, has_text, sorted_page
from backend.services.tags import group_column, run_has
from backend.store.models import ReportedMetric, Run
from memgen.contract.status import RunStatus


@dataclass(frozen=True)
class RunFilter:
    """Which runs are listed; None does not filter."""

    status: str | None = None
    """One, or several with commas."""
    stage: str | None = None
    """One, or several with commas."""
    preset: str | None = None
    setting: str | None = None
    text: str | None = None
    """Part of the note or of the model's name."""
    metric: str | None = None
    """Name of a metric that they have reported."""
    tag: str | None = None
    """One, or several with commas, of which they have all."""
    group: str | None = None
    archived: Shown = "no"


def list_runs(session: Session, wanted: RunFilter, *, sort: str | None, cursor: str | None, limit: int) -> Page[Run]:
    """A page of runs.

    Args:
        session: a transaction.
        wanted: which runs.
        sort: one of `COLUMNS`, after `-` the highest first; None is newest first.
        cursor: where the page before ended.
        limit: most runs of a page.

    Raises:
        ServiceError: `unknown_status`, `unknown_sort` or `bad_cursor`.
    """
    filters = (wanted.status, wanted.stage, wanted.preset, wanted.setting, wanted.text)
    by_index = any(filters) or wanted.archived == "only"
    return sorted_page(
        session, Run, _matching(wanted), COLUMNS, sort=sort, cursor=cursor, limit=limit, by_index=by_index
    )


def _matching(wanted: RunFilter) -> SelectOfScalar[Run]:
    query = select(Run)
    if wanted.status:
        query = query.where(col(Run.status).in_(_statuses(wanted.status)))
    if wanted.stage:
        query = query.where(col(Run.stage).in_(wanted.stage.split(",")))
    exact = ((Run.preset, wanted.preset), (Run.setting, wanted.setting))
    for column, value in exact:
        if value:
            query = query.where(col(column) == value)
    if wanted.text:
        query = query.where(has_text(wanted.text, Run.note, Run.preset))
    if wanted.metric:
        reported = select(ReportedMetric.run_id).where(col(ReportedMetric.name) == wanted.metric)
        query = query.where(col(Run.id).in_(reported))
    for tag in filter(None, (wanted.tag or "").split(",")):
        query = query.where(run_has(tag))
    if wanted.group:
        query = query.where(run_has(wanted.group, as_group=True))
    condition = shows(Run, wanted.archived)
    return query if condition is None else query.where(condition)


def numbers(session: Session, wanted: RunFilter, *, limit: int) -> tuple[list[int], int]:
    """Numbers of the runs that match, newest first, at most `limit`; and how many match.

    Raises:
        ServiceError: `unknown_status`.
    """
    matching = _matching(wanted)
    total = session.execute(matching.with_only_columns(func.count(col(Run.id)))).scalar_one()
    newest = matching.with_only_columns(col(Run.id)).order_by(col(Run.id).desc()).limit(limit)
    return list(session.execute(newest).scalars()), total


def _statuses(names: str) -> list[str]:
    wanted = names.split(",")
    for name in wanted:
        if name not in set(RunStatus):
            raise ServiceError(
                "unknown_status",
                "no such status",
                field="status",
                value=name,
                way_out=f"Known: {', '.join(RunStatus)}.",
            )
    return wanted


def in_life(status: SQLColumnExpression[str]) -> ColumnElement[int]:
    """Statuses in the order of a run's life."""
    return case({name.value: place for place, name in enumerate(RunStatus)}, value=status)


def _text(column: str) -> ColumnElement[str]:
    return col(column).collate("NOCASE")


COLUMNS: Columns = {
    "run": col(Run.id) + 0,  # as of `newest_in_index`
    "status": in_life(col(Run.status)),
    "stage": col(Run.stage) + " " + col(Run.setting),
    "model": _text(Run.preset),
    "data": _text(Run.data),
    "accuracy": col(Run.accuracy),
    "questions": col(Run.num_questions),
    "started": col(Run.started_at),
    "ended": col(Run.ended_at),
    "duration": col(Run.ended_at) - col(Run.started_at),
    "priority": col(Run.priority),
    "note": func.nullif(_text(Run.note), ""),
    "group": group_column(),
}
"""What the list can be sorted by. A run that has not ended has no duration yet, and one without a note or a group
none of these."""
