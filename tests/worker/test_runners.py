"""A slot's thread beside a card that fails and comes back: what it starts, and when."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running_stack import wait_until
from worker.runners import SlotRunner
from worker.settings import Settings
from worker.slots import Slot
from worker.supervisor import EXIT_CARD, EXIT_IDLE, EXIT_WORKED

SAYS = "import pathlib, sys; text = pathlib.Path(sys.argv[1]).read_text(); print(text); sys.exit(bool(text))"


class Card:
    """A stand-in whose answer is the content of a file."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path = path
        script = path.with_suffix(".py")
        script.write_text(SAYS)
        self.mend()
        monkeypatch.setenv("MEMGEN_PROBE", f"{sys.executable} {script} {path}")
        monkeypatch.setenv("MEMGEN_SICK_PAUSE_SECONDS", "0.05")

    def mend(self) -> None:
        self._path.write_text("")

    def fail(self) -> None:
        self._path.write_text(json.dumps({"code": "card_lost", "message": "GPU 0 does not answer"}))


@pytest.fixture
def card(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Card:
    return Card(tmp_path / "card", monkeypatch)


class Work:
    """A queue for one slot: how each of its runs will end."""

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.started = 0
        self.looks = 0

    def has_work(self, _: Slot) -> bool:
        self.looks += 1
        return bool(self.ends)

    def start(self, _: Slot, __: int) -> int:
        self.started += bool(self.ends)
        return self.ends.pop(0) if self.ends else EXIT_IDLE


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def runner(card: Card, work: Work) -> Iterator[SlotRunner]:
    made = SlotRunner(Slot("cpu"), Settings(), 1, start=work.start, has_work=work.has_work, longest_silence=0.2)
    yield made
    made.stop()


def is_sick(runner: SlotRunner) -> bool:
    return runner.report().sick is not None


def test_slot_whose_card_is_gone_claims_nothing_and_goes_on_when_it_is_back(card: Card, work: Work, runner) -> None:
    card.fail()
    work.ends = [EXIT_WORKED]
    runner.start()
    wait_until(lambda: is_sick(runner), 10, "the slot taking itself out")
    sick = runner.report().sick
    assert sick is not None
    assert sick.reason.message == "GPU 0 does not answer"
    assert work.started == 0
    card.mend()
    wait_until(lambda: work.started == 1, 10, "start of the run that waited")
    wait_until(lambda: not is_sick(runner), 10, "the slot's return")


def test_slot_that_comes_back_is_announced_although_nothing_waits(card: Card, work: Work, runner: SlotRunner) -> None:
    card.fail()
    work.ends = [EXIT_WORKED]
    runner.start()
    wait_until(lambda: is_sick(runner), 10, "the slot taking itself out")
    work.ends.clear()
    card.mend()
    wait_until(lambda: not is_sick(runner), 10, "the slot's return")


def test_card_is_asked_only_where_there_is_work(card: Card, work: Work, runner: SlotRunner) -> None:
    card.fail()
    runner.start()
    wait_until(lambda: work.looks >= 3, 10, "three looks for work")
    assert not is_sick(runner)
    work.ends = [EXIT_WORKED]
    runner.ring()
    wait_until(lambda: is_sick(runner), 10, "the slot taking itself out")


def test_slot_whose_card_ended_a_run_takes_no_other_until_it_was_asked_again(card: Card, work: Work, runner) -> None:
    def fails_with_its_run(slot: Slot, threads: int) -> int:
        card.fail()
        return work.start(slot, threads)

    runner._start = fails_with_its_run
    work.ends = [EXIT_CARD, EXIT_WORKED]
    runner.start()
    wait_until(lambda: is_sick(runner), 10, "the slot taking itself out")
    wait_until(lambda: runner.report().sick.reason.code == "card_lost", 10, "the next question")
    assert work.started == 1
    runner._start = work.start
    card.mend()
    wait_until(lambda: work.started == 2, 10, "start of the next run")
