"""Runs, and checkpoints from outside, that may stand for the steps of a pipeline."""

from collections.abc import Sequence

from sqlmodel import Session, col, or_, select

from backend.errors import LARGEST_INTEGER
from backend.services.checkpoints import stands_for
from backend.services.sorting import newest_in_index
from backend.store.models import AddedCheckpoint, Checkpoint, Run
from memgen.contract.pipeline import STEPS, StepName
from memgen.contract.stages import trains
from memgen.contract.status import RunStatus

MOST = 100  # of a step, newest first


def candidates(session: Session, preset: str, data: str, also: Sequence[int]) -> dict[StepName, list[Run]]:
    """Finished runs by the step that they may stand for, newest first; of trainings those that left a checkpoint.

    None of the archive. Their questions and lengths are compared with the pipeline's when it is checked as a whole.

    Args:
        session: a transaction.
        preset: model of the pipeline.
        data: data set of the pipeline; a training may be of another one.
        also: runs that are looked for whatever their age, in the archive, too, where they can stand for a step.
    """
    wanted = [number for number in also if abs(number) <= LARGEST_INTEGER]
    found: dict[StepName, list[Run]] = {}
    for name, step in STEPS.items():
        query = select(Run).where(
            col(Run.status) == RunStatus.SUCCEEDED,
            col(Run.preset) == preset,
            col(Run.stage) == step.stage,
            col(Run.setting) == (step.setting or ""),
        )
        if trains(step.stage):
            query = query.where(col(Run.id).in_(select(Checkpoint.id)))
        else:
            query = query.where(col(Run.data) == data)
        shown = query.where(col(Run.archived_at).is_(None))
        newest = shown.with_only_columns(col(Run.id)).order_by(newest_in_index(col(Run.id))).limit(MOST)
        query = query.where(or_(col(Run.id).in_(newest), col(Run.id).in_(wanted)))
        found[name] = list(session.exec(query.order_by(col(Run.id).desc())))
    return found


def outside(session: Session, preset: str) -> dict[StepName, list[AddedCheckpoint]]:
    """Checkpoints from outside by the training that they may stand for, newest first.

    Args:
        session: a transaction.
        preset: model of the pipeline.
    """
    query = select(AddedCheckpoint, Checkpoint).join(Checkpoint, col(Checkpoint.id) == col(AddedCheckpoint.id))
    newest = query.where(AddedCheckpoint.preset == preset).order_by(col(AddedCheckpoint.id).desc()).limit(MOST)
    rows = list(session.exec(newest))
    return {
        name: [added for added, checkpoint in rows if stands_for(checkpoint, step.stage)]
        for name, step in STEPS.items()
        if trains(step.stage)
    }
