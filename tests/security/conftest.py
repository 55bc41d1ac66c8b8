"""The backend's fixtures: attacks go to a real application."""

from tests.backend.conftest import backend, migrated, portal, settings, start
from tests.memgen.stages.conftest import trained_weaver, weaver

__all__ = ["backend", "migrated", "portal", "settings", "start", "trained_weaver", "weaver"]
