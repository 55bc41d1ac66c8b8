"""A trainer of several ranks: the launcher starts them in sessions of their own, and each still ends with it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from memgen.contract.rundir import RunDir
from tests.conftest import TINY
from tests.running_stack import is_alive, wait_until
from worker.trainer import Trainer

# A supervisor that starts a trainer and stays until it is killed.
SUPERVISOR = """
import os, signal, sys
from pathlib import Path
from worker.trainer import Trainer
trainer = Trainer(sys.argv[2:], Path(sys.argv[1]), {"MEMGEN_SUPERVISOR_PID": str(os.getpid())})
signal.pause()
"""


@pytest.fixture
def command(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A training of two ranks that goes on for long."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"stage": "weaver_sft", "preset": TINY, "data": "wordproblems", "eval_questions": 0}))
    words = ["run", str(path), "--out", str(tmp_path / "out"), "--num-processes", "2"]
    return [sys.executable, "-m", "memgen", *words]


def tree(pid: int, out: Path) -> list[int]:
    """The process and its descendants, once the ranks work."""
    wait_until(lambda: (out / "events.jsonl").exists(), 60, "first word of the main rank")
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert sum("memgen.parallel.rank" in process.cmdline() for process in processes) == 2
    return [process.pid for process in processes]


def test_killed_trainer_leaves_no_rank(command: list[str], tmp_path: Path) -> None:
    trainer = Trainer(command, tmp_path / "log.txt", {"MEMGEN_SUPERVISOR_PID": str(os.getpid())})
    pids = tree(trainer.pid, tmp_path / "out")
    trainer.kill()
    wait_until(lambda: not any(map(is_alive, pids)), 5, "end of all")


def test_supervisor_that_is_killed_takes_all_ranks_with_it(command: list[str], tmp_path: Path) -> None:
    words = [sys.executable, "-c", SUPERVISOR, str(tmp_path / "log.txt"), *command]
    with subprocess.Popen(words) as supervisor:
        pids = tree(supervisor.pid, tmp_path / "out")
        supervisor.kill()
    wait_until(lambda: not any(map(is_alive, pids)), 5, "end of all")


def test_terminated_trainer_saves_on_all_ranks_and_is_swept(command: list[str], tmp_path: Path) -> None:
    trainer = Trainer(command, tmp_path / "log.txt", {"MEMGEN_SUPERVISOR_PID": str(os.getpid())})
    pids = tree(trainer.pid, tmp_path / "out")
    trainer.signal(signal.SIGTERM)
    wait_until(lambda: trainer.exit_code() is not None, 60, "end of the trainer")
    trainer.sweep()
    assert trainer.exit_code() == 3, (tmp_path / "log.txt").read_text()
    assert not any(map(is_alive, pids))
    assert not RunDir(tmp_path / "out", "weaver_sft").result.exists()
