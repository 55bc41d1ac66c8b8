"""A trainer that is forked from a server ends and dies as one of its own would."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.warm_trainer import warm_trainer

from memgen.contract.rundir import EXIT_BAD_INPUT
from tests.running_stack import is_alive, wait_until

COMMAND = shlex.split(warm_trainer("tests.warm_trainer.sleeper"))


def test_arguments_environment_folder_and_output_are_those_of_the_client(tmp_path: Path) -> None:
    told = subprocess.run(
        [*COMMAND, "tell", "two words"], capture_output=True, text=True, cwd=tmp_path, env={"COLOUR": "green"},
        check=False, timeout=120,
    )  # fmt: skip
    assert told.stdout.splitlines() == ["two words", "green", str(tmp_path)]
    assert told.returncode == 0


def test_refusal_of_the_core_has_its_exit_code_and_its_words() -> None:
    refused = subprocess.run(
        [*shlex.split(warm_trainer("memgen.cli")), "schema", "nonsense"],
        capture_output=True, text=True, env={"PATH": os.environ["PATH"]}, check=False, timeout=120,
    )  # fmt: skip
    assert refused.returncode == EXIT_BAD_INPUT
    assert "nonsense" in refused.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_trainer_dies_with_its_client(number: signal.Signals) -> None:
    client = subprocess.Popen([*COMMAND, "sleep"], stdout=subprocess.PIPE, text=True, process_group=0)
    assert client.stdout is not None
    trainer = int(client.stdout.readline())
    assert psutil.Process(trainer).pid != client.pid
    os.killpg(client.pid, number)
    assert client.wait(30) == -number
    wait_until(lambda: not is_alive(trainer), 30, "end of the trainer")


def test_trainer_dies_with_its_supervisor() -> None:
    script = (
        "import os, subprocess, sys;"
        "subprocess.run(sys.argv[1:], env={**os.environ, 'MEMGEN_SUPERVISOR_PID': str(os.getpid())}, check=False)"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", script, *COMMAND, "sleep"], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    trainer = int(supervisor.stdout.readline())
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not is_alive(trainer), 30, "end of the trainer")
