"""What a run tells of its machine: what can be read, now and then."""

from pathlib import Path

import pytest

from memgen.contract.machine_metrics import GPU_BUSY, GPU_MEMORY, GPU_POWER, MEMORY
from memgen.contract.rundir import RunDir
from memgen.machine_readings import GIB, machine_readings
from memgen.monitor import MACHINE_SECONDS, Monitor


class Card:
    """A GPU that tells what it is asked, in the place of `torch.cuda`."""

    def __init__(self, *, used: bool = True) -> None:
        self._used = used

    def is_initialized(self) -> bool:
        return self._used

    def device_memory_used(self) -> int:
        return 3 * GIB

    def utilization(self) -> int:
        return 75

    def power_draw(self) -> int:
        return 250_500


class Mute(Card):
    """A GPU without a sensor for its power."""

    def power_draw(self) -> int:
        raise RuntimeError("Not Supported")


def test_readings_have_the_units_of_the_charts() -> None:
    readings = machine_readings(Card())
    assert 0.01 < readings.pop(MEMORY) < 64
    assert readings == {GPU_MEMORY: 3.0, GPU_BUSY: 0.75, GPU_POWER: 250.5}


@pytest.mark.parametrize(("card", "names"), [(Card(used=False), {MEMORY}), (Mute(), {MEMORY, GPU_MEMORY, GPU_BUSY})])
def test_what_a_machine_does_not_tell_is_left_out(card: Card, names: set[str]) -> None:
    assert machine_readings(card).keys() == names


def test_machine_is_read_once_in_a_while_however_short_the_steps_are(tmp_path: Path) -> None:
    now = [1000.0]
    events = RunDir(tmp_path, "evaluate").events
    monitor = Monitor(events, clock=lambda: now[0], machine=lambda: {MEMORY: now[0]})
    for step in range(1, 12):
        monitor.machine(step)
        now[0] += MACHINE_SECONDS / 5
    monitor.close()
    written = [line for line in events.read_text().splitlines() if MEMORY in line]
    assert [f'"step":{step}' in line for step, line in zip((1, 6, 11), written, strict=True)] == [True] * 3
