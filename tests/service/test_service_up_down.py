"""`make up`, Ctrl-C and `make down` as a user meets them."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

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
    running = RunningStack(tmp_path / "home #1?x%41 [y]", presets_file)  # a name that means something in an address
    yield running
    running.close()


def secrets_of(pid: int | None) -> set[str]:
    """The secrets that a process has in its environment."""
    assert pid is not None
    return set(SECRETS) & set(psutil.Process(pid).environ())


def test_trainer_goes_on_after_ctrl_c_and_down_saves_and_stops_it(own_stack: RunningStack) -> None:
    own_stack.environment |= {"HF_TOKEN": "hf_token", "GITHUB_TOKEN": "others"}
    own_stack.up()
    assert {name: secrets_of(own_stack.service_pid(name)) for name in ("redis", "backend", "worker", "dashboard")} == {
        "redis": set(),
        "backend": {"MEMGEN_TOKEN", "MEMGEN_WORKER_TOKEN", "REDIS_URL"},
        "worker": {"MEMGEN_WORKER_TOKEN", "REDIS_URL", "HF_TOKEN"},
        "dashboard": {"MEMGEN_TOKEN"},
    }
    said = own_stack.output.read_text()
    assert own_stack.dashboard_url in said
    assert own_stack.token in said
    assert (own_stack.home / "backend" / "token").stat().st_mode & 0o777 == 0o600
    assert "already runs" in own_stack.command("up").stderr

    with own_stack.client() as client:
        run_id = client.submit(LONG).id
    own_stack.run_when(run_id, lambda run: run.summary.get("num_questions", 0) >= 2, 60, "first answers")
    pids = own_stack.supervisor(run_id, 1)
    assert secrets_of(pids["pid"]) == {"MEMGEN_WORKER_TOKEN", "HF_TOKEN"}
    assert secrets_of(pids["trainer_pid"]) == set()
    own_stack.interrupt()
    assert own_stack.service_pid("backend") is None
    assert any("--out" in words for words in own_stack.processes())
    answers = own_stack.home / "runs" / str(run_id) / "attempts" / "1" / "evaluate" / "answer.json"
    before = answers.read_bytes().count(b"\n")
    wait_until(lambda: answers.read_bytes().count(b"\n") > before, 20, "an answer while the services are down")

    own_stack.backend_port = free_port()  # the supervisor finds the backend there, too
    own_stack.environment["MEMGEN_PORT"] = str(own_stack.backend_port)
    own_stack.up()
    run = own_stack.run_when(run_id, lambda run: run.summary.get("num_questions", 0) > before, 20, "taken up again")
    assert (run.status, run.num_attempts) == (RunStatus.RUNNING, 1)

    done = own_stack.command("down")
    assert done.returncode == 0, done.stderr
    assert own_stack.processes() == []
    paths = [path for path in (own_stack.home, *own_stack.home.rglob("*")) if not path.is_symlink()]
    assert [path for path in paths if path.stat().st_mode & 0o077] == []
    own_stack.up()
    with own_stack.client() as client:
        run = client.run(run_id)
        assert (run.status, run.can_resume) == (RunStatus.CANCELLED, True)
        assert [attempt.status for attempt in run.attempts] == [AttemptStatus.STOPPED]


def test_services_of_a_killed_launcher_are_ended_by_the_next_up(own_stack: RunningStack) -> None:
    own_stack.up()
    assert own_stack.launcher is not None
    left = own_stack.service_pid("backend")
    own_stack.launcher.kill()
    own_stack.launcher.wait()
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


def test_home_with_a_long_path_still_gets_a_redis_socket(tmp_path: Path, presets_file: Path) -> None:
    home = tmp_path / ("long-" * 20) / "home"
    home.parent.mkdir()
    running = RunningStack(home, presets_file)
    running.up()
    running.close()
    assert len(os.fsencode(home)) > 107
