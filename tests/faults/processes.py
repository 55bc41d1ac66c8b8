"""kill -9 and the like, of each process that takes part in a run."""

import os
import signal

from memgen.contract.status import AttemptStatus as A
from memgen.contract.status import Cause, RunStatus
from tests.faults.house import LEASE, House
from tests.faults.registry import fault
from tests.running_stack import is_alive, wait_until


@fault(quick=True)
def trainer_killed(house: House) -> None:
    """The run fails with the signal's name, and what it had answered is taken up by a resume."""
    run_id = house.launch()
    house.started(run_id)
    house.fault()
    os.kill(house.supervisor(run_id, 1)["trainer_pid"], signal.SIGKILL)
    run = house.check(run_id, RunStatus.FAILED, [A.FAILED])
    assert (run.cause, run.exit_code, run.can_resume) == (Cause.KILLED, -9, True)
    assert run.failure is not None
    assert "SIGKILL" in run.failure.message
    with house.client() as client:
        client.resume(run_id)
    house.claimed(run_id, 2)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.FAILED, A.SUCCEEDED])


@fault(quick=True)
def supervisor_killed(house: House) -> None:
    """Its trainer dies with it; the next attempt goes on where it was."""
    run_id = house.launch()
    house.started(run_id)
    pids = house.supervisor(run_id, 1)
    house.fault()
    os.kill(pids["pid"], signal.SIGKILL)
    wait_until(lambda: not is_alive(pids["trainer_pid"]), 3, "death of the trainer")
    house.claimed(run_id, 2)
    house.recovered()
    run = house.check(run_id, RunStatus.SUCCEEDED, [A.LOST, A.SUCCEEDED])
    assert run.attempts[1].resumes == 1


@fault()
def supervisor_killed_before_its_trainer_started(house: House) -> None:
    """The claim was answered and nothing was heard of since."""
    with house.worker_held():
        run_id = house.launch()
        house.fault()
        house.claim_and_vanish()
    house.claimed(run_id, 2)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.LOST, A.SUCCEEDED])


@fault(quick=True)
def supervisor_frozen_past_its_lease(house: House) -> None:
    """SIGSTOP, then SIGCONT: it is fenced, its trainer ends, and nothing of it is published."""
    run_id = house.launch(questions=120)
    house.started(run_id)
    pids = house.supervisor(run_id, 1)
    house.fault()
    os.kill(pids["pid"], signal.SIGSTOP)
    try:
        house.claimed(run_id, 2)  # in the other slot: the frozen one holds its own
        house.recovered()
    finally:
        os.kill(pids["pid"], signal.SIGCONT)
    wait_until(lambda: not is_alive(pids["trainer_pid"]), 10, "end of the fenced trainer")
    house.check(run_id, RunStatus.SUCCEEDED, [A.LOST, A.SUCCEEDED])
    assert not house.folder(run_id, 1).result.exists()


@fault(quick=True)
def worker_killed(house: House) -> None:
    """The run does not notice, and the next one starts."""
    run_id = house.launch()
    house.started(run_id)
    before = house.service_pid("worker")
    house.fault()
    house.signal_service("worker", signal.SIGKILL)
    house.restarted("worker", before or 0)
    second = house.launch(questions=5)
    house.claimed(second, 1)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])
    house.check(second, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault()
def worker_terminated(house: House) -> None:
    """SIGTERM during a run: the same attempt goes on."""
    run_id = house.launch()
    house.started(run_id)
    house.fault()
    before = house.signal_service("worker", signal.SIGTERM)
    house.restarted("worker", before)
    house.started(run_id, 8)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault()
def power_cut(house: House) -> None:
    """Everything dies at once; after the next start the run goes on by itself."""
    run_id = house.launch()
    house.started(run_id)
    house.kill_everything()
    house.fault()
    house.up()
    house.claimed(run_id, 2)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.LOST, A.SUCCEEDED])


@fault()
def reboot(house: House) -> None:
    """A worker with a new boot id: what ran before the boot is lost at once, without waiting for the lease."""
    with house.worker_held():
        run_id = house.launch()
        house.claim_and_vanish(boot_id="before")
        house.fault()
    run = house.claimed(run_id, 2)
    house.recovered()
    assert house.seconds < LEASE
    assert "restarted" in next(one.detail for one in house.events(run_id) if one.to_status == A.LOST)
    house.check(run.id, RunStatus.SUCCEEDED, [A.LOST, A.SUCCEEDED])


@fault()
def trainer_with_children(house: House) -> None:
    """What a trainer forked ends with it, when it is stopped, also what has a session of its own."""
    run_id = house.launch("fertile", 600)
    house.started(run_id)
    house.fault()
    with house.client() as client:
        client.stop(run_id)
    house.check(run_id, RunStatus.CANCELLED, [A.STOPPED])
    house.recovered()


@fault()
def trainer_with_children_that_ends_by_itself(house: House) -> None:
    """Nothing that it forked holds memory of the slot afterwards."""
    run_id = house.launch("fertile", 10)
    house.started(run_id, 10)
    house.fault()
    house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])
    house.recovered()
