"""What workers and supervisors say and hear."""

from typing import Any, Literal

from pydantic import Field

from backend.schemas.base import ApiReply, ApiRequest
from backend.schemas.problems import ProblemItem
from memgen.contract.placement import Placement
from memgen.contract.status import Cause, StopMode

INSTANCE_HEADER = "X-MemGen-Instance"
"""Names the home that a request is meant for, and that a reply comes from."""


class SlotReport(ApiRequest):
    """A slot as its worker sees it."""

    name: str = Field(max_length=50, pattern=r"^[\w,\-]+$")
    device: Literal["cpu", "cuda"]
    gpus: list[int] = Field(default_factory=list)
    total_memory: int = Field(ge=0)
    """Bytes of all its devices together."""
    gpu_memory: list[int] = Field(default_factory=list)
    """Bytes of each of its GPUs; empty on a CPU."""
    free: list[int] = Field(default_factory=list)
    """Bytes free on each of its devices when it was told; empty if it was not."""

    @property
    def device_memory(self) -> list[int]:
        """Bytes of each of its devices."""
        return self.gpu_memory or [self.total_memory]


class Announce(ApiRequest):
    """A worker says that it is alive."""

    host: str = Field(min_length=1, max_length=200)
    boot_id: str = Field(max_length=100)
    pid: int
    slots: list[SlotReport]


class ClaimRequest(ApiRequest):
    """A supervisor asks for work for its slot."""

    host: str = Field(min_length=1, max_length=200)
    boot_id: str = Field(max_length=100)
    pid: int
    slot: SlotReport
    free_memory: int = Field(ge=0)
    """Bytes free now on all devices of the slot together."""
    free_gpu_memory: list[int] = Field(default_factory=list)
    """Bytes free now on each GPU of the slot; empty on a CPU."""

    @property
    def free_device_memory(self) -> list[int]:
        """Bytes free now on each device of the slot."""
        return self.free_gpu_memory or [self.free_memory]


class ClaimedAttempt(ApiReply):
    """Work, and the right to report on it."""

    attempt_id: int
    run_id: int
    number: int
    token: str
    """Goes as bearer token with every report; a newer attempt makes it stale."""
    config: dict[str, Any]
    resumes: int | None
    """Number of the attempt to resume from."""
    placement: Placement
    """How the run uses the slot's devices: `parallel` or `spread`."""
    lease_seconds: float
    beat_seconds: float
    stop_grace_seconds: float


class ClaimReply(ApiReply):
    """An attempt, or nothing to do."""

    attempt: ClaimedAttempt | None
    instance: str
    """Names the backend's home; reports carry it in the header X-MemGen-Instance, and so does every reply."""


class HeartbeatReply(ApiReply):
    """What the attempt's supervisor must know."""

    stop: StopMode | None
    lease_seconds: float


class StreamReply(ApiReply):
    """Where the next bytes of a stream belong."""

    offset: int


class FinishRequest(ApiRequest):
    """The end of an attempt."""

    outcome: Literal["succeeded", "failed", "stopped"]
    cause: Cause
    exit_code: int | None
    """Of the trainer; negative is minus the signal."""
    failure: ProblemItem | None = None
    traceback: str | None = Field(default=None, max_length=20_000)
    result: dict[str, Any] = Field(default_factory=dict)
    environment: dict[str, Any] = Field(default_factory=dict)


class FinishReply(ApiReply):
    """Whether the outputs of this attempt may be published."""

    publish: bool
