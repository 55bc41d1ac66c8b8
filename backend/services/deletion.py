"""Deleting runs for good, with their files.

The rows go first: a file that stays behind harms nobody, and a row without its files would. Each run goes in a
transaction of its own, so that nobody who writes waits for many of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import Session, col, select

from backend.errors import Conflict, NotFound, ServiceError
from backend.services import runs
from backend.services.outputs import newest_of
from backend.store.db import Database
from backend.store.models import Checkpoint, Run
from memgen.contract.config import stored_config
from memgen.contract.status import RunStatus

Refusals = dict[int, ServiceError]
"""By id of the run: why it is not deleted."""


@dataclass(frozen=True)
class Deletion:
    """What goes, or has gone."""

    statuses: dict[int, RunStatus]
    """Of all runs that are there, as they were."""
    refused: Refusals
    paths: list[Path]
    num_checkpoints: int


class Deleter:
    """Takes runs out of a home.

    Args:
        database: of the home.
        home: folder of everything.
        log_path: of the backend's copy of an attempt's log.
    """

    def __init__(self, database: Database, home: Path, log_path: Callable[[int, int], Path]) -> None:
        self._database = database
        self._home = home
        self._log_path = log_path

    def paths_of(self, run_id: int) -> list[Path]:
        """Everything on disk that belongs to a run.

        Raises:
            NotFound: there is no such run.
        """
        with self._database.read() as session:
            return self._paths(session, runs.get(session, run_id))

    def preview(self, run_ids: Sequence[int]) -> Deletion:
        """What would go."""
        statuses: dict[int, RunStatus] = {}
        refused: Refusals = {}
        paths: list[Path] = []
        with self._database.read() as session:
            for run_id in run_ids:
                try:
                    run = runs.get(session, run_id)
                    statuses[run_id] = RunStatus(run.status)
                    runs.check_deletable(session, run)
                    paths += self._paths(session, run)
                except ServiceError as error:
                    refused[run_id] = error
            going = [run_id for run_id in statuses if run_id not in refused]
            kept = select(Checkpoint.id).where(col(Checkpoint.run_id).in_(going))
            num_checkpoints = len(session.exec(kept).all())
        return Deletion(statuses, refused, paths, num_checkpoints)

    def delete(self, run_id: int) -> list[str]:
        """Delete an ended run.

        Returns:
            For each file or folder that could not be removed its path below the home, and why.

        Raises:
            NotFound: there is no such run.
            Conflict: as `runs.check_deletable`.
        """
        with self._database.write() as session:
            run = runs.get(session, run_id)
            paths = self._paths(session, run)
            config = stored_config(run.config)
            runs.delete(session, run)
            session.flush()
            newest_left = newest_of(session, config)
        return runs.delete_files(paths, self._home, config, newest_left)

    def delete_all(self, run_ids: Sequence[int]) -> tuple[Refusals, list[str]]:
        """Delete those that can be; why the others can't, and what of the files could not be removed."""
        refused: Refusals = {}
        left: list[str] = []
        for run_id in run_ids:
            try:
                left += self.delete(run_id)
            except (NotFound, Conflict) as error:
                refused[run_id] = error
        return refused, left

    def _paths(self, session: Session, run: Run) -> list[Path]:
        return runs.paths_of(session, run, self._home, self._log_path)
