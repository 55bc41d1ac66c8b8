"""Typed HTTP client: one method per route. Command line, dashboard and worker all use it."""

from backend.api.calls.checkpoints import CheckpointCalls
from backend.api.calls.compare import CompareCalls
from backend.api.calls.data_sets import DataSetCalls
from backend.api.calls.house import HouseCalls
from backend.api.calls.launch import LaunchCalls
from backend.api.calls.pipelines import PipelineCalls
from backend.api.calls.runs import RunCalls
from backend.api.calls.work import Stream, WorkCalls
from backend.api.connection import API, ApiError, Unreachable

__all__ = ["API", "ApiError", "Client", "Stream", "Unreachable"]


class Client(
    LaunchCalls,
    DataSetCalls,
    RunCalls,
    CheckpointCalls,
    PipelineCalls,
    CompareCalls,
    HouseCalls,
    WorkCalls,
):
    """Calls to one backend with one token.

    Args:
        url: address of the backend, e.g. `http://127.0.0.1:8000`.
        token: bearer token of a user, of a worker, or of one attempt.
        timeout: seconds until a call counts as unanswered.
        instance: the home that the backend must serve; what answers for another one counts as no answer.
        transport: another way to reach the backend, for tests.
        sleep: waits some seconds, where a busy backend says when to come again.
    """
