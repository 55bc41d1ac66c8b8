"""`make up`, Ctrl-C and `make down` as a user meets them."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from backend.launcher.only_one import holder
from memgen.contract.service_files import LAUNCHER_LOCK
from memgen.contract.status import AttemptStatus, RunStatus
from tests.conftest import TINY
from tests.ports import free_port
from tests.running_stack import RunningStack, wait_until

LONG = {
    "stage": "evaluate",
    "preset": TINY,
    "data": "wordproblems",
    "num_questions": 120,
    "batch_size": 2,
    "max_completion_length": 160,
}


SECRETS = ("MEMGEN_TOKEN", "MEMGEN_WORKER_TOKEN", "REDIS_URL", "HF_TOKEN", "GITHUB_TOKEN")


@pytest.fixture
def own_stack(tmp_path: Path, presets_file: Path) -> Iterator[RunningStack]:
    home = tmp_path / ("long-" * 20) / "home"
    home.parent.mkdir()
    assert len(os.fsencode(home)) > 107, "too long for the name of a socket in it"
    running = RunningStack(home, presets_file)
    yield running
    running.close()


@pytest.fixture
def cold_stack(tmp_path: Path, presets_file: Path) -> Iterator[RunningStack]:
    """Each of its processes is one of its own."""
    home = tmp_path / "home #1?x%41 [y]"  # a name that means something in an address
    running = RunningStack(home, presets_file, python=sys.executable)
    yield running
    running.close()


def secrets_of(pid: int | None) -> set[str]:
    """The secrets that a process has in its environment."""
    assert pid is not None
    return set(SECRETS) & set(psutil.Process(pid).environ())


def check_doctor(stack: RunningStack, file: Path) -> None:
    """Doctor finds the running stack well, and its ports its own."""
    done = stack.command("doctor", "--json", str(file))
    told = {one["subject"]: one for one in json.loads(file.read_text())["findings"]}
    well = ("home", "tokens", "Redis", "port: backend", "port: dashboard", "backend", "workers", "dashboard", "hub")
    assert {name: told[name]["verdict"] for name in well} == dict.fromkeys(well, "ok"), done.stdout
    assert "home's own service" in told["port: dashboard"]["seen"]
    assert "1 at work" in told["workers"]["seen"]
    assert done.returncode == (0 if told.get("card", {}).get("verdict") != "not looked at" else 3), done.stdout
    assert stack.token not in done.stdout + file.read_text()


def test_trainer_goes_on_after_ctrl_c_and_down_saves_and_stops_it(cold_stack: RunningStack, tmp_path: Path) -> None:
    cold_stack.environment |= {"HF_TOKEN": "hf_token", "GITHUB_TOKEN": "others"}
    cold_stack.up()
    assert {name: secrets_of(cold_stack.service_pid(name)) for name in ("redis", "backend", "worker", "dashboard")} == {
        "redis": set(),
        "backend": {"MEMGEN_TOKEN", "MEMGEN_WORKER_TOKEN", "REDIS_URL"},
        "worker": {"MEMGEN_WORKER_TOKEN", "REDIS_URL", "HF_TOKEN"},
        "dashboard": {"MEMGEN_TOKEN"},
    }
    said = cold_stack.output.read_text()
    assert cold_stack.dashboard_url in said
    assert cold_stack.token in said
    assert (cold_stack.home / "backend" / "token").stat().st_mode & 0o777 == 0o600
    assert "already runs" in cold_stack.command("up").stderr
    check_doctor(cold_stack, tmp_path / "doctor.json")

    with cold_stack.client() as client:
        run_id = client.submit(LONG).id
    cold_stack.run_when(run_id, lambda run: run.summary.get("num_questions", 0) >= 2, 60, "first answers")
    pids = cold_stack.supervisor(run_id, 1)
    assert secrets_of(pids["pid"]) == {"MEMGEN_WORKER_TOKEN", "HF_TOKEN"}
    assert secrets_of(pids["trainer_pid"]) == set()
    cold_stack.interrupt()
    assert cold_stack.service_pid("backend") is None
    assert any("--out" in words for words in cold_stack.processes())
    answers = cold_stack.home / "runs" / str(run_id) / "attempts" / "1" / "evaluate" / "answer.json"
    before = answers.read_bytes().count(b"\n")
    wait_until(lambda: answers.read_bytes().count(b"\n") > before, 20, "an answer while the services are down")

    cold_stack.backend_port = free_port()  # the supervisor finds the backend there, too
    cold_stack.environment["MEMGEN_PORT"] = str(cold_stack.backend_port)
    cold_stack.up()
    run = cold_stack.run_when(run_id, lambda run: run.summary.get("num_questions", 0) > before, 20, "taken up again")
    assert (run.status, run.num_attempts) == (RunStatus.RUNNING, 1)

    done = cold_stack.command("down")
    assert done.returncode == 0, done.stderr
    assert cold_stack.processes() == []
    paths = [path for path in (cold_stack.home, *cold_stack.home.rglob("*")) if not path.is_symlink()]
    assert [path for path in paths if path.stat().st_mode & 0o077] == []
    cold_stack.up()
    with cold_stack.client() as client:
        run = client.run(run_id)
        assert (run.status, run.can_resume) == (RunStatus.CANCELLED, True)
        assert [attempt.status for attempt in run.attempts] == [AttemptStatus.STOPPED]


def test_services_of_a_killed_launcher_are_ended_by_the_next_up(
    own_stack: RunningStack,
) -> None:
    own_stack.up()
    assert own_stack.launcher is not None
    left = own_stack.service_pid("backend")
    own_stack.launcher.kill()
    own_stack.launcher.wait()
    wait_until(lambda: holder(own_stack.home, LAUNCHER_LOCK) is None, 10, "end of the launcher")
    own_stack.up()
    assert "left over" in own_stack.output.read_text()
    assert own_stack.service_pid("backend") != left


def test_port_in_use_is_refused_with_its_number(own_stack: RunningStack) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", own_stack.dashboard_port))
        other.listen()
        done = own_stack.command("up")
    assert done.returncode == 2
    assert f"(got '{own_stack.dashboard_port}')" in done.stderr
    assert "MEMGEN_DASHBOARD_PORT=" in done.stderr


def test_redis_that_does_not_answer_is_refused_by_its_url(own_stack: RunningStack) -> None:
    own_stack.environment["REDIS_URL"] = "redis://127.0.0.1:1/0"
    done = own_stack.command("up")
    assert done.returncode == 2
    assert "redis://127.0.0.1:1/0" in done.stderr
    del own_stack.environment["REDIS_URL"]
