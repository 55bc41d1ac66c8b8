"""Outputs of succeeded runs that their supervisor did not come to publish."""

import logging
from pathlib import Path

from sqlmodel import Session, col, select

from backend.services.apart import apart
from backend.store.models import Attempt, Run
from memgen.contract.publish import publish
from memgen.contract.rundir import attempt_dir
from memgen.contract.status import AttemptStatus, RunStatus

log = logging.getLogger(__name__)


def publish_late(session: Session, home: Path, *, since: float, until: float) -> None:
    """Publish what supervisors that died between their last report and the publishing have left.

    Args:
        session: the transaction.
        home: folder of everything.
        since, until: when the runs looked at ended, in seconds since 1970.
    """
    query = (
        select(Run.id, Run.output)
        .where(col(Run.status) == RunStatus.SUCCEEDED)
        .where(col(Run.ended_at) > since, col(Run.ended_at) <= until)
    )
    for run_id, output in session.exec(query).all():
        if run_id is not None and output:
            with apart(session, f"publishing the output of run {run_id}"):
                _publish_one(session, home, run_id, home / output)


def _publish_one(session: Session, home: Path, run_id: int, output: Path) -> None:
    if output.exists():
        return
    winner = session.exec(
        select(Attempt).where(col(Attempt.run_id) == run_id, col(Attempt.status) == AttemptStatus.SUCCEEDED)
    ).one()
    run = session.get_one(Run, run_id)
    folder = attempt_dir(home, run_id, winner.number, run.stage)
    if folder.output.exists():
        log.warning("publishing the output of run %s, whose supervisor has not", run_id)
        publish(home, run.config, run_id, folder)
