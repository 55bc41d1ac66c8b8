"""Names in a run folder, and of what runs leave below `MEMGEN_HOME`: one function makes each path.

The run folder is the interface between trainer and supervisor; see docs/architecture.md.
"""

import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from memgen.contract.config import RunConfig
from memgen.contract.errors import BadInput
from memgen.contract.json_file import Unreadable, read_object
from memgen.contract.manifest import MANIFEST
from memgen.contract.names import file_name
from memgen.contract.presets import short_name
from memgen.contract.stages import STAGES, stage_named, stage_of

EXIT_DONE, EXIT_ERROR, EXIT_BAD_INPUT, EXIT_STOPPED = 0, 1, 2, 3


@dataclass(frozen=True)
class RunDir:
    """The folder of one attempt of a run."""

    path: Path
    stage: str = STAGES[0].name

    @property
    def config(self) -> Path:
        """The run's config, never changed once written."""
        return self.path / "config.json"

    @property
    def environment(self) -> Path:
        """Versions, device, dtype, seed and hashes that the trainer saw."""
        return self.path / "environment.json"

    @property
    def weights(self) -> Path:
        """Where the base's weights lie and their name, if a process of their own has fetched them."""
        return self.path / "weights.json"

    @property
    def init_from(self) -> Path:
        """Where the checkpoint lies that the run starts from, if a supervisor was told; see `checkpoint_dir`."""
        return self.path / "init_from.json"

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
        """The folder that the public path leads to when the attempt wins; of a training its final checkpoint."""
        return self.path / stage_named(self.stage).output.folder

    @property
    def answers(self) -> Path:
        """The answer file of an evaluation; a training never writes one."""
        return self.output / (stage_named(self.stage).output.answers or "answer.json")

    @property
    def rollouts(self) -> Path:
        """The kept completions of a training from rewards, a line per question and step."""
        return self.path / "rollouts.jsonl"

    def answer_part(self, rank: int) -> Path:
        """Where a rank beside the main process leaves its answers until that one has them in the answer file."""
        return self.path / f"answers-{rank}.part"

    def answer_parts(self) -> list[Path]:
        """Those that are there."""
        return sorted(self.path.glob("answers-*.part"))

    @property
    def checkpoints(self) -> Path:
        """Folder of a training's checkpoints, from which it can be resumed."""
        return self.path / "checkpoints"

    def checkpoint(self, step: int) -> Path:
        """The checkpoint that a training saved at a step."""
        return self.checkpoints / f"step-{step}"

    def saved_steps(self) -> list[int]:
        """Steps of the checkpoints, ascending; a folder appears there whole or not at all."""
        names = [path.name for path in self.checkpoints.glob("step-*") if path.is_dir()]
        return sorted(int(name.removeprefix("step-")) for name in names if re.fullmatch(r"step-[0-9]{1,15}", name))

    def holds_work(self) -> bool:
        """Whether something has been computed here: answers, a checkpoint or an output."""
        return self.answers.exists() or self.output.exists() or bool(self.saved_steps())


def runs_dir(home: Path) -> Path:
    """What runs have left, by run and attempt."""
    return home / "runs"


def attempt_dir(home: Path, run_id: int, number: int, stage: str) -> RunDir:
    """Folder of the n-th attempt of a run."""
    return RunDir(runs_dir(home) / str(run_id) / "attempts" / str(number), stage)


def published_dir(home: Path, config: RunConfig, run_id: int) -> Path:
    """The public path of a finished run's output: a link to it, or where earlier versions have moved it.

    Raises:
        BadInput: `unsafe_name`, as `newest_link`.
    """
    link = newest_link(home, config)
    return link.parent / str(run_id) / link.name


def newest_link(home: Path, config: RunConfig) -> Path:
    """The symlink that points at the output of the newest finished run of the same stage, data and model.

    Raises:
        BadInput: `unsafe_name`, if a stored config has one that would lead elsewhere.
    """
    output = stage_of(config).output
    data, model = file_name(config.data, "data"), file_name(short_name(config.preset), "preset")
    return home / output.area / data / model / output.folder


def write_init_from(run_dir: RunDir, folder: str) -> None:
    """Tell the trainer where the checkpoint lies that its run starts from.

    Args:
        run_dir: of the attempt.
        folder: of the checkpoint, seen from the home.
    """
    write_json(run_dir.init_from, {"folder": folder})


def checkpoint_dir(run_dir: RunDir, home: Path, name: str) -> Path:
    """Folder of the checkpoint that a run starts from: where its supervisor was told it lies, else `name` itself.

    Args:
        run_dir: of the attempt.
        home: folder of everything.
        name: what the config names: an id, or on the command line a folder.

    Raises:
        BadInput: `no_such_checkpoint`.
    """
    try:
        folder = home / str(read_object(run_dir.init_from)["folder"]) if run_dir.init_from.exists() else Path(name)
        is_there = (folder / MANIFEST).exists()
    except (OSError, Unreadable, KeyError):  # a name that is too long, a folder that may not be entered
        is_there = False
    if not is_there:
        raise BadInput(
            "no_such_checkpoint",
            "there is no such checkpoint",
            field="checkpoint",
            value=name,
            way_out=f"A checkpoint is a folder with a {MANIFEST}; `memgen inspect` shows what it is. Its id alone is "
            "known to the service only.",
        )
    return folder


def added_checkpoints_dir(home: Path) -> Path:
    """Checkpoints that came from outside, each in a folder of its id."""
    return home / "checkpoints"


def added_dir(home: Path, checkpoint_id: int) -> Path:
    """Folder of a checkpoint that came from outside."""
    return added_checkpoints_dir(home) / str(checkpoint_id)


def log_links_dir(home: Path) -> Path:
    """Symlinks to the logs of runs."""
    return home / "logs"


def log_link(home: Path, run_id: int) -> Path:
    """The symlink to a run's log."""
    return log_links_dir(home) / f"{run_id}.log"


def models_dir(home: Path) -> Path:
    """Where converted weights are kept."""
    return home / "models"


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all, for its owner alone: temporary name beside it, sync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, data: object) -> None:
    """`write_whole` of indented JSON."""
    write_whole(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")
