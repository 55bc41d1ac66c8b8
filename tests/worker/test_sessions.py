"""A supervisor that holds a session of Try, with a real backend, a real process and a scripted trainer."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.api.client import Client
from backend.api.schemas import TrySessionDetail, TryStatus
from memgen.contract.service_files import try_dir
from memgen.contract.status import RunStatus
from tests.ports import free_port
from tests.running_stack import wait_until
from tests.worker.conftest import House
from worker.settings import Settings
from worker.slots import Slot, SlotLock
from worker.supervisor import EXIT_WORKED, Supervisor, supervise
from worker.work import SessionWork

CPU = Slot("cpu")
Start = Callable[[], "subprocess.Popen[bytes]"]
# answers each question with its own text, until it is told to stop
ANSWERS = """
import json, os, sys, time
folder = sys.argv[2]
def say(**fields):
    with open(folder + "/events.jsonl", "a") as file:
        file.write(json.dumps({"time": time.time(), **fields}) + "\\n")
assert sys.argv[1] == "try" and json.load(open(folder + "/session.json"))["columns"]
say(event="loaded")
number = 1
while not os.path.exists(folder + "/stop.json"):
    path = f"{folder}/questions/{number}.json"
    if os.path.exists(path):
        text = json.load(open(path))["question"]
        record = {"id": "t:1", "index": number, "prompt": [], "solution": "", "completion": text, "metrics": {},
                  "completion_tokens": 1, "truncated": False, "seconds": 0.1}
        say(event="answered", question=number, column=0, record=record)
        number += 1
    time.sleep(0.01)
sys.exit(3)
"""
NEVER_ENDS = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)\n"


@pytest.fixture
def trainer(house: House) -> Callable[[str], None]:
    """Makes these lines the trainer."""
    path = Path(os.environ["MEMGEN_TRAINER"].split()[-1])
    assert sys.executable in os.environ["MEMGEN_TRAINER"]
    return lambda text: path.write_text(text) and None


def opened(house: House, config: dict[str, Any]) -> int:
    column = {name: config[name] for name in ("stage", "preset", "data")}
    return house.user.open_try([column]).id


@pytest.fixture
def started() -> Iterator[Start]:
    """Starts a supervisor, as a worker does."""
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        processes.append(subprocess.Popen([sys.executable, "-m", "worker.supervisor", "--slot", "cpu"]))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def when(house: House, session_id: int, condition: Callable[[TrySessionDetail], object], what: str) -> TrySessionDetail:
    seen: list[TrySessionDetail] = []

    def holds() -> bool:
        seen.append(house.user.try_session(session_id))
        return bool(condition(seen[-1]))

    wait_until(holds, 30, what)
    return seen[-1]


def is_over(house: House, supervisor: subprocess.Popen[bytes]) -> bool:
    """The supervisor has ended, and nothing holds its slot."""
    return supervisor.wait(30) == EXIT_WORKED and SlotLock(house.settings.home, CPU).is_free()


def test_questions_reach_the_trainer_and_its_answers_the_user(
    house: House, tiny_config: dict[str, Any], trainer: Callable[[str], None], started: Start
) -> None:
    trainer(ANSWERS)
    one = opened(house, tiny_config)
    supervisor = started()
    for number, text in enumerate(("How many?", "And now?"), start=1):
        house.user.ask(one, text)
        said = when(house, one, lambda now, n=number: now.asked[n - 1].answers[0].record, "an answer")  # type: ignore[misc]
        assert said.asked[number - 1].answers[0].text == text
    house.user.close_try(one)
    said = when(house, one, lambda now: now.status is TryStatus.ENDED, "the end")
    assert said.end == "closed"
    assert is_over(house, supervisor)
    wait_until(lambda: not list(try_dir(house.settings.home).iterdir()), 10, "the folder's end")


def test_run_that_is_queued_meanwhile_gets_the_slot(
    house: House, tiny_config: dict[str, Any], trainer: Callable[[str], None], started: Start
) -> None:
    trainer(ANSWERS)
    one = opened(house, tiny_config)
    supervisor = started()
    when(house, one, lambda now: now.status is TryStatus.READY, "the session")
    run = house.user.submit(tiny_config | {"num_questions": 2}).id
    said = when(house, one, lambda now: now.status is TryStatus.ENDED, "the end")
    assert (said.end, said.gives_way_to) == ("gave_way", run)
    assert is_over(house, supervisor)
    house.write_script("answer(0)\nanswer(1)\nfinish()\n")
    assert supervise(house.settings, CPU, 1) == EXIT_WORKED
    assert house.user.run(run).status is RunStatus.SUCCEEDED


def test_trainer_that_is_killed_ends_the_session_and_frees_the_slot(
    house: House, tiny_config: dict[str, Any], trainer: Callable[[str], None], started: Start
) -> None:
    trainer("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    one = opened(house, tiny_config)
    house.user.ask(one, "How many?")
    assert is_over(house, started())
    said = house.user.try_session(one)
    assert (said.status, said.end) == (TryStatus.ENDED, "failed")
    assert said.failure is not None
    assert said.failure.code == "killed"
    assert said.asked[0].answers[0].status == "failed"


def test_trainer_that_does_not_end_is_killed_after_its_grace(
    house: House, tiny_config: dict[str, Any], trainer: Callable[[str], None], started: Start
) -> None:
    trainer(NEVER_ENDS)
    one = opened(house, tiny_config)
    supervisor = started()
    when(house, one, lambda now: now.status is TryStatus.LOADING, "the start")
    house.user.close_try(one)
    assert is_over(house, supervisor)
    assert house.user.try_session(one).end == "closed"


def test_session_whose_backend_does_not_come_back_ends_by_itself(
    house: House, tiny_config: dict[str, Any], trainer: Callable[[str], None]
) -> None:
    trainer(ANSWERS)
    one = opened(house, tiny_config)
    with Client(house.settings.backend_url, house.settings.token()) as worker:
        claimed = worker.claim(CPU.claim()).session
    assert claimed is not None
    held = claimed.model_copy(update={"lease_seconds": 1.0})
    lock = SlotLock(house.settings.home, CPU)
    assert lock.take()
    began = time.monotonic()
    with Client(f"http://127.0.0.1:{free_port()}", held.token) as nobody:
        settings = Settings(backend_url=nobody.url)
        Supervisor(settings, CPU, lock, SessionWork(settings.home, held, nobody), nobody, 1).work()
    assert time.monotonic() - began < 20
    assert (try_dir(settings.home) / str(one) / "stop.json").exists()


def test_signal_to_the_supervisor_ends_the_session(
    house: House, tiny_config: dict[str, Any], trainer: Callable[[str], None], started: Start
) -> None:
    trainer(ANSWERS)
    one = opened(house, tiny_config)
    supervisor = started()
    when(house, one, lambda now: now.status is TryStatus.READY, "the session")
    supervisor.send_signal(signal.SIGTERM)
    assert is_over(house, supervisor)
    assert (house.user.try_session(one).status, house.user.try_session(one).end) == (TryStatus.ENDED, "stopped")
