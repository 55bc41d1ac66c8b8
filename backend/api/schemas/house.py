"""Workers, queue and health."""

from datetime import datetime
from typing import Literal

from pydantic import Field, StrictBool

from backend.api.schemas.base import ApiReply, ApiRequest
from backend.api.schemas.runs import RunOut
from backend.api.schemas.workers import Limits, Sickness, Versions
from memgen.contract.problem import Problem


class SlotOut(ApiReply):
    """One GPU group (or the CPU) of a worker."""

    name: str
    device: Literal["cpu", "cuda"]
    gpus: list[int]
    total_memory: int
    """Bytes of all its devices together."""
    gpu_memory: list[int] = Field(default_factory=list)
    """Bytes of each of its GPUs; empty on a CPU."""
    free: list[int] = Field(default_factory=list)
    """Bytes free on each of its devices a few seconds ago."""
    sick: Sickness | None = None
    """Why it takes no work now; None where it does."""
    closed: Problem | None = None
    """Why it is given no work, however well it is; None where it is given some."""
    drained: bool = False
    """Whether it was told to take nothing new, it alone and not its whole machine."""
    run_id: int | None
    """Run that it works on."""
    try_session: int | None = None
    """Session that it holds, which gives way to any run."""


class SickSlotOut(Sickness):
    """A slot of a worker that is alive, which takes no work."""

    host: str
    slot: str


class WorkerOut(ApiReply):
    """A worker that has announced itself."""

    host: str
    """Name of its machine; with a few characters more where another machine of this name is there."""
    boot_id: str = ""
    """Names its machine from one start to the next, whatever it is called."""
    alive: bool
    last_seen: datetime
    versions: Versions | None = None
    """What it works with; null for one of a version before, which did not say so."""
    refusal: Problem | None = None
    """Why it is given no work, whatever its slots are; null where they are given some."""
    drained: bool = False
    """Whether its machine was told to take nothing new and finish what it has."""
    limits: Limits = Field(default_factory=Limits)
    """How much of its machine it may use."""
    clock_ahead: float = 0.0
    """Seconds by which its machine's clock is ahead of the backend's, negative where it is behind; 0 for a difference
    that does not matter."""
    slots: list[SlotOut]


class WorkerList(ApiReply):
    """All workers."""

    items: list[WorkerOut]
    next_cursor: str | None = None


class DrainRequest(ApiRequest):
    """A machine, or one of its slots, is to take nothing new and finish what it has; or to take work again."""

    host: str = Field(min_length=1, max_length=300)
    """Name of the machine, as `GET /workers` has it."""
    slot: str | None = Field(default=None, max_length=50)
    """One of its slots; null for all of it."""
    drained: StrictBool


class QueueOut(ApiReply):
    """Queued runs in the order in which they will be claimed."""

    paused: bool
    items: list[RunOut]
    """The first of them, or all."""
    total: int
    """How many are queued."""
    lowest_priority: int | None = None
    """Of all that are queued; that of the first is the highest."""
    sick_slots: list[SickSlotOut] = Field(default_factory=list)
    """Slots that take none of them now, and why."""
    next_cursor: str | None = None


class PauseRequest(ApiRequest):
    """Pause or resume the queue."""

    paused: StrictBool


class HealthOut(ApiReply):
    """Whether the service and what it needs are well."""

    status: Literal["ok", "degraded"]
    version: str
    database: str
    broker: str
    """`ok`, or why Redis can't be reached."""
    reconciler_age_seconds: float | None
    """Seconds since the reconciler's last round."""
    reconciler_round_seconds: float | None = None
    """How long that round took."""
    workers_alive: int
    """Those that are given work."""
    sick_slots: list[SickSlotOut] = Field(default_factory=list)
    """Slots that take no work now, and why."""
    refusals: list[Problem] = Field(default_factory=list)
    """Why machines that are alive are given no work, as they are of another version."""
    home_free_bytes: int
