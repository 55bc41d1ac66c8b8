"""All faults by name, with what the runner and the tests need to know of each."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.house import RECOVERY, House


@dataclass(frozen=True)
class Fault:
    """One fault that must be survived."""

    name: str
    run: Callable[[House], None]
    limit: float
    """Seconds that the recovery may take."""
    quick: bool
    """Whether `make test` runs it, too."""


FAULTS: list[Fault] = []


def fault(*, limit: float = RECOVERY, quick: bool = False) -> Callable[[Callable[[House], None]], None]:
    """Register a function; its name is the fault's."""

    def add(run: Callable[[House], None]) -> None:
        FAULTS.append(Fault(run.__name__, run, limit, quick))

    return add
