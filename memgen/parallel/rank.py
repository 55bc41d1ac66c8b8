"""One rank of a run: what `launch` starts several of, as `python -m memgen.parallel.rank`.

Its exit code is 0 if it ended in good order, a stop included: the launcher takes any other as a failure and ends all.
How it ended is in a file of the ranks' folder.
"""

import argparse
import json
import os
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from memgen.attempt import Ending, work
from memgen.contract.config import parse_config
from memgen.contract.rundir import RunDir, write_whole
from memgen.machine_readings import machine_readings
from memgen.monitor import Monitor
from memgen.stop import StopRequest, die_with_parent


@dataclass(frozen=True)
class RankFolder:
    """Names in the private folder that the ranks of one attempt share while it runs."""

    path: Path

    @property
    def rendezvous(self) -> Path:
        """Where they find each other."""
        return self.path / "ranks"

    @property
    def stop(self) -> Path:
        """Written when the process that started them was told to stop."""
        return self.path / "stop.json"

    def ending(self, rank: int) -> Path:
        """How a rank ended."""
        return self.path / f"ending-{rank}.json"

    def endings(self) -> dict[int, Ending]:
        """Those that are there, by rank."""
        paths = self.path.glob("ending-*.json")
        return {int(path.stem.removeprefix("ending-")): Ending.model_validate_json(path.read_text()) for path in paths}


def main() -> None:
    """Entry point of a rank."""
    die_with_parent()
    parser = argparse.ArgumentParser(prog="python -m memgen.parallel.rank", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the run's folder, with its config")
    parser.add_argument("--folder", type=Path, required=True, help="the ranks' private folder")
    parser.add_argument("--resume", type=Path, help="folder of an earlier attempt to go on from")
    given = parser.parse_args()

    from memgen.parallel.ranks import Ranks

    folder = RankFolder(given.folder)
    config = parse_config(json.loads(RunDir(given.out).config.read_text(encoding="utf-8")))
    run_dir = RunDir(given.out, config.stage)
    team = Ranks(folder.rendezvous)
    stop = StopRequest(run_dir.stop, folder.stop)
    earlier = RunDir(given.resume, config.stage) if given.resume else None
    with Path(os.devnull).open("w") as nowhere:
        monitor = Monitor(run_dir.events, machine=machine_readings) if team.is_main else Monitor(None, show=nowhere)
        with closing(monitor):
            ending = work(config, run_dir, earlier, monitor, stop, team)
    write_whole(folder.ending(team.rank), ending.model_dump_json())
    if ending.failed is not None:
        sys.stdout.flush()
        os._exit(ending.exit_code)  # the end of the process group would wait for the others
    team.leave()


if __name__ == "__main__":
    main()
