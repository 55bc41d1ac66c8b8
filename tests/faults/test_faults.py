"""The quick half of `make faults`; `python -m tests.faults` makes all of them."""

from collections.abc import Iterator

import pytest

from tests.faults import life
from tests.faults.catalogue import FAULTS
from tests.faults.house import House
from tests.faults.registry import Fault


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, presets_file) -> Iterator[House]:
    running = House(tmp_path_factory.mktemp("faults") / "home", presets_file)
    running.up()
    yield running
    running.close()


@pytest.mark.parametrize("fault", [one for one in FAULTS if one.quick], ids=lambda fault: fault.name)
def test_quick_fault_is_survived(house: House, fault: Fault) -> None:
    fault.run(house)
    assert house.seconds <= fault.limit


def test_whatever_comes_in_whatever_order_a_runs_life_stays_sound() -> None:
    life.explore(100)
