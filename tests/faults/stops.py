"""Stops at the wrong time, twice, and of trainers that do not listen."""

from concurrent.futures import ThreadPoolExecutor

from backend.api.client import ApiError
from memgen.contract.status import AttemptStatus as A
from memgen.contract.status import RunStatus, StopMode
from tests.faults.house import House
from tests.faults.registry import fault


@fault()
def cancelled_while_queued(house: House) -> None:
    """Both slots are busy; the third run never starts."""
    busy = [house.launch(questions=40) for _ in range(2)]
    run_id = house.launch()
    for one in busy:
        house.started(one)
    house.fault()
    with house.client() as client:
        client.stop(run_id)
    house.check(run_id, RunStatus.CANCELLED, [A.STOPPED])
    house.recovered()
    for one in busy:
        house.check(one, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault()
def cancelled_while_starting(house: House) -> None:
    """The stop comes with the claim; no answer is needed first."""
    run_id = house.launch(questions=600)
    house.claimed(run_id, 1)
    house.fault()
    with house.client() as client:
        client.stop(run_id, StopMode.DISCARD)
    house.check(run_id, RunStatus.CANCELLED, [A.STOPPED])
    house.recovered()


@fault(quick=True)
def cancelled_twice_and_harsher(house: House) -> None:
    """Save, then force while it stops; afterwards nothing is left to stop, and the slot works on."""
    run_id = house.launch("deaf", 600)
    house.started(run_id)
    house.fault()
    with house.client() as client:
        client.stop(run_id, StopMode.SAVE)
        client.stop(run_id, StopMode.FORCE)
    house.check(run_id, RunStatus.CANCELLED, [A.STOPPED])
    house.recovered()
    with house.client() as client:
        try:
            client.stop(run_id)
        except ApiError as error:
            assert error.code == "run_ended"
        else:
            raise AssertionError("a run that has ended was stopped")
    after = house.launch(questions=5)
    house.check(after, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault(quick=True)
def two_stops_at_once(house: House) -> None:
    """Of eight requests in the same moment each is answered, and the run is cancelled once."""
    run_id = house.launch(questions=600)
    house.started(run_id)
    house.fault()

    def stop(_: int) -> str:
        with house.client() as client:
            try:
                client.stop(run_id)
            except ApiError as error:
                return error.code
        return "taken"

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(stop, range(8)))
    assert set(said) <= {"taken", "run_ended"}
    assert "taken" in said
    run = house.check(run_id, RunStatus.CANCELLED, [A.STOPPED])
    house.recovered()
    assert run.can_resume
    ends = [one for one in house.events(run_id) if one.kind == "run" and one.to_status == RunStatus.CANCELLED]
    assert len(ends) == 1


@fault(quick=True)
def trainer_deaf_to_term(house: House) -> None:
    """A stop that is not obeyed ends in KILL when its patience is over, and the next queued run starts by itself."""
    deaf = [house.launch("deaf", 600) for _ in range(2)]
    for run_id in deaf:
        house.started(run_id)
    waiting = house.launch(questions=5)
    house.fault()
    with house.client() as client:
        for run_id in deaf:
            client.stop(run_id)
    house.claimed(waiting, 1)
    house.recovered()
    for run_id in deaf:
        house.check(run_id, RunStatus.CANCELLED, [A.STOPPED])
    house.check(waiting, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault()
def cancelled_while_lost(house: House) -> None:
    """A stop of a run whose supervisor is dead and whose lease has not run out yet."""
    run_id = house.launch()
    house.started(run_id)
    house.kill_supervisor(run_id, 1)
    house.fault()
    with house.client() as client:
        client.stop(run_id)
    house.check(run_id, RunStatus.CANCELLED, [A.LOST])
    house.recovered()
