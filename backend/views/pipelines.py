"""Pipelines as the API shows them."""

from collections.abc import Mapping

from sqlmodel import Session, col, select

from backend.api import schemas as s
from backend.services import lifecycle
from backend.services.fixing import pipeline_fixed_by
from backend.services.gains import Gains
from backend.services.pipeline_status import standing, status_of
from backend.services.pipelines import fallen_of, steps_of
from backend.services.surroundings import Surroundings
from backend.services.tags import tags_of_pipelines
from backend.store.models import Pipeline, PipelineStep, Run
from backend.views import views
from backend.views.results import changes_of
from backend.views.times import when
from memgen.contract.fixing import is_to_fix
from memgen.contract.pipeline import BASE_STEP, STEPS
from memgen.contract.stages import trains
from memgen.contract.status import RUN_FELL, PipelineStatus, RunStatus


def view(session: Session, pipeline: Pipeline, around: Surroundings) -> s.PipelineOut:
    """A pipeline as the API shows it."""
    return page(session, [pipeline], around)[0]


def detail(session: Session, pipeline: Pipeline, gains: Gains, around: Surroundings) -> s.PipelineOut:
    """A pipeline with what its evaluations have gained over its base, and what its trainers warned of."""
    out = view(session, pipeline, around)
    runs = {row.step: run for row, run in steps_of(session, pipeline) if run is not None}
    base = runs.get(BASE_STEP)
    finished = [run for run in runs.values() if run.status == RunStatus.SUCCEEDED and not trains(run.stage)]
    changes = changes_of(session, finished, gains, base) if base in finished else {}
    steps = []
    for step in out.steps:
        run = runs.get(step.step)
        if run is not None:
            gain = changes.get(run.id)
            more = {
                "gain": gain if gain is not None and base is not None and gain.base_id == base.id else None,
                "warnings": lifecycle.warnings_of(session, run.id),
                "can_be_fixed": run.status == RunStatus.FAILED
                and not step.reused
                and is_to_fix(run.config, run.failure),
            }
            step = step.model_copy(update=more)
        steps.append(step)
    return out.model_copy(update={"steps": steps, "fixed_by": pipeline_fixed_by(session, pipeline)})


def page(session: Session, pipelines: list[Pipeline], around: Surroundings) -> list[s.PipelineOut]:
    """Pipelines as the API shows them, with one query for all their runs."""
    ids = [pipeline.id for pipeline in pipelines]
    steps = list(session.exec(select(PipelineStep).where(col(PipelineStep.pipeline_id).in_(ids))))
    runs_there = list(session.exec(select(Run).where(col(Run.id).in_([step.run_id for step in steps]))))
    shown = {out.id: out for out in views.runs_out(session, runs_there, around)}
    known = {run.id: run for run in runs_there}
    outside = standing(session, steps)
    order = list(STEPS)
    labels = tags_of_pipelines(session, ids)
    out = []
    for pipeline in pipelines:
        own = sorted((row for row in steps if row.pipeline_id == pipeline.id), key=lambda row: order.index(row.step))  # type: ignore[arg-type]
        rows = [(row, known.get(row.run_id)) for row in own]
        out.append(_out(session, pipeline, rows, outside, shown, labels.get(pipeline.id, [])))
    return out


def _out(
    session: Session,
    pipeline: Pipeline,
    rows: list[tuple[PipelineStep, Run | None]],
    outside: set[int],
    shown: Mapping[int, s.RunOut],
    tags: list[str],
) -> s.PipelineOut:
    there = [run for _, run in rows if run is not None]
    status = status_of(there, sum(row.run_id not in outside for row, _ in rows))
    fallen = fallen_of(session, rows)
    ended = [run.ended_at for run in there if run.ended_at is not None]
    names = [STEPS[row.step].label for row, run in rows if run in fallen]  # type: ignore[index]
    return s.PipelineOut(
        id=pipeline.id,
        note=pipeline.note,
        preset=pipeline.preset,
        data=pipeline.data,
        created_at=when(pipeline.created_at),
        ended_at=when(max(ended)) if ended and status is not PipelineStatus.RUNNING else None,
        status=status,
        steps=[
            s.PipelineStepOut(
                step=row.step,
                label=STEPS[row.step].label,  # type: ignore[index]
                reused=row.reused,
                run=shown[run.id] if run is not None else None,
                checkpoint=row.run_id if row.run_id in outside else None,
                reason="" if row.run_id in outside else _reason(run, shown),
            )
            for row, run in rows
        ],
        can_continue=bool(fallen),
        continue_reason=(
            f"Goes on with {', '.join(names)}; finished steps stay as they are."
            if fallen
            else "No step has failed, was stopped or was skipped."
        ),
        spec=pipeline.spec,
        tags=tags,
        archived=pipeline.archived_at is not None,
    )


def _reason(run: Run | None, shown: Mapping[int, s.RunOut]) -> str:
    if run is None:
        return "The run was deleted."
    if run.failure is not None and run.status in RUN_FELL:
        return run.failure.message
    return shown[run.id].waits_for or ""
