"""Clocks that are set while runs are under way."""

from memgen.contract.status import AttemptStatus as A
from memgen.contract.status import RunStatus
from tests.faults.house import House
from tests.faults.registry import fault


def _jump(house: House, seconds: float) -> None:
    """A live run goes on with the same attempt; a dead one is found as if nothing had been."""
    living, dying = house.launch(questions=120), house.launch()
    for run_id in (living, dying):
        house.started(run_id)
    house.fault()
    with house.clock_shifted(seconds):
        house.kill_supervisor(dying, 1)
        house.claimed(dying, 2)
        house.recovered()
        house.check(dying, RunStatus.SUCCEEDED, [A.LOST, A.SUCCEEDED])
        house.check(living, RunStatus.SUCCEEDED, [A.SUCCEEDED])


@fault()
def clock_an_hour_ahead(house: House) -> None:
    _jump(house, 3600)


@fault()
def clock_an_hour_back(house: House) -> None:
    _jump(house, -3600)
