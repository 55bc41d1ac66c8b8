"""Statuses of runs and attempts, which may follow which, and why things end.

This is data; the one function that changes a status lives in the backend and obeys these tables.
"""

from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run is in its life."""

    WAITING = "waiting"  # parents are not done
    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # a parent failed or was cancelled


class AttemptStatus(StrEnum):
    """Where one start of a run is in its life."""

    QUEUED = "queued"
    STARTING = "starting"  # claimed; its trainer has not reported yet
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"  # its lease ran out


class PipelineStatus(StrEnum):
    """Where a pipeline is, as its runs say."""

    RUNNING = "running"  # something still moves by itself
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # a step failed, and nothing moves any more
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"  # the run of a step was deleted


_R, _A = RunStatus, AttemptStatus

RUN_TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    _R.WAITING: frozenset({_R.QUEUED, _R.CANCELLED, _R.SKIPPED}),
    # failed: no job of its site has begun to work on it
    _R.QUEUED: frozenset({_R.RUNNING, _R.CANCELLED, _R.FAILED}),
    # back to queued: the attempt was lost and retries remain
    _R.RUNNING: frozenset({_R.SUCCEEDED, _R.FAILED, _R.STOPPING, _R.QUEUED}),
    # a trainer may end by itself before it sees the stop
    _R.STOPPING: frozenset({_R.CANCELLED, _R.SUCCEEDED, _R.FAILED}),
    _R.SUCCEEDED: frozenset(),
    _R.FAILED: frozenset({_R.QUEUED}),  # resume or retry
    _R.CANCELLED: frozenset({_R.QUEUED, _R.WAITING}),  # waits again, if it was cancelled while it waited
    _R.SKIPPED: frozenset({_R.WAITING}),  # the pipeline continues
}

ATTEMPT_TRANSITIONS: dict[AttemptStatus, frozenset[AttemptStatus]] = {
    _A.QUEUED: frozenset({_A.STARTING, _A.STOPPED, _A.FAILED}),  # failed: as above
    _A.STARTING: frozenset({_A.RUNNING, _A.SUCCEEDED, _A.FAILED, _A.STOPPED, _A.LOST}),
    _A.RUNNING: frozenset({_A.SUCCEEDED, _A.FAILED, _A.STOPPED, _A.LOST}),
    _A.SUCCEEDED: frozenset(),
    _A.FAILED: frozenset(),
    _A.STOPPED: frozenset(),
    _A.LOST: frozenset(),
}

RUN_ENDED = frozenset({_R.SUCCEEDED, _R.FAILED, _R.CANCELLED, _R.SKIPPED})
RUN_FELL = RUN_ENDED - {_R.SUCCEEDED}
"""Ended without what it was to leave: what needs its checkpoint can't start."""
RUN_NOT_STARTED = frozenset({_R.WAITING, _R.QUEUED})
RUN_UNDER_WAY = frozenset({_R.RUNNING, _R.STOPPING})
RUN_LIVE = RUN_NOT_STARTED | RUN_UNDER_WAY
RUN_RESTARTABLE = frozenset({_R.FAILED, _R.CANCELLED})
"""What *resume* and *retry* start again."""
ATTEMPT_LIVE = frozenset({_A.STARTING, _A.RUNNING})
ATTEMPT_ENDED = frozenset({_A.SUCCEEDED, _A.FAILED, _A.STOPPED, _A.LOST})


class StopMode(StrEnum):
    """How a stop treats what has been computed."""

    SAVE = "save"  # save at the next step, then end; the run can be resumed
    DISCARD = "discard"  # end at the next step without saving
    FORCE = "force"  # kill the whole process group at once


class Cause(StrEnum):
    """Why an attempt or a run ended, beside its status."""

    DONE = "done"
    STOPPED = "stopped"
    INVALID_CONFIG = "invalid_config"
    ERROR = "error"
    OUT_OF_MEMORY = "out_of_memory"
    CARD = "card"
    KILLED = "killed"
    LOST = "lost"
    PARENT = "parent"
    INTERRUPTED = "interrupted"
    JOB = "job"


CAUSE_TEXT: dict[Cause, str] = {
    Cause.DONE: "finished",
    Cause.STOPPED: "stopped on request",
    Cause.INVALID_CONFIG: "the config or its data can't be used",
    Cause.ERROR: "the trainer ended with an error",
    Cause.OUT_OF_MEMORY: "memory ran out",
    Cause.CARD: "the GPU or its driver failed",
    Cause.KILLED: "the trainer was killed by a signal",
    Cause.LOST: "the machine or the process that ran it was not heard of within its lease",
    Cause.PARENT: "the run whose checkpoint it needs did not succeed",
    Cause.INTERRUPTED: "its machine was taken away before it had ended",
    Cause.JOB: "every job that its site had for it ended before it began",
}

CAUSE_OF_CODE: dict[str, Cause] = {
    "out_of_memory": Cause.OUT_OF_MEMORY,
    "card_failed": Cause.CARD,
    "no_cuda": Cause.CARD,
    "killed": Cause.KILLED,  # one of several ranks
}
"""What a trainer's own word for its failure says of the cause; other words say nothing of it."""
