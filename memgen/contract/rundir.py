"""Names in a run folder and below `MEMGEN_HOME`: one function makes each path.

The run folder is the interface between trainer and supervisor; see docs/architecture.md.
"""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from memgen.contract.config import EvaluateConfig
from memgen.contract.presets import short_name

EXIT_DONE, EXIT_ERROR, EXIT_BAD_INPUT, EXIT_STOPPED = 0, 1, 2, 3


@dataclass(frozen=True)
class RunDir:
    """The folder of one attempt of a run."""

    path: Path

    @property
    def config(self) -> Path:
        """The run's config, never changed once written."""
        return self.path / "config.json"

    @property
    def environment(self) -> Path:
        """Versions, device, dtype, seed and hashes that the trainer saw."""
        return self.path / "environment.json"

    @property
    def events(self) -> Path:
        """What the trainer says, one JSON line each."""
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        """Standard output and error of the trainer."""
        return self.path / "log.txt"

    @property
    def stop(self) -> Path:
        """Written by the supervisor when the run is to end; the trainer looks at each step."""
        return self.path / "stop.json"

    @property
    def result(self) -> Path:
        """The numbers of a finished stage."""
        return self.path / "result.json"

    @property
    def output(self) -> Path:
        """The folder that is published when the attempt wins."""
        return self.path / "evaluate"

    @property
    def answers(self) -> Path:
        """The answer file."""
        return self.output / "answer.json"


def attempt_dir(home: Path, run_id: int, number: int) -> RunDir:
    """Folder of the n-th attempt of a run."""
    return RunDir(home / "runs" / str(run_id) / "attempts" / str(number))


def published_dir(home: Path, config: EvaluateConfig, run_id: int) -> Path:
    """Where the output of a finished run lies for good."""
    return newest_link(home, config).parent / str(run_id) / "evaluate"


def newest_link(home: Path, config: EvaluateConfig) -> Path:
    """The symlink that points at the output of the newest finished run of the same stage, data and model."""
    return home / "evaluate" / config.data / short_name(config.preset) / "evaluate"


def log_link(home: Path, run_id: int) -> Path:
    """The symlink to a run's log."""
    return home / "logs" / f"{run_id}.log"


def backend_url_file(home: Path) -> Path:
    """Where a backend writes its address, for supervisors that outlive a move to another port."""
    return home / "backend" / "url"


def models_dir(home: Path) -> Path:
    """Where converted weights are kept."""
    return home / "models"


def write_whole(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file whole or not at all: temporary name beside it, sync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, data: object) -> None:
    """`write_whole` of indented JSON."""
    write_whole(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")
