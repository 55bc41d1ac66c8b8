"""All faults, in the order in which they are made."""

from tests.faults import (  # noqa: F401 - each registers its own
    cards,
    clients,
    clocks,
    files,
    machines,
    processes,
    real,
    services,
    stops,
    trying,
)
from tests.faults.registry import FAULTS

__all__ = ["FAULTS"]
