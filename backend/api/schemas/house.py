"""Workers, queue and health."""

from datetime import datetime
from typing import Literal

from pydantic import Field, StrictBool

from backend.api.schemas.base import ApiReply, ApiRequest
from backend.api.schemas.runs import RunOut
from backend.api.schemas.workers import Sickness


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
    slots: list[SlotOut]


class WorkerList(ApiReply):
    """All workers."""

    items: list[WorkerOut]
    next_cursor: str | None = None


class QueueOut(ApiReply):
    """Queued runs in the order in which they will be claimed."""

    paused: bool
    items: list[RunOut]
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
    workers_alive: int
    sick_slots: list[SickSlotOut] = Field(default_factory=list)
    """Slots that take no work now, and why."""
    home_free_bytes: int
