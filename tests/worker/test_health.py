"""A slot that takes itself out, on a clock that the test moves."""

from collections.abc import Callable

from memgen.contract.problem import Problem
from worker.health import Health

LOST = Problem(code="card_lost", message="GPU 0 does not answer", way_out="Restart the machine.")


class Slot:
    """What is asked, when, and what it answers."""

    def __init__(self) -> None:
        self.now = 100.0
        self.reason: Problem | None = None
        self.asked = self.changes = 0
        self.health = Health("0", self.answer, first_pause=10.0, changed=self.note, clock=lambda: self.now)

    def answer(self) -> Problem | None:
        self.asked += 1
        return self.reason

    def note(self) -> None:
        self.changes += 1

    def pauses(self, count: int, act: Callable[[], object]) -> list[float]:
        """Seconds to the next question after each of so many failures."""
        seen = []
        for _ in range(count):
            act()
            due = self.health.due_in()
            assert due is not None
            seen.append(due)
            self.now += due
        return seen


def test_slot_that_is_well_is_not_due_and_tells_nothing() -> None:
    slot = Slot()
    assert slot.health.is_well()
    assert (slot.health.is_sick, slot.health.due_in(), slot.health.sickness(), slot.changes) == (False, None, None, 0)


def test_sick_slot_is_asked_again_at_growing_intervals_with_a_limit() -> None:
    slot = Slot()
    slot.reason = LOST
    pauses = slot.pauses(9, slot.health.is_well)
    assert pauses == [10, 20, 40, 80, 160, 320, 600, 600, 600]


def test_sickness_says_why_since_when_and_when_it_is_asked_again() -> None:
    slot = Slot()
    slot.reason = LOST
    slot.pauses(2, slot.health.is_well)
    slot.now += 3
    told = slot.health.sickness()
    assert told is not None
    assert (told.reason, told.seconds, told.asked_again_in) == (LOST, 33.0, 0.0)


def test_slot_comes_back_with_its_first_good_answer_and_says_so_once() -> None:
    slot = Slot()
    slot.reason = LOST
    assert not slot.health.is_well()
    slot.reason = None
    assert slot.health.is_well()
    assert (slot.health.is_sick, slot.changes) == (False, 2)
    assert slot.health.is_well()
    assert slot.changes == 2
    slot.reason = LOST
    assert slot.pauses(1, slot.health.is_well) == [10]


def test_card_that_answers_well_and_fails_under_each_run_rests_longer_each_time() -> None:
    slot = Slot()

    def fail_under_a_run() -> None:
        assert slot.health.is_well()
        slot.health.failed()

    assert slot.pauses(3, fail_under_a_run) == [10, 20, 40]
    assert slot.health.is_well()
    slot.health.worked()
    assert slot.pauses(1, fail_under_a_run) == [10]
