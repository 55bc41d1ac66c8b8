"""A supervisor whose slot's GPUs fail: what the run is told, and whether it is tried again."""

import json
import sys
from pathlib import Path

import pytest

from backend.api.client import Client
from memgen.contract.status import AttemptStatus, Cause, RunStatus
from tests.worker.conftest import House
from worker.settings import Settings
from worker.slots import Slot
from worker.supervisor import EXIT_CARD, EXIT_WORKED, supervise

LOST = json.dumps({"code": "card_lost", "message": "GPU 0 does not answer", "way_out": "Restart the machine."})
OUT_OF_MEMORY = "event(event='failed', code='out_of_memory', message='no room', way_out='lower it')\nsys.exit(1)\n"


@pytest.fixture
def card(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says what is wrong with the slot's card; each question adds a line to `asked`."""
    said, script = tmp_path / "card", tmp_path / "probe.py"
    script.write_text(
        "import pathlib, sys\n"
        "card = pathlib.Path(sys.argv[1])\n"
        "card.with_name('asked').open('a').write('x')\n"
        "text = card.read_text()\n"
        "print(text)\n"
        "sys.exit(bool(text))\n"
    )
    said.write_text("")
    monkeypatch.setenv("MEMGEN_PROBE", f"{sys.executable} {script} {said}")
    return said


def asked(card: Path) -> int:
    path = card.with_name("asked")
    return len(path.read_text()) if path.exists() else 0


def work() -> int:
    return supervise(Settings(), Slot("cpu"), 1)


def submit(house: House, tiny_config: dict[str, object]) -> int:
    return house.user.submit(tiny_config | {"num_questions": 2}).id


def test_run_that_fails_on_a_card_that_is_gone_goes_on_in_another_attempt(house: House, card, tiny_config) -> None:
    house.write_script(f"answer(0)\nopen({str(card)!r}, 'w').write({LOST!r})\nraise RuntimeError('strange')\n")
    run_id = submit(house, tiny_config)
    assert work() == EXIT_CARD
    run = house.user.run(run_id)
    assert (run.status, run.cause) == (RunStatus.QUEUED, Cause.CARD)
    assert [(one.status, one.cause, one.resumes) for one in run.attempts] == [
        (AttemptStatus.FAILED, Cause.CARD, None),
        (AttemptStatus.QUEUED, None, 1),
    ]
    told = next(one.detail for one in house.user.run_events(run_id).items if one.to_status == AttemptStatus.FAILED)
    assert "GPU 0 does not answer" in told
    assert "The trainer said: RuntimeError: strange" in told

    card.write_text("")
    house.write_script("assert resume.endswith('attempts/1'), resume\nanswer(0)\nanswer(1)\nfinish()\n")
    assert work() == EXIT_WORKED
    assert house.user.run(run_id).status == RunStatus.SUCCEEDED


def test_run_that_fails_by_itself_on_a_card_that_works_is_not_tried_again(house: House, card, tiny_config) -> None:
    house.write_script("raise RuntimeError('a mistake')\n")
    run_id = submit(house, tiny_config)
    assert work() == EXIT_WORKED
    run = house.user.run(run_id)
    assert (run.status, run.cause, len(run.attempts), asked(card)) == (RunStatus.FAILED, Cause.ERROR, 1, 1)


def test_run_that_succeeds_is_not_followed_by_a_question_to_its_card(house: House, card, tiny_config) -> None:
    house.write_script("answer(0)\nanswer(1)\nfinish()\n")
    submit(house, tiny_config)
    assert work() == EXIT_WORKED
    assert asked(card) == 0


@pytest.mark.parametrize(("code", "exit_code"), [("card_failed", 1), ("no_cuda", 2)])
def test_trainer_that_names_its_card_is_believed(house: House, card, tiny_config, code: str, exit_code: int) -> None:
    house.write_script(f"event(event='failed', code={code!r}, message='m', way_out='w')\nsys.exit({exit_code})\n")
    run_id = submit(house, tiny_config)
    assert work() == EXIT_CARD
    run = house.user.run(run_id)
    assert (run.status, run.cause, asked(card)) == (RunStatus.QUEUED, Cause.CARD, 0)


def test_card_that_fails_each_time_ends_the_run_when_its_retries_are_used_up(house: House, card, tiny_config) -> None:
    house.write_script("event(event='failed', code='card_failed', message='m', way_out='w')\nsys.exit(1)\n")
    run_id = submit(house, tiny_config)
    assert [work() for _ in range(3)] == [EXIT_CARD] * 3
    run = house.user.run(run_id)
    assert (run.status, run.cause, len(run.attempts)) == (RunStatus.FAILED, Cause.CARD, 3)
    assert run.failure is not None
    assert run.failure.code == "card_failed"


def test_memory_that_runs_out_is_tried_again_once_and_then_is_the_runs_end(house: House, card, tiny_config) -> None:
    house.write_script("answer(0)\n" + OUT_OF_MEMORY)
    run_id = submit(house, tiny_config)
    assert work() == EXIT_WORKED
    run = house.user.run(run_id)
    assert (run.status, run.cause, run.attempts[1].resumes) == (RunStatus.QUEUED, Cause.OUT_OF_MEMORY, 1)
    house.write_script(OUT_OF_MEMORY)
    assert work() == EXIT_WORKED
    run = house.user.run(run_id)
    assert (run.status, run.cause, len(run.attempts), asked(card)) == (
        RunStatus.FAILED,
        Cause.OUT_OF_MEMORY,
        2,
        0,
    )
    assert run.failure is not None
    assert "two attempts running" in run.failure.message
    assert run.failure.way_out == "lower it"


def test_backend_hears_of_the_attempt_while_its_card_is_asked(house: House, card, tiny_config, monkeypatch) -> None:
    beats: list[int] = []
    monkeypatch.setenv("MEMGEN_PROBE", f"sh -c 'sleep 1; cat {card}; exit 1'")
    card.write_text(LOST)
    house.write_script("raise RuntimeError('strange')\n")
    run_id = submit(house, tiny_config)

    beat = Client.heartbeat

    def counted(client: Client, attempt_id: int) -> object:
        beats.append(attempt_id)
        return beat(client, attempt_id)

    monkeypatch.setattr(Client, "heartbeat", counted)
    assert work() == EXIT_CARD
    assert len(beats) >= 5
    assert house.user.run(run_id).cause == Cause.CARD
