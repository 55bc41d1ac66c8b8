"""Public paths of what succeeded runs have left. The database says what they are; anybody may make them again."""

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from backend.services import checkpoints
from backend.store.db import Database
from backend.store.models import Attempt, Checkpoint, Run
from memgen.contract.config import RunConfig, stored_config
from memgen.contract.errors import BadInput
from memgen.contract.manifest import survey
from memgen.contract.publish import point_newest, publish, way_from
from memgen.contract.rundir import RunDir, attempt_dir
from memgen.contract.stages import training_names
from memgen.contract.status import AttemptStatus, RunStatus

log = logging.getLogger(__name__)


class Publisher:
    """Makes public paths, and makes those later that could not be made, e.g. on a full disk.

    Args:
        database: where runs live; read when a path is made, as runs may be gone by then.
        home: folder of everything.
    """

    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self._home = home
        self._one_at_a_time = threading.Lock()
        self._left: set[int] = set()

    def publish(self, run_id: int) -> None:
        """Make the public path of a succeeded run, and let the newest link point where it has to.

        The run's end is stored by then: what fails here is tried again and fails no request. Not to be called while a
        session is open.
        """
        is_first_try = run_id not in self._left
        self._left.add(run_id)
        try:
            with self._database.read() as session:
                run = session.get(Run, run_id)
                folder = winner_of(session, run, self._home) if run is not None else None
                config = stored_config(run.config) if run is not None else None
                newest = newest_of(session, config) if config is not None else None
            if folder is not None and config is not None:
                with self._one_at_a_time:
                    publish(self._home, config, run_id, folder)
                    point_newest(self._home, config, newest)
            self._left.discard(run_id)
        except (OSError, BadInput, SQLAlchemyError) as error:
            if is_first_try:
                log.warning("run %s has no public path for now: %s", run_id, error)

    def try_again(self) -> None:
        """Make what could not be made before."""
        for run_id in sorted(self._left):
            self.publish(run_id)

    def catch_up(self, *, at: float) -> None:
        """At the start: make missing paths, and register checkpoints of trainings that an earlier version finished.

        Args:
            at: seconds since 1970.
        """
        with self._database.read() as session:
            succeeded, unknown = _succeeded(session), _unknown(session)
        # paths first: where a checkpoint lies once its path leads there, no version before moves it
        for run_id in _unpublished(succeeded, self._home):
            self.publish(run_id)
        with self._database.write() as session:
            lost = [run_id for run_id in unknown if not _make_known(session, run_id, self._home, at)]
        if lost:
            log.warning(
                "%s trainings have left no checkpoint that can be used, the first is run %s", len(lost), lost[0]
            )


def winner_of(session: Session, run: Run, home: Path) -> RunDir | None:
    """The folder of the attempt with which a run has succeeded; None for a run that has not."""
    won = select(Attempt.number).where(col(Attempt.run_id) == run.id, col(Attempt.status) == AttemptStatus.SUCCEEDED)
    number = session.exec(won).first()
    return attempt_dir(home, run.id, number, run.stage) if number is not None else None


def newest_of(session: Session, config: RunConfig) -> int | None:
    """The newest succeeded run of a stage, data set and model."""
    query = (
        select(Run.id)
        .where(col(Run.status) == RunStatus.SUCCEEDED, col(Run.preset) == config.preset)
        .where(col(Run.stage) == config.stage, col(Run.data) == config.data)
        .order_by(col(Run.ended_at).desc(), col(Run.id).desc())
        .limit(1)
    )
    return session.exec(query).first()


@dataclass(frozen=True)
class _Succeeded:
    """What the database says of a run that has succeeded."""

    run_id: int
    stage: str
    attempt: int
    output: str
    """Its public path, seen from the home."""


def _succeeded(session: Session) -> list[_Succeeded]:
    """Runs that have succeeded, in the order of their ends."""
    query = (
        select(Run.id, Run.stage, Attempt.number, Run.output)
        .join(Attempt, col(Attempt.run_id) == col(Run.id))
        .where(col(Run.status) == RunStatus.SUCCEEDED, col(Attempt.status) == AttemptStatus.SUCCEEDED)
        .order_by(col(Run.ended_at), col(Run.id))
    )
    return [
        _Succeeded(run_id, stage, attempt, output) for run_id, stage, attempt, output in session.exec(query) if output
    ]


def _unpublished(succeeded: Sequence[_Succeeded], home: Path) -> list[int]:
    """Those whose output has no public path, and those to which a newest link should point and does not."""
    missing: list[int] = []
    newest: dict[tuple[str, str], _Succeeded] = {}
    for run in succeeded:
        shared, _, name = run.output.rsplit("/", 2)  # texts: a path object for each of 10^5 runs takes seconds
        newest[shared, name] = run
        if os.path.lexists(f"{home}/{run.output}"):
            continue
        output = attempt_dir(home, run.run_id, run.attempt, run.stage).path / name  # whatever became of its stage
        if output.exists():
            missing.append(run.run_id)
    links = [(home / shared / name, home / run.output, run.run_id) for (shared, name), run in newest.items()]
    wrong = [
        run_id
        for link, place, run_id in links
        if place.exists() and not (link.is_symlink() and str(link.readlink()) == way_from(link.parent, place))
    ]
    return [*missing, *(run_id for run_id in wrong if run_id not in missing)]


def _unknown(session: Session) -> list[int]:
    """Trainings that have succeeded and whose checkpoint is not known."""
    query = select(Run.id).where(
        col(Run.status) == RunStatus.SUCCEEDED,
        col(Run.stage).in_(training_names()),
        col(Run.id).not_in(select(Checkpoint.id)),
    )
    return list(session.exec(query))


def _make_known(session: Session, run_id: int, home: Path, at: float) -> bool:
    """Whether a training's checkpoint was found, where its winner left it or where a version before has moved it."""
    run = session.get_one(Run, run_id)
    won = winner_of(session, run, home)
    folder = won.output if won is not None and won.output.exists() else home / (run.output or "")
    try:
        checkpoints.store(session, run, str(folder.relative_to(home)), survey(folder), at=at)
    except BadInput:
        return False
    return True
