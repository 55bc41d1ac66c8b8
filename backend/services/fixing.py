"""Which failed run, or pipeline, a new one mends."""

from sqlmodel import Session, col, func, select

from backend.errors import Conflict
from backend.services import pipelines, runs
from backend.store.models import Pipeline, Run
from memgen.contract.pipeline import PipelineSpec
from memgen.contract.status import RunStatus


def check_run(session: Session, run_id: int, stage: str) -> None:
    """Refuse to mend what has not failed, or what did something else.

    Raises:
        NotFound: `run_not_found`.
        Conflict: `not_failed`, `other_stage`.
    """
    run = runs.get(session, run_id)
    if run.status != RunStatus.FAILED:
        raise _not_failed("run", run_id, run.status)
    if run.stage != stage:
        raise Conflict(
            "other_stage",
            f"run {run_id} is {run.stage}, and the new one {stage}",
            field="fixes",
            value=run_id,
            way_out="Leave fixes out to launch a run of its own.",
        )


def failed_steps(session: Session, spec: PipelineSpec) -> dict[str, int]:
    """The failed runs of the pipeline that this one mends, by their steps; none where it mends none.

    Raises:
        NotFound: `pipeline_not_found`.
        Conflict: `not_failed`.
    """
    if spec.fixes is None:
        return {}
    rows = pipelines.steps_of(session, pipelines.get(session, spec.fixes))
    failed = {row.step: run.id for row, run in rows if run is not None and run.status == RunStatus.FAILED}
    if not failed:
        raise _not_failed("pipeline", spec.fixes, "without a failed step")
    return failed


def fixed_by(session: Session, run: Run) -> int | None:
    """The newest run that mends this one."""
    return session.exec(select(func.max(Run.id)).where(col(Run.fixes_id) == run.id)).one()


def pipeline_fixed_by(session: Session, pipeline: Pipeline) -> int | None:
    """The newest pipeline that mends this one."""
    fixes = func.json_extract(Pipeline.spec, "$.fixes")
    return session.exec(select(func.max(Pipeline.id)).where(fixes == pipeline.id)).one()


def _not_failed(what: str, number: int, status: str) -> Conflict:
    return Conflict(
        "not_failed",
        f"{what} {number} is {status}",
        field="fixes",
        value=number,
        way_out="Only what has failed is mended; leave fixes out.",
    )
