"""What a trainer's end means, whatever lies in its folder."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.api.schemas import FinishRequest
from memgen.contract.manifest import survey
from memgen.contract.rundir import RunDir
from tests.checkpoints import write_checkpoint
from worker.verdict import LONGEST_TRACE, judge

Plant = Callable[[RunDir], object]
GOOD = '{"accuracy": 1.0}'


@pytest.fixture
def folder(tmp_path: Path) -> RunDir:
    made = RunDir(tmp_path / "run")
    made.output.mkdir(parents=True)
    made.result.write_text(GOOD)
    made.log.write_text("line\nlast line\n")
    return made


def verdict(folder: RunDir, exit_code: int = 0) -> FinishRequest:
    return judge(exit_code, folder, stop_asked=False, was_forced=False)


def replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink(missing_ok=True)
    make(path)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "nested 2,000 deep": lambda path: path.write_text('{"a":' * 2000 + "1" + "}" * 2000),
    "nested a million deep": lambda path: path.write_text("[" * 1_000_000),
    "nested ten deep": lambda path: path.write_text('{"a":' * 10 + "1" + "}" * 10),
    "a list": lambda path: path.write_text("[1]"),
    "a number": lambda path: path.write_text("7"),
    "null": lambda path: path.write_text("null"),
    "cut": lambda path: path.write_text('{"accuracy": 1'),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 9),
    "NaN": lambda path: path.write_text('{"accuracy": NaN}'),
    "infinity": lambda path: path.write_text('{"accuracy": -Infinity}'),
    "too large for a number": lambda path: path.write_text('{"accuracy": 1e999}'),
    "too many digits": lambda path: path.write_text('{"accuracy": ' + "9" * 5000 + "}"),
    "lone surrogate": lambda path: path.write_text('{"accuracy": "\\ud800"}'),
    "lone surrogate as a name": lambda path: path.write_text('{"\\ud800": 1}'),
    "a terabyte": sparse,
    "long": lambda path: path.write_text(json.dumps({str(n): n for n in range(20_000)})),
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "link": lambda path: path.symlink_to("/etc/passwd"),
    "link to itself": lambda path: path.symlink_to(path),
    "device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("name", ["result.json", "environment.json"])
@pytest.mark.parametrize("what", HOSTILE)
def test_file_that_can_not_be_used_fails_the_run_and_is_named(folder: RunDir, name: str, what: str) -> None:
    replace(folder.path / name, HOSTILE[what])
    said = verdict(folder)
    assert (said.outcome, said.cause, said.result) == ("failed", "error", {})
    assert said.failure is not None
    assert said.failure.code == "bad_run_folder"
    assert name in said.failure.message
    assert len(json.dumps(said.model_dump(mode="json"), allow_nan=False).encode()) < 10_000


@pytest.mark.parametrize("make", [os.mkfifo, Path.touch, lambda path: path.symlink_to("/etc")])
def test_output_that_is_no_folder_fails_the_run(folder: RunDir, make: Callable[[Path], object]) -> None:
    folder.output.rmdir()
    make(folder.output)
    said = verdict(folder)
    assert said.failure is not None
    assert (said.outcome, said.failure.code) == ("failed", "bad_run_folder")
    assert "evaluate" in said.failure.message


def test_result_without_an_output_fails_the_run(folder: RunDir) -> None:
    folder.output.rmdir()
    said = verdict(folder)
    assert said.failure is not None
    assert (said.outcome, said.failure.code) == ("failed", "bad_run_folder")
    assert "evaluate is missing" in said.failure.message


@pytest.fixture
def training(tmp_path: Path) -> RunDir:
    """What a training leaves."""
    made = RunDir(tmp_path / "training", "weaver_sft")
    made.path.mkdir()
    made.result.write_text('{"steps": 2}')
    write_checkpoint(made.output)
    return made


def test_training_tells_of_its_checkpoint_and_the_size_of_each_file(training: RunDir) -> None:
    said = verdict(training)
    assert (said.outcome, said.checkpoint) == ("succeeded", survey(training.output))
    assert said.checkpoint is not None
    assert said.checkpoint.sizes == {path.name: path.stat().st_size for path in training.output.iterdir()}
    assert verdict(training, 1).checkpoint is None


@pytest.mark.parametrize("name", ["manifest.json", "parts.safetensors"])
@pytest.mark.parametrize("make", [lambda _: None, os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_training_whose_checkpoint_is_not_whole_has_failed(training: RunDir, name: str, make) -> None:
    replace(training.output / name, make)
    said = verdict(training)
    assert said.failure is not None
    assert (said.outcome, said.failure.code, said.checkpoint) == ("failed", "bad_run_folder", None)
    assert name in said.failure.message


@pytest.mark.parametrize("exit_code", [1, 2, -9])
@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, sparse, lambda path: path.symlink_to("/dev/zero")])
def test_failure_is_told_whatever_log_and_events_are(folder: RunDir, make, exit_code: int) -> None:
    for path in (folder.log, folder.events, folder.environment, folder.result):
        replace(path, make)
    said = verdict(folder, exit_code)
    assert said.outcome == "failed"
    assert said.failure is not None
    assert said.failure.message


def test_folder_that_is_gone_has_a_verdict(tmp_path: Path) -> None:
    for exit_code in (0, 1, 2, 3, -9, 300, -300):
        assert verdict(RunDir(tmp_path / "gone"), exit_code).outcome in {"failed", "stopped"}


def test_words_of_a_trainer_are_cut_to_what_a_report_can_carry(folder: RunDir) -> None:
    fields = dict.fromkeys(("code", "message", "field", "value", "way_out"), "x" * 10000)
    event = {"event": "failed", "time": 1.0, "traceback": "y" * 150_000, **fields}
    folder.events.write_text(json.dumps(event) + "\n")
    said = verdict(folder, 1)
    assert said.traceback == "y" * LONGEST_TRACE
    assert said.failure is not None
    assert (len(said.failure.code), len(said.failure.message)) == (100, 2000)


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_message_that_holds_another_line_end_is_told_whole(folder: RunDir, mark: str) -> None:
    event = {"event": "failed", "time": 1.0, "code": "c", "message": f"one{mark}two"}
    folder.events.write_text(json.dumps(event, ensure_ascii=False).replace("\\u001c", mark) + "\n")
    if mark < " ":  # a control character has to be escaped in JSON
        folder.events.write_text(json.dumps(event) + "\n")
    said = verdict(folder, 1)
    assert said.failure is not None
    assert said.failure.message == f"one{mark}two"


def test_plain_end_is_a_success_with_result_and_environment(folder: RunDir) -> None:
    folder.environment.write_text('{"torch": "2", "gpus": [{"name": "é"}]}')
    said = verdict(folder)
    assert (said.outcome, said.result) == ("succeeded", {"accuracy": 1.0})
    assert said.environment == {"torch": "2", "gpus": [{"name": "é"}]}
