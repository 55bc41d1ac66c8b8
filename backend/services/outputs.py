"""Outputs of succeeded runs that their supervisor did not come to publish."""

import logging
from pathlib import Path

from sqlmodel import Session, col, select

from backend.models import Attempt, Run
from memgen.contract.errors import BadInput
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
        if run_id is None or not output or (home / output).exists():
            continue
        winner = session.exec(
            select(Attempt).where(col(Attempt.run_id) == run_id, col(Attempt.status) == AttemptStatus.SUCCEEDED)
        ).one()
        run = session.get_one(Run, run_id)
        folder = attempt_dir(home, run_id, winner.number, run.stage)
        if not folder.output.exists():
            continue
        log.warning("publishing the output of run %s, whose supervisor has not", run_id)
        try:
            publish(home, run.config, run_id, folder)
        except (BadInput, ValueError, OSError):
            log.exception("the output of run %s can't be published", run_id)
