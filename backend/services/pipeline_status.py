"""Where a pipeline is, as its runs say: its status is not stored."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from backend.store.models import AddedCheckpoint, PipelineStep, Run
from memgen.contract.status import RUN_ENDED, RUN_FELL, PipelineStatus, RunStatus


def standing(session: Session, steps: Sequence[PipelineStep]) -> set[int]:
    """Numbers of the checkpoints from outside that stand for some of the steps."""
    numbers = [step.run_id for step in steps if step.reused]
    return set(session.exec(select(AddedCheckpoint.id).where(col(AddedCheckpoint.id).in_(numbers))))


def status_of(there: Sequence[Run], num_steps: int) -> PipelineStatus:
    """Where a pipeline is.

    Args:
        there: runs of its steps that were not deleted.
        num_steps: that have a run, or had one.
    """
    statuses = {RunStatus(run.status) for run in there}
    if statuses - RUN_ENDED:
        return PipelineStatus.RUNNING
    if RunStatus.FAILED in statuses:
        return PipelineStatus.FAILED
    if statuses & RUN_FELL:
        return PipelineStatus.CANCELLED
    return PipelineStatus.SUCCEEDED if len(there) == num_steps else PipelineStatus.INCOMPLETE
