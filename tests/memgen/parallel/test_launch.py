"""What is said of a run of several ranks: the first cause, and not its echoes in the other ranks."""

import json
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memgen.attempt import Ending
from memgen.cli import app
from memgen.contract.events import Failed
from memgen.contract.rundir import EXIT_BAD_INPUT, EXIT_DONE, EXIT_ERROR
from memgen.parallel.launch import cause
from memgen.parallel.rank import RankFolder

LOST = Failed(time=7.5, code="error", message="connection closed by peer")


def folder_of(path: Path, *endings: Ending | None) -> RankFolder:
    folder = RankFolder(path)
    for rank, ending in enumerate(endings):
        if ending is not None:
            folder.ending(rank).write_text(ending.model_dump_json())
    return folder


def failed(code: str, time: float, exit_code: int = EXIT_ERROR) -> Ending:
    return Ending(exit_code=exit_code, failed=Failed(time=time, code=code, message=code))


def test_first_failure_is_the_cause(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, failed("error", 7.5), failed("no_such_checkpoint", 7.25, EXIT_BAD_INPUT))
    assert cause(folder, {0: 1, 1: 2}) == failed("no_such_checkpoint", 7.25, EXIT_BAD_INPUT)


def test_rank_that_the_launcher_ended_is_not_the_cause(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, None, failed("out_of_memory", 7.0))
    assert cause(folder, {0: -signal.SIGTERM, 1: 1}) == failed("out_of_memory", 7.0)
    done = folder_of(tmp_path, Ending(exit_code=EXIT_DONE), failed("out_of_memory", 7.0))
    assert cause(done, {0: -signal.SIGABRT, 1: 1}) == failed("out_of_memory", 7.0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_rank_that_was_killed_is_the_cause_whatever_others_say(tmp_path: Path, number: signal.Signals) -> None:
    ending = cause(folder_of(tmp_path, Ending(exit_code=EXIT_ERROR, failed=LOST), None), {0: 1, 1: -number})
    assert ending.failed is not None
    assert (ending.exit_code, ending.failed.code) == (EXIT_ERROR, "killed")
    assert f"process 1 of the run was killed by signal {number:d} ({number.name})" in ending.failed.message
    assert ("micro_batch_size" in ending.failed.way_out) is (number is signal.SIGKILL)


def test_rank_that_says_nothing_is_named(tmp_path: Path) -> None:
    ending = cause(folder_of(tmp_path), {0: -signal.SIGTERM, 1: 1})
    assert ending.failed is not None
    assert ending.failed.message == "process 1 of the run ended with exit code 1"
    terminated = cause(folder_of(tmp_path), {0: -signal.SIGTERM, 1: -signal.SIGTERM})
    assert terminated.failed is not None
    assert "process 0 of the run was killed by signal 15" in terminated.failed.message


@pytest.mark.parametrize(
    ("processes", "gpus", "said"),
    [(0, 0, "a run needs a process"), (7, 0, "6 rows to share"), (2, 1, "1 visible GPUs")],
)
def test_number_of_processes_that_can_not_be_is_refused(
    home: Path, tmp_path: Path, tiny_config, monkeypatch: pytest.MonkeyPatch, processes: int, gpus: int, said: str
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(tiny_config))
    words = ["run", str(path), "--out", str(tmp_path / "out"), "--num-processes", str(processes)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == EXIT_BAD_INPUT
    assert said in done.output
    assert f"--num-processes: {'' if processes < 1 else 'there are '}" in done.output
    assert f"(got '{processes}')" in done.output
    assert not (tmp_path / "out").exists()
