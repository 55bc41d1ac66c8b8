"""Where a pipeline is, as its runs say: its status is not stored."""

from collections.abc import Sequence

from backend.store.models import Run
from memgen.contract.status import RUN_ENDED, RUN_FELL, PipelineStatus, RunStatus


def status_of(there: Sequence[Run], num_steps: int) -> PipelineStatus:
    """Where a pipeline is; `there` are those of its steps' runs that were not deleted."""
    statuses = {RunStatus(run.status) for run in there}
    if statuses - RUN_ENDED:
        return PipelineStatus.RUNNING
    if RunStatus.FAILED in statuses:
        return PipelineStatus.FAILED
    if statuses & RUN_FELL:
        return PipelineStatus.CANCELLED
    return PipelineStatus.SUCCEEDED if len(there) == num_steps else PipelineStatus.INCOMPLETE
