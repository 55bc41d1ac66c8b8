"""The list of pipelines: filtered, in the order of a column, page by page."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select
from sqlmodel.sql.expression import SelectOfScalar

from backend.api.schemas import Shown
from backend.services.archiving import shows
from backend.services.sorting import Columns, Page, has_text, sorted_page
from backend.services.tags import pipeline_has
from backend.store.models import Pipeline, PipelineStep, Run
from memgen.contract.pipeline import STEPS
from memgen.contract.stages import trains
from memgen.contract.status import RunStatus


@dataclass(frozen=True)
class PipelineFilter:
    """Which pipelines are listed; None does not filter."""

    text: str | None = None
    """Part of the note or of the model's name."""
    tag: str | None = None
    """One, or several with commas, of which they have all."""
    archived: Shown = "no"


def list_pipelines(
    session: Session, wanted: PipelineFilter, *, sort: str | None, cursor: str | None, limit: int
) -> Page[Pipeline]:
    """A page of pipelines.

    Args:
        session: a transaction.
        wanted: which pipelines.
        sort: one of `COLUMNS`, after `-` the highest first; None is newest first.
        cursor: where the page before ended.
        limit: most pipelines of a page.

    Raises:
        ServiceError: `unknown_sort` or `bad_cursor`.
    """
    return sorted_page(session, Pipeline, _matching(wanted), COLUMNS, sort=sort, cursor=cursor, limit=limit)


def numbers(session: Session, wanted: PipelineFilter, *, limit: int) -> tuple[list[int], list[int], int]:
    """Numbers of the pipelines that match, newest first, at most `limit`; those of the runs that these have submitted;
    and how many pipelines match."""
    matching = _matching(wanted)
    total = session.execute(matching.with_only_columns(func.count(col(Pipeline.id)))).scalar_one()
    newest = matching.with_only_columns(col(Pipeline.id)).order_by(col(Pipeline.id).desc()).limit(limit)
    found = list(session.execute(newest).scalars())
    submitted = select(Run.id).where(col(Run.pipeline_id).in_(found)).order_by(col(Run.id).desc())
    return found, list(session.exec(submitted)), total


def _matching(wanted: PipelineFilter) -> SelectOfScalar[Pipeline]:
    query = select(Pipeline)
    if wanted.text:
        query = query.where(has_text(wanted.text, Pipeline.note, Pipeline.preset))
    for tag in filter(None, (wanted.tag or "").split(",")):
        query = query.where(pipeline_has(tag))
    condition = shows(Pipeline, wanted.archived)
    return query if condition is None else query.where(condition)


def _accuracy(step: str) -> ColumnElement[float]:
    """What a step of the pipeline has measured, once it has succeeded."""
    of_step = select(Run.accuracy).join(PipelineStep, col(PipelineStep.run_id) == col(Run.id))
    return of_step.where(
        col(PipelineStep.pipeline_id) == col(Pipeline.id),
        col(PipelineStep.step) == step,
        col(Run.status) == RunStatus.SUCCEEDED,
    ).scalar_subquery()


COLUMNS: Columns = {
    "pipeline": col(Pipeline.id),
    "model": col(Pipeline.preset).collate("NOCASE"),
    "data": col(Pipeline.data).collate("NOCASE"),
    "note": func.nullif(col(Pipeline.note).collate("NOCASE"), ""),
    **{name: _accuracy(name) for name, step in STEPS.items() if not trains(step.stage)},
}
"""What the list can be sorted by; the name of an evaluation's step stands for its accuracy."""
