"""Sessions of Try that break: nothing stays loaded, and no slot is held."""

import json
import os
import signal
from collections.abc import Callable

from backend.api.client import Unreachable
from backend.api.schemas import TryEnd, TrySessionDetail, TryStatus
from memgen.contract.service_files import try_dir
from memgen.contract.status import AttemptStatus as A
from memgen.contract.status import RunStatus
from tests.conftest import TINY
from tests.faults.card import LOST
from tests.faults.house import House
from tests.faults.registry import fault
from tests.running_stack import is_alive, wait_until

SLOTS = ("cpu0", "cpu1")
COLUMN = {"stage": "evaluate", "preset": TINY, "data": "wordproblems"}


def _opened(house: House) -> int:
    """A session that is loaded and has answered a question."""
    with house.client() as client:
        one = client.open_try([COLUMN]).id
        client.ask(one, "How many?")
    _when(house, one, lambda now: now.asked[0].answers[0].record is not None, "an answer")
    return one


def _when(house: House, session: int, holds: Callable[[TrySessionDetail], bool], what: str) -> TrySessionDetail:
    seen: list[TrySessionDetail] = []

    def look() -> bool:
        try:
            with house.client() as client:
                seen.append(client.try_session(session))
        except Unreachable:  # the backend is on its way back
            return False
        return holds(seen[-1])

    wait_until(look, 30, f"{what} of session {session}")
    return seen[-1]


def _pids(house: House, session: int) -> dict[str, int]:
    pids: dict[str, int] = json.loads((try_dir(house.home) / str(session) / "supervisor.json").read_text())
    return pids


def _check_gone(house: House, session: int, pids: dict[str, int], *ends: TryEnd) -> None:
    """It has ended for one of these reasons, nothing of it is left, and both slots take work."""
    said = _when(house, session, lambda now: now.status is TryStatus.ENDED, "the end")
    assert said.end in ends, said
    for name in ("pid", "trainer_pid"):
        wait_until(lambda pid=pids[name]: not is_alive(pid), 10, f"end of {name}")  # type: ignore[misc]
    house.recovered()
    runs = [house.launch(questions=5) for _ in SLOTS]
    for run in runs:
        house.check(run, RunStatus.SUCCEEDED, [A.SUCCEEDED])
    wait_until(lambda: not (try_dir(house.home) / str(session)).exists(), 10, f"end of the folder of session {session}")


@fault(quick=True)
def page_of_a_session_closed(house: House) -> None:
    """Nobody looks at the session any more: it ends and frees its slot."""
    one = _opened(house)
    pids = _pids(house, one)
    house.fault()
    wait_until(lambda: not is_alive(pids["pid"]), 20, "the supervisor's end")
    _check_gone(house, one, pids, TryEnd.LEFT)


@fault()
def trainer_of_a_session_killed(house: House) -> None:
    """The session ends with the signal's name, and what was asked is said to be unanswered."""
    one = _opened(house)
    pids = _pids(house, one)
    house.fault()
    os.kill(pids["trainer_pid"], signal.SIGKILL)
    _check_gone(house, one, pids, TryEnd.FAILED)


@fault()
def supervisor_of_a_session_killed(house: House) -> None:
    """Its trainer dies with it, and the session is lost with its lease."""
    one = _opened(house)
    pids = _pids(house, one)
    house.fault()
    os.kill(pids["pid"], signal.SIGKILL)
    _check_gone(house, one, pids, TryEnd.LOST)


@fault()
def backend_killed_under_a_session(house: House) -> None:
    """The session goes on if the backend is back in time, else it ends by itself; it holds no slot either way."""
    one = _opened(house)
    pids = _pids(house, one)
    house.fault()
    before = house.signal_service("backend", signal.SIGKILL)
    house.restarted("backend", before)
    wait_until(lambda: not is_alive(pids["pid"]), 30, "the supervisor's end")
    house.fault()  # from here on: how long a session took to be left does not count
    _check_gone(house, one, pids, TryEnd.LEFT, TryEnd.LOST)


@fault()
def card_of_a_session_gone(house: House) -> None:
    """A session waits while no card works and says so; one whose card goes fails, and its slot takes itself out."""
    with house.cards(dict.fromkeys(SLOTS, LOST)) as change:
        with house.client() as client:
            waiting = client.open_try([COLUMN]).id
        house.sick_slots_are(*SLOTS)
        assert "sick" in _when(house, waiting, lambda now: "sick" in now.says, "word").says
        change({"cpu1": LOST})
        said = _when(house, waiting, lambda now: now.status is TryStatus.READY, "the start")
        assert said.slot == "cpu0"
        pids = _pids(house, waiting)
        house.fault()
        change({"cpu0": LOST})
        os.kill(pids["trainer_pid"], signal.SIGUSR1)  # what a trainer does whose card has gone: it fails
        said = _when(house, waiting, lambda now: now.status is TryStatus.ENDED, "the end")
        assert said.failure is not None
        assert said.failure.code == "card_failed"
        house.sick_slots_are("cpu0")
    _check_gone(house, waiting, pids, TryEnd.FAILED)


@fault()
def run_queued_under_two_sessions(house: House) -> None:
    """Sessions hold both slots; the run gets one of them within the lease, and the other session stays."""
    with house.client() as client:
        sessions = [client.open_try([COLUMN]).id for _ in SLOTS]

    def are_ready() -> bool:
        with house.client() as client:  # all of them: one that nobody looks at for some seconds would end
            return [client.try_session(one).status for one in sessions] == [TryStatus.READY] * len(sessions)

    wait_until(are_ready, 60, "two sessions to be ready")
    house.fault()
    run = house.launch(questions=5)
    ends: list[list[TryEnd | None]] = []

    def gives_way() -> bool:
        with house.client() as client:
            ends.append([client.try_session(one).end for one in sessions])
        return TryEnd.GAVE_WAY in ends[-1]

    wait_until(gives_way, 30, "a session to give way")
    assert set(ends[-1]) == {TryEnd.GAVE_WAY, None}
    house.claimed(run, 1)
    house.recovered()
    with house.client() as client:
        for one in sessions:
            client.close_try(one)
    house.check(run, RunStatus.SUCCEEDED, [A.SUCCEEDED])
    for one in sessions:
        _when(house, one, lambda now: now.status is TryStatus.ENDED, "the end")
