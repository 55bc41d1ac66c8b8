"""Backend, Redis and dashboard away, restarted, or both at once."""

import signal
import time
from collections.abc import Sequence

from backend.http.main import create_app
from backend.services.enqueue import MOST_RINGS
from backend.settings import Settings
from memgen.contract.status import AttemptStatus as A
from memgen.contract.status import RunStatus
from tests.faults.house import LEASE, House
from tests.faults.registry import fault
from tests.faults.trainer import ANSWER_SECONDS
from tests.running_stack import is_alive, wait_until
from tests.serving import serving


def _restarted_during_a_run(house: House, services: Sequence[str], number: signal.Signals) -> None:
    """The same attempt goes on, its log complete byte for byte (`House.check` compares)."""
    run_id = house.launch(questions=60)
    house.started(run_id)
    house.fault()
    before = {name: house.signal_service(name, number) for name in services}
    for name, pid in before.items():
        house.restarted(name, pid)
    house.started(run_id, 20)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault(quick=True)
def backend_killed(house: House) -> None:
    _restarted_during_a_run(house, ["backend"], signal.SIGKILL)


@fault()
def backend_restarted(house: House) -> None:
    _restarted_during_a_run(house, ["backend"], signal.SIGTERM)


@fault()
def redis_killed(house: House) -> None:
    _restarted_during_a_run(house, ["redis"], signal.SIGKILL)


@fault(quick=True)
def backend_and_redis_killed(house: House) -> None:
    _restarted_during_a_run(house, ["backend", "redis"], signal.SIGKILL)


@fault()
def dashboard_restarted(house: House) -> None:
    _restarted_during_a_run(house, ["dashboard"], signal.SIGTERM)


@fault(quick=True)
def message_lost(house: House) -> None:
    """The doorbell is rung again by the reconciler."""
    with house.worker_held():
        run_id = house.launch(questions=5)
        house.drop_messages()
        house.fault()
    house.claimed(run_id, 1)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault(quick=True)
def message_doubled(house: House) -> None:
    """150 rings for one run are one attempt, and Redis keeps 100 of them."""
    with house.worker_held():
        run_id = house.launch(questions=5)
        house.ring(150)
        assert MOST_RINGS <= house.rings() <= MOST_RINGS + 1  # the reconciler may ring at the same moment
        house.fault()
    house.claimed(run_id, 1)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault()
def redis_away_at_submission(house: House) -> None:
    """The submission is taken at once, and the run starts when Redis is back."""
    pid = house.signal_service("redis", signal.SIGSTOP)
    try:
        began = time.monotonic()
        run_id = house.launch(questions=5)
        assert time.monotonic() - began < 5
    finally:
        house.fault()
        house.resume_process(pid)
    house.claimed(run_id, 1)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault()
def backend_away_for_three_leases(house: House) -> None:
    """No live run is lost, and none is started twice."""
    runs = [house.launch(questions=200) for _ in range(2)]
    for run_id in runs:
        house.started(run_id)
    pid = house.signal_service("backend", signal.SIGSTOP)
    there = {run_id: house.answers_written(run_id, 1) for run_id in runs}
    more = round(3 * LEASE / ANSWER_SECONDS)  # each takes its time, so that many are three leases at least
    try:
        for run_id in runs:
            enough = there[run_id] + more
            wait_until(lambda r=run_id, n=enough: house.answers_written(r, 1) >= n, 60, "answers of three leases")
    finally:
        house.fault()
        house.resume_process(pid)
    for run_id in runs:
        house.started(run_id, more)
    house.recovered()
    for run_id in runs:
        house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault()
def another_homes_backend_at_its_address(house: House) -> None:
    """It knows nothing of the run and refuses its reports for a lease; the trainer goes on until its own is back."""
    run_id = house.launch(questions=200)
    house.started(run_id)
    other = Settings(home=house.home.parent / "other", redis_url="unix:///nowhere/redis.sock")
    with house.launcher_held():
        pid = house.signal_service("backend", signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), 10, "end of the backend")
        enough = house.answers_written(run_id, 1) + round(LEASE / ANSWER_SECONDS)
        with serving(create_app(other), house.backend_port):
            wait_until(lambda: house.answers_written(run_id, 1) >= enough, 60, "answers of a lease")
        house.fault()
    house.restarted("backend", pid)
    house.started(run_id, enough)
    house.recovered()
    house.check(run_id, RunStatus.SUCCEEDED, [A.SUCCEEDED])
