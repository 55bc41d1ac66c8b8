"""Two machines without a shared disk: the link to them cut, and their clocks wrong."""

import json
from itertools import pairwise

from memgen.contract.status import AttemptStatus as A
from memgen.contract.status import RunStatus
from tests.conftest import TINY
from tests.faults.house import LEASE, QUESTIONS, House
from tests.faults.machine import Machine, why_none
from tests.faults.real import TRAINING
from tests.faults.registry import fault
from tests.faults.trainer import REAL
from tests.running_stack import is_alive, wait_until

SHORT = LEASE / 4  # seconds for which a link is cut: what TCP sends again comes within the lease
BACK = 40.0  # seconds until a machine that is back works again: TCP sends again after ever longer pauses


def _ended(house: House, run_id: int, attempts: list[A], seconds: float = 180) -> None:
    """The run has succeeded with these attempts, one after the other, and has each answer once."""
    run = house.run_ended(run_id, seconds)
    ends = [one.status for one in run.attempts]
    assert (run.status, ends) == (RunStatus.SUCCEEDED, attempts), (run.status, ends, run.failure)
    spans = house.rows("SELECT claimed_at, ended_at FROM attempt WHERE run_id = ? ORDER BY number", run_id)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans)), spans
    asked = run.config.get("num_questions") if run.setting else 0
    counts = "SELECT count(*), count(DISTINCT question_id) FROM answer WHERE run_id = ? AND attempt = ?"
    stored = house.rows(counts, run_id, len(attempts))
    assert stored == [(asked, asked)]


@fault(limit=BACK)
def link_cut_while_a_checkpoint_crosses_two_machines(house: House) -> None:
    """A training on one machine, cut off while it trains and while it hands in; an evaluation of it on another, cut off
    while it fetches."""
    assert not (reason := why_none()), reason
    first, second = Machine(house, "first"), Machine(house, "second")
    with house.worker_held():
        with first.working(), house.client() as client:
            trained = client.submit(TRAINING).id
            wait_until(lambda: list((first.attempt(trained) / "checkpoints").glob("step-*")), 60, "a checkpoint")
            first.cut_off_for(SHORT)
            wait_until((first.attempt(trained) / "weaver_sft").exists, 120, "the end of the training")
            house.fault()
            first.cut_off_for(SHORT)
            _ended(house, trained, [A.SUCCEEDED])
            house.recovered(BACK)
        with second.working(), house.client() as client:
            config = {
                "stage": "evaluate", "preset": TINY, "data": "wordproblems", "setting": "weaver", "seed": REAL,
                "checkpoint": str(trained), "num_questions": 8, "batch_size": 4, "max_completion_length": 32,
            }  # fmt: skip
            evaluated = client.submit(config).id
            wait_until(second.attempt(evaluated).exists, 60, "the claim")
            second.cut_off_for(SHORT)
            _ended(house, evaluated, [A.SUCCEEDED])
        (checkpoint,) = second.fetched()
        with house.client() as client:
            assert checkpoint.name == client.checkpoint(trained).content_hash
        assert not first.attempt(trained).exists()  # the backend has it
        assert [path.name for path in first.fetched()] == [checkpoint.name]


@fault(limit=BACK)
def machine_cut_off_for_longer_than_its_lease(house: House) -> None:
    """Its attempt is lost and tried again; the trainer that went on meanwhile ends, and nothing of it counts."""
    assert not (reason := why_none()), reason
    machine = Machine(house, "first")
    with house.worker_held(), machine.working():
        run_id = house.launch(questions=QUESTIONS)
        house.started(run_id)
        with machine.cut_off():
            house.run_when(run_id, lambda run: len(run.attempts) == 2, 30, "the loss of the attempt")
        house.fault()
        house.claimed(run_id, 2, BACK)
        house.recovered(BACK)
        _ended(house, run_id, [A.LOST, A.SUCCEEDED])


@fault(limit=BACK)
def run_of_a_machine_that_is_cut_off_goes_to_another(house: House) -> None:
    """It says why it begins anew there; what comes back with the first machine counts for nothing."""
    assert not (reason := why_none()), reason
    first, second = Machine(house, "first"), Machine(house, "second")
    with house.worker_held(), first.working():
        run_id = house.launch(questions=QUESTIONS)
        house.started(run_id)
        with first.cut_off():
            house.run_when(run_id, lambda run: len(run.attempts) == 2, 30, "the loss of the attempt")
            house.fault()
            with second.working():
                house.claimed(run_id, 2, BACK)
                house.recovered(BACK)
                _ended(house, run_id, [A.LOST, A.SUCCEEDED])
        with house.client() as client:
            run = client.run(run_id)
        old = json.loads((first.attempt(run_id) / "supervisor.json").read_text())
        wait_until(lambda: not is_alive(old["trainer_pid"]), BACK, "end of what the first machine still did")
        assert [one.worker for one in run.attempts] == ["first", "second"]
        assert ["does not share" in words for words in run.warnings] == [True], run.warnings
        _ended(house, run_id, [A.LOST, A.SUCCEEDED])


def _clock_of_a_machine(house: House, seconds: float) -> None:
    """Its lease holds, and what it reports has the times of the backend."""
    assert not (reason := why_none()), reason
    machine = Machine(house, "first")
    with house.worker_held(), machine.clock_shifted(seconds), machine.working(), house.client() as client:
        house.fault()
        run_id = client.submit(TRAINING).id
        house.claimed(run_id, 1)
        house.recovered()
        _ended(house, run_id, [A.SUCCEEDED])
        (worker,) = [one for one in client.workers().items if one.host == "first"]
        assert abs(worker.clock_ahead - seconds) < 10, worker.clock_ahead
    (span,) = house.rows("SELECT claimed_at, ended_at FROM attempt WHERE run_id = ?", run_id)
    times = [time for (time,) in house.rows("SELECT time FROM metric WHERE run_id = ?", run_id)]
    assert times
    assert span[0] - 5 <= min(times) <= max(times) <= span[1], (span, min(times), max(times))


@fault()
def clock_of_a_machine_an_hour_ahead(house: House) -> None:
    """Its run ends as ever, its numbers have the times of the backend, and the queue page says how wrong it is."""
    _clock_of_a_machine(house, 3600)


@fault()
def clock_of_a_machine_an_hour_back(house: House) -> None:
    """The same."""
    _clock_of_a_machine(house, -3600)
