"""Typed HTTP client: one method per route. Command line, dashboard and worker all use it."""

from backend.api.calls.checkpoints import CheckpointCalls
from backend.api.calls.compare import CompareCalls
from backend.api.calls.data_sets import DataSetCalls
from backend.api.calls.house import HouseCalls
from backend.api.calls.launch import LaunchCalls
from backend.api.calls.notifications import NotificationCalls
from backend.api.calls.pipelines import PipelineCalls
from backend.api.calls.runs import RunCalls
from backend.api.calls.saved_launches import SavedLaunchCalls
from backend.api.calls.saved_views import SavedViewCalls
from backend.api.calls.search import SearchCalls
from backend.api.calls.tags import TagCalls
from backend.api.calls.trying import TryCalls
from backend.api.calls.work import Stream, WorkCalls
from backend.api.connection import API, ApiError, Unreachable

__all__ = ["API", "ApiError", "Client", "Stream", "Unreachable"]


class Client(
    LaunchCalls,
    SavedLaunchCalls,
    DataSetCalls,
    RunCalls,
    CheckpointCalls,
    PipelineCalls,
    CompareCalls,
    TagCalls,
    SavedViewCalls,
    SearchCalls,
    HouseCalls,
    NotificationCalls,
    TryCalls,
    WorkCalls,
):
    """All calls to one backend with one token, over one `Connection`, whose arguments it takes."""
