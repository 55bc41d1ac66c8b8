"""A process that is forked from a server begins, ends and dies as one of its own would."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from memgen.contract.rundir import EXIT_BAD_INPUT
from tests.running_stack import is_alive, wait_until
from tests.warm_python import warm_python

SLEEPER = ("-m", "tests.warm_python.sleeper")


def warm(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **options.pop("env", {})}
    return subprocess.run(
        [warm_python(), *words], capture_output=True, text=True, check=False, timeout=120, env=environment, **options
    )


def test_arguments_environment_folder_umask_and_output_are_those_of_the_client(tmp_path: Path) -> None:
    told = warm(*SLEEPER, "tell", "two words", env={"COLOUR": "green"}, cwd=tmp_path, umask=0o027)
    assert told.stdout.splitlines() == ["two words", "green", str(tmp_path), "0o27", warm_python()]
    assert told.returncode == 0


def test_refusal_of_the_core_has_its_exit_code_and_its_words() -> None:
    refused = warm("-m", "memgen", "schema", "nonsense")
    assert refused.returncode == EXIT_BAD_INPUT
    assert "nonsense" in refused.stderr


def test_whatever_is_not_ours_runs_in_the_python_of_the_tests() -> None:
    assert warm("-c", "import sys; print(sys.executable)").stdout.strip() == sys.executable
    assert warm("-m", "platform").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_process_dies_with_its_client(number: signal.Signals) -> None:
    client = subprocess.Popen([warm_python(), *SLEEPER, "sleep"], stdout=subprocess.PIPE, text=True, process_group=0)
    assert client.stdout is not None
    pid = int(client.stdout.readline())
    assert psutil.Process(pid).pid != client.pid
    os.killpg(client.pid, number)
    assert client.wait(30) == -number
    wait_until(lambda: not is_alive(pid), 30, "end of the process")


def test_trainer_dies_with_its_supervisor() -> None:
    script = (
        "import os, subprocess, sys;"
        "subprocess.run(sys.argv[1:], env={**os.environ, 'MEMGEN_SUPERVISOR_PID': str(os.getpid())}, check=False)"
    )
    words = [sys.executable, "-c", script, warm_python(), *SLEEPER, "sleep"]
    supervisor = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    trainer = int(supervisor.stdout.readline())
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not is_alive(trainer), 30, "end of the trainer")
