"""The same faults with the real trainer on a tiny model."""

import os
import signal
from typing import Any

import psutil

from memgen.contract.status import AttemptStatus as A
from memgen.contract.status import Cause, RunStatus
from tests.conftest import TINY
from tests.faults.house import House
from tests.faults.registry import fault
from tests.faults.trainer import REAL, REAL_IN_TWO_RANKS
from tests.running_stack import is_alive, wait_until

EVALUATION = {"seed": REAL, "num_questions": 24, "batch_size": 2, "max_completion_length": 160}
TRAINING = {
    "stage": "weaver_sft",
    "preset": TINY,
    "data": "wordproblems",
    "seed": REAL,
    "num_questions": 64,
    "batch_size": 2,
    "max_steps": 40,
    "save_steps": 4,
    "max_completion_length": 96,
    "eval_questions": 4,
}


def _train(house: House, **fields: Any) -> int:
    with house.client() as client:
        return client.submit(TRAINING | fields).id


def _saved(house: House, run_id: int, attempt: int = 1) -> None:
    folder = house.home / "runs" / str(run_id) / "attempts" / str(attempt) / "checkpoints"
    wait_until(lambda: list(folder.glob("step-*")), 60, f"a checkpoint of run {run_id}")


@fault()
def real_trainer_loses_its_supervisor(house: House) -> None:
    """A training goes on after its last whole checkpoint."""
    run_id = _train(house)
    _saved(house, run_id)
    house.fault()
    house.kill_supervisor(run_id, 1)
    house.claimed(run_id, 2)
    house.recovered()
    run = house.check(run_id, RunStatus.SUCCEEDED, [A.LOST, A.SUCCEEDED], 120)
    assert run.attempts[1].resumes == 1
    with house.client() as client:
        steps = [step for series in client.metrics(run_id).series for step in series.steps]
    assert set(range(1, 41)) <= set(steps)


@fault()
def real_trainer_killed(house: House) -> None:
    """An evaluation goes on after its last answer when it is resumed."""
    run_id = house.launch(**EVALUATION)
    house.started(run_id)
    house.fault()
    os.kill(house.supervisor(run_id, 1)["trainer_pid"], signal.SIGKILL)
    run = house.check(run_id, RunStatus.FAILED, [A.FAILED])
    assert run.cause == Cause.KILLED
    with house.client() as client:
        client.resume(run_id)
    house.claimed(run_id, 2)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.FAILED, A.SUCCEEDED])


@fault()
def real_run_of_two_processes_loses_its_supervisor(house: House) -> None:
    """No rank survives, and the next attempt has each question once."""
    run_id = house.launch(**{**EVALUATION, "seed": REAL_IN_TWO_RANKS})
    house.started(run_id)
    pids = house.supervisor(run_id, 1)
    ranks = [one.pid for one in psutil.Process(pids["trainer_pid"]).children(recursive=True)]
    assert len(ranks) >= 2
    house.fault()
    house.kill_supervisor(run_id, 1)
    wait_until(lambda: not any(map(is_alive, [pids["trainer_pid"], *ranks])), 5, "death of all ranks")
    house.claimed(run_id, 2)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.LOST, A.SUCCEEDED], 120)


@fault()
def real_trainer_with_a_full_disk_at_its_checkpoint(house: House) -> None:
    """The run fails and says so; nothing half-written is taken up."""
    run_id = _train(house)
    _saved(house, run_id)
    house.fault()
    with house.files_limited(house.supervisor(run_id, 1)["trainer_pid"], 2**16):
        run = house.check(run_id, RunStatus.FAILED, [A.FAILED])
    assert run.failure is not None
    with house.client() as client:
        client.resume(run_id)
    house.claimed(run_id, 2)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.FAILED, A.SUCCEEDED], 120)


@fault()
def real_trainer_while_backend_and_redis_are_killed(house: House) -> None:
    """The same attempt goes on to its end."""
    run_id = house.launch(**EVALUATION)
    house.started(run_id)
    house.fault()
    before = {name: house.signal_service(name, signal.SIGKILL) for name in ("backend", "redis")}
    for name, pid in before.items():
        house.restarted(name, pid)
    house.started(run_id, 12)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault()
def real_trainer_stopped_and_resumed(house: House) -> None:
    """A saved stop keeps the step that it was at."""
    run_id = _train(house)
    _saved(house, run_id)
    house.fault()
    with house.client() as client:
        client.stop(run_id)
    run = house.check(run_id, RunStatus.CANCELLED, [A.STOPPED])
    assert run.can_resume
    with house.client() as client:
        client.resume(run_id)
    house.claimed(run_id, 2)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.STOPPED, A.SUCCEEDED], 120)
