"""All faults, in the order in which they are made."""

from tests.faults import cards, clients, clocks, files, machines, processes, real, services, stops  # noqa: F401 - each registers its own
from tests.faults.registry import FAULTS

__all__ = ["FAULTS"]
