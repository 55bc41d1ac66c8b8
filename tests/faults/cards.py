"""Cards that fail before a claim and under a run, and memory that runs out.

No GPU is needed: the command that asks a slot's card is a setting of the worker, and the trainer's errors are of types
that torch has. Worker, supervisor and trainer are the real ones.
"""

from backend.api.schemas import RunDetail
from memgen.contract.status import AttemptStatus as A
from memgen.contract.status import Cause, RunStatus
from tests.faults.card import FULL, HANG, LOST
from tests.faults.house import House
from tests.faults.real import EVALUATION
from tests.faults.registry import fault
from tests.faults.trainer import ON_A_CARD

SLOTS = ("cpu0", "cpu1")
ON_CARD = EVALUATION | {"seed": ON_A_CARD, "num_questions": 16, "max_completion_length": 48}
PATIENCE = 90.0  # seconds in which the real trainer answers some questions, or fails


def _waits_for(house: House, run_id: int, words: str) -> RunDetail:
    return house.run_when(run_id, lambda run: words in (run.waits_for or ""), 20, f"run {run_id} waiting: {words}")


def _launch_on_a_card(house: House) -> tuple[int, str]:
    """A real evaluation that has some answers; its id and its slot."""
    run_id = house.launch(**ON_CARD)
    has_answers = "some answers"
    run = house.run_when(run_id, lambda run: run.summary.get("num_questions", 0) >= 3, PATIENCE, has_answers)
    slot = run.attempts[0].slot
    assert slot is not None
    return run_id, slot


def _without_memory(house: House) -> int:
    """A real evaluation whose first attempt has run out of memory."""
    run_id = house.launch(**ON_CARD)
    house.run_when(run_id, lambda run: len(run.attempts) > 1, PATIENCE, "the next attempt")
    return run_id


@fault(quick=True)
def card_gone_before_the_claim(house: House) -> None:
    """The run waits and says why, no attempt fails, and it starts on the first card that is back."""
    with house.cards(dict.fromkeys(SLOTS, LOST)) as change:
        run_id = house.launch(questions=5)
        house.sick_slots_are(*SLOTS)
        run = _waits_for(house, run_id, "takes no work: GPU 0 does not answer")
        assert [one.status for one in run.attempts] == [A.QUEUED]
        house.fault()
        change({"cpu0": LOST})
        house.claimed(run_id, 1)
        house.recovered()
        run = house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])
        assert run.attempts[0].slot == "cpu1"
        house.sick_slots_are("cpu0")


@fault()
def card_gone_in_the_middle(house: House) -> None:
    """The run goes on in the other slot after its last answer; the slot whose card is gone takes itself out."""
    with house.cards({}) as change:
        run_id, slot = _launch_on_a_card(house)
        house.fault()
        change({slot: LOST})
        run = house.claimed(run_id, 2)
        house.recovered()
        first, second = run.attempts
        assert (first.status, first.cause) == (A.FAILED, Cause.CARD)
        assert (second.slot, second.resumes) == (next(one for one in SLOTS if one != slot), 1)
        house.sick_slots_are(slot)
    house.check(run_id, RunStatus.SUCCEEDED, [A.FAILED, A.SUCCEEDED], PATIENCE)


@fault()
def card_gone_in_the_middle_and_back(house: House) -> None:
    """No other card works: the run waits for its own, and goes on there when it is back."""
    with house.cards({}) as change:
        run_id, slot = _launch_on_a_card(house)
        change(dict.fromkeys(SLOTS, LOST))
        house.sick_slots_are(*SLOTS)
        _waits_for(house, run_id, "takes no work")
        house.fault()
        change({one: LOST for one in SLOTS if one != slot})
        run = house.claimed(run_id, 2)
        house.recovered()
        assert (run.attempts[1].slot, run.attempts[1].resumes) == (slot, 1)
    house.check(run_id, RunStatus.SUCCEEDED, [A.FAILED, A.SUCCEEDED], PATIENCE)


@fault(quick=True)
def driver_that_never_answers(house: House) -> None:
    """The question ends by its time limit; the worker stays alive, and the other slot works meanwhile."""
    with house.cards({"cpu0": HANG}):
        run_id = house.launch(questions=5)
        house.fault()
        house.claimed(run_id, 1)
        house.recovered()
        assert house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED]).attempts[0].slot == "cpu1"
        house.sick_slots_are("cpu0")
        with house.client() as client:
            health = client.health()
        assert "has not answered" in health.sick_slots[0].reason.message
        assert health.workers_alive == 1


@fault()
def memory_of_another_program(house: House) -> None:
    """Cards that others fill take no run, which says so; it starts when they end."""
    with house.cards(dict.fromkeys(SLOTS, FULL)) as change:
        run_id = house.launch(questions=5)
        _waits_for(house, run_id, "other programs hold 15.9 of the 16.0 GiB")
        house.fault()
        change({})
        house.claimed(run_id, 1)
        house.recovered()
        house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault()
def out_of_memory_once(house: House) -> None:
    """The real trainer runs out of memory; the run is tried again, after its last answer."""
    with house.cards({}, short_of_memory=1):
        run_id = _without_memory(house)
        house.fault()
        run = house.claimed(run_id, 2)
        house.recovered()
        assert (run.attempts[0].cause, run.attempts[1].resumes) == (Cause.OUT_OF_MEMORY, 1)
        house.check(run_id, RunStatus.SUCCEEDED, [A.FAILED, A.SUCCEEDED], PATIENCE)


@fault()
def out_of_memory_twice(house: House) -> None:
    """Memory that runs out again is the end, with a way out; the slots stay well and take the next run."""
    with house.cards({}, short_of_memory=2):
        run_id = _without_memory(house)
        run = house.check(run_id, RunStatus.FAILED, [A.FAILED, A.FAILED], PATIENCE)
        assert run.cause == Cause.OUT_OF_MEMORY
        assert run.failure is not None
        assert "two attempts running" in run.failure.message
        assert "batch_size" in run.failure.way_out
        house.fault()
        after = house.launch(questions=5)
        house.claimed(after, 1)
        house.recovered()
        house.check(after, RunStatus.SUCCEEDED, [A.SUCCEEDED])
