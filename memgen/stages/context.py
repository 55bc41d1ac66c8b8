"""What every stage is given. No torch: a bad config or bad data is refused before that is imported."""

from dataclasses import dataclass
from pathlib import Path

from memgen.contract.config import RunConfig
from memgen.contract.rundir import RunDir
from memgen.data import load_questions
from memgen.data.questions import Question
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stop import StopRequest


@dataclass(frozen=True)
class Context:
    """Where a stage works, and whom it tells."""

    run_dir: RunDir
    """Where its files go."""
    resume: RunDir | None
    """Folder of an earlier attempt to go on from; may be `run_dir` itself."""
    home: Path
    """Where weights and the checkpoints of other runs are."""
    data_folder: Path | None
    """Where the rows of the run's data set lie, if the user named a folder."""
    monitor: Monitor
    stop: StopRequest
    team: Team
    """The processes that work on the run; the monitor of all but the main one says nothing."""
    rows_hash: str = ""
    """Of the questions and solutions that the stage is given."""

    def questions(self, config: RunConfig, split: str, limit: int | None = None) -> list[Question]:
        """The first `limit` questions of a split, with a word about it.

        Raises:
            BadInput: the data can't be had, or has fewer.
        """
        folder = "" if self.data_folder is None else f"folder {self.data_folder}"
        self.monitor.phase("data", f"{config.data} {split} {folder}".strip())
        with self.team.main_first():
            return load_questions(config.data, split, seed=config.seed, limit=limit, folder=self.data_folder)
