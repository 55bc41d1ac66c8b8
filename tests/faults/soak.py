"""Sixty runs on two slots with a random fault every few seconds: all of them end, and nothing is lost or doubled."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random
from threading import Timer

from backend.api.client import ApiError, Unreachable
from memgen.contract.status import ATTEMPT_LIVE, RunStatus
from tests.faults.house import LEASE, House
from tests.faults.real import EVALUATION
from tests.running_stack import wait_until

RUNS, REAL_RUNS, QUESTIONS = 60, 5, 8
PAUSE = (1.0, 4.0)  # seconds between two faults
LIMIT = 420.0  # seconds for everything
ENDS = (RunStatus.SUCCEEDED, RunStatus.CANCELLED)  # what fails is resumed


def soak(house: House, seed: int) -> str:
    """Run it; returns a line about what happened."""
    random = Random(seed)
    runs = [house.launch(questions=QUESTIONS) for _ in range(RUNS - REAL_RUNS)]
    runs += [house.launch(**{**EVALUATION, "num_questions": 6, "max_completion_length": 32}) for _ in range(REAL_RUNS)]
    cancelled: set[int] = set()
    done: dict[str, int] = {}
    next_fault = time.monotonic() + 2

    def all_ended() -> bool:
        nonlocal next_fault
        statuses = _tend(house, runs)
        if time.monotonic() >= next_fault:
            fault = random.choice(FAULTS)
            with suppress(ApiError, Unreachable, ProcessLookupError, LookupError):  # nothing there to harm
                fault(house, random, cancelled)
                done[fault.__name__] = done.get(fault.__name__, 0) + 1
            next_fault = time.monotonic() + random.uniform(*PAUSE)
        return bool(statuses) and all(statuses[run_id] in ENDS for run_id in runs)

    wait_until(all_ended, LIMIT, "end of all runs", pause=0.3)
    for run_id in runs:
        with house.client() as client:
            run = client.run(run_id)
        expected = RunStatus.CANCELLED if run_id in cancelled else RunStatus.SUCCEEDED
        # a stop may come too late for a run that is just ending
        assert run.status in {expected, RunStatus.SUCCEEDED}
        house.check(run_id, RunStatus(run.status), [one.status for one in run.attempts])
    attempts = house.rows("SELECT count(*) FROM attempt WHERE claimed_at IS NOT NULL AND run_id >= ?", runs[0])[0][0]
    faults = ", ".join(f"{name} {count}" for name, count in sorted(done.items()))
    return f"{RUNS} runs in {attempts} attempts, {len(cancelled)} cancelled; faults: {faults}"


def _tend(house: House, ids: list[int]) -> dict[int, RunStatus]:
    """Statuses of the runs `ids`; those that failed are resumed, or begun again where nothing was saved, as a user
    would. Runs of other faults in the same house are left alone: some of them fail each time they are begun."""
    with suppress(Unreachable, ApiError), house.client() as client:
        statuses: dict[int, RunStatus] = {}
        cursor = None
        while True:
            page = client.runs(limit=100, cursor=cursor)
            statuses |= {run.id: RunStatus(run.status) for run in page.items if run.id in ids}
            cursor = page.next_cursor
            if cursor is None:
                break
        for run_id in ids:
            if statuses[run_id] == RunStatus.FAILED:
                try:
                    client.resume(run_id)
                except ApiError:
                    client.retry(run_id)
        return statuses
    return {}


def _live(house: House, random: Random) -> dict[str, int]:
    """Process ids of a random attempt that is under way."""
    live = house.rows(
        f"SELECT run_id, number FROM attempt WHERE status IN ({', '.join('?' * len(ATTEMPT_LIVE))})", *ATTEMPT_LIVE
    )
    run_id, number = random.choice(live)
    if not (house.folder(run_id, number).path / "supervisor.json").exists():
        raise LookupError("it has not begun")
    return house.supervisor(run_id, number)


def _thaw(pid: int, seconds: float) -> None:
    """Let a frozen process go on after a while; other faults come meanwhile."""

    def go_on() -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    Timer(seconds, go_on).start()


def kill_trainer(house: House, random: Random, _: set[int]) -> None:
    os.kill(_live(house, random)["trainer_pid"], signal.SIGKILL)


def kill_supervisor(house: House, random: Random, _: set[int]) -> None:
    os.kill(_live(house, random)["pid"], signal.SIGKILL)


def freeze_supervisor(house: House, random: Random, _: set[int]) -> None:
    pid = _live(house, random)["pid"]
    os.kill(pid, signal.SIGSTOP)
    _thaw(pid, LEASE * random.uniform(0.2, 1.5))


def kill_worker(house: House, random: Random, _: set[int]) -> None:
    house.signal_service("worker", signal.SIGKILL)


def kill_backend(house: House, random: Random, _: set[int]) -> None:
    house.signal_service("backend", signal.SIGKILL)


def freeze_backend(house: House, random: Random, _: set[int]) -> None:
    pid = house.signal_service("backend", signal.SIGSTOP)
    _thaw(pid, LEASE * random.uniform(0.2, 2.0))


def kill_redis(house: House, random: Random, _: set[int]) -> None:
    house.signal_service("redis", signal.SIGKILL)


def stop_a_run(house: House, random: Random, cancelled: set[int]) -> None:
    if len(cancelled) >= RUNS // 10:
        return
    with house.client() as client:
        running = client.runs(status=random.choice(["running", "queued"])).items
        run = random.choice(running)
        client.stop(run.id)
    cancelled.add(run.id)


FAULTS: list[Callable[[House, Random, set[int]], None]] = [
    kill_trainer, kill_supervisor, freeze_supervisor, kill_worker, kill_backend, freeze_backend, kill_redis, stop_a_run,
]  # fmt: skip
