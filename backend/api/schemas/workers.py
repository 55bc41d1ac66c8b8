"""What workers and supervisors say and hear."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from backend.api.schemas.base import ApiReply, ApiRequest, WorkerRequest
from backend.api.schemas.trying import ClaimedSession
from memgen import __version__
from memgen.contract.manifest import CheckpointReport
from memgen.contract.numbers import Time
from memgen.contract.planner.placement import Placement
from memgen.contract.problem import Problem
from memgen.contract.status import Cause, StopMode

INSTANCE_HEADER = "X-MemGen-Instance"
"""Names the home that a request is meant for, and that a reply comes from."""
WORK_API = 1
"""Number of what workers and backend say to each other; another number is for what one of today can't understand."""


Bytes = Annotated[int, Field(ge=0, le=2**60)]
Span = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Pid = Annotated[int, Field(ge=0, le=2**31)]
Host = Annotated[str, Field(min_length=1, max_length=200)]
MOST_GPUS, MOST_SLOTS = 64, 128  # of a slot, of a worker
Version = Annotated[str, Field(max_length=300)]


class Versions(WorkerRequest):
    """What a worker works with."""

    memgen: Version
    api: int = Field(ge=0, le=2**31)
    """See `WORK_API`."""
    torch: Version = ""
    """Empty where it is not installed."""
    transformers: Version = ""

    @property
    def packages(self) -> dict[str, str]:
        """Versions of packages that change what a run computes; empty where one is not installed."""
        return {"torch": self.torch, "transformers": self.transformers}

    @classmethod
    def of_this(cls, *, torch: str = "", transformers: str = "") -> Self:
        """Those of a worker of this version."""
        return cls(memgen=__version__, api=WORK_API, torch=torch, transformers=transformers)


class Limits(WorkerRequest):
    """How much of its machine a worker may use."""

    most_runs: int | None = Field(default=None, ge=1, le=10_000)
    """Runs, and sessions of Try, at the same time; None for as many as there are slots."""
    memory_share: float = Field(default=1.0, gt=0, le=1)
    """Of the memory of each device; what its slots report is that share already."""


class Sickness(ApiReply):
    """Why a slot takes no work, as its worker tells it."""

    reason: Problem
    seconds: Span
    """How long that has been so, when it was told."""
    asked_again_in: Span
    """Seconds until its worker looks again, when it was told."""


class SlotReport(WorkerRequest):
    """A slot as its worker sees it."""

    name: str = Field(max_length=50, pattern=r"^[\w,\-]+$")
    device: Literal["cpu", "cuda"]
    gpus: list[Annotated[int, Field(ge=0, le=10_000)]] = Field(default_factory=list, max_length=MOST_GPUS)
    total_memory: Bytes
    """Bytes of all its devices together."""
    gpu_memory: list[Bytes] = Field(default_factory=list, max_length=MOST_GPUS)
    """Bytes of each of its GPUs; empty on a CPU."""
    free: list[Bytes] = Field(default_factory=list, max_length=MOST_GPUS)
    """Bytes free on each of its devices when it was told; empty if it was not."""
    sick: Sickness | None = None
    """Why it takes no work now; None where it does."""

    @model_validator(mode="after")
    def _one_figure_for_each_device(self) -> Self:
        """What is stored here is read by everybody who asks why a run waits."""
        if self.device == "cpu" and (self.gpus or self.gpu_memory):
            raise ValueError(f"slot {self.name} is a CPU and names GPUs")
        if self.device == "cuda" and (not self.gpus or len(set(self.gpus)) < len(self.gpus)):
            raise ValueError(f"slot {self.name} has GPUs and names none of them, or one twice")
        if self.gpu_memory and len(self.gpu_memory) != len(self.gpus):
            raise ValueError(f"slot {self.name} has {len(self.gpus)} GPUs and the memory of {len(self.gpu_memory)}")
        if self.free and len(self.free) != len(self.device_memory):
            raise ValueError(
                f"slot {self.name} has {len(self.device_memory)} devices and tells what is free on {len(self.free)}"
            )
        return self

    @property
    def device_memory(self) -> list[int]:
        """Bytes of each of its devices."""
        return self.gpu_memory or [self.total_memory]


class Announce(WorkerRequest):
    """A worker says that it is alive."""

    host: Host
    boot_id: str = Field(max_length=100)
    pid: Pid
    slots: list[SlotReport] = Field(max_length=MOST_SLOTS)
    versions: Versions | None = None
    """What it works with; None for workers of versions before."""
    limits: Limits = Field(default_factory=Limits)
    """How much of its machine it may use."""
    clock: Time | None = None
    """What its clock said when this was sent; None for workers of versions before."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [slot.name for slot in self.slots]
        if len(set(names)) < len(names):
            raise ValueError("two slots of a worker have one name")
        return self


class AnnounceReply(ApiReply):
    """What a worker must know."""

    announce_seconds: float
    """Time until its next sign of life."""
    refusal: Problem | None = None
    """Why it is given no work; None where it is given some."""


class ClaimRequest(WorkerRequest):
    """A supervisor asks for work for its slot."""

    host: Host
    boot_id: str = Field(max_length=100)
    pid: Pid
    slot: SlotReport
    free_memory: Bytes
    """Bytes free now on all devices of the slot together."""
    free_gpu_memory: list[Bytes] = Field(default_factory=list, max_length=MOST_GPUS)
    """Bytes free now on each GPU of the slot; empty on a CPU."""
    versions: Versions | None = None
    """What it works with; None for workers of versions before."""
    limits: Limits = Field(default_factory=Limits)
    """How much of its machine it may use."""
    clock: Time | None = None
    """What its clock said when this was sent; None for workers of versions before."""

    @model_validator(mode="after")
    def _one_figure_for_each_gpu(self) -> Self:
        if len(self.free_gpu_memory) != len(self.slot.gpu_memory):
            raise ValueError(
                f"slot {self.slot.name} has the memory of {len(self.slot.gpu_memory)} GPUs and tells what is free on "
                f"{len(self.free_gpu_memory)}"
            )
        return self

    @property
    def free_device_memory(self) -> list[int]:
        """Bytes free now on each device of the slot."""
        return self.free_gpu_memory or [self.free_memory]


class LookReply(ApiReply):
    """Whether a claim would get something now."""

    has_work: bool


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
    checkpoint: str | None = None
    """Folder of the checkpoint that the run starts from, seen from the home."""
    placement: Placement
    """How the run uses the slot's devices: `parallel` or `spread`."""
    lease_seconds: float
    beat_seconds: float
    stop_grace_seconds: float


class ClaimReply(ApiReply):
    """An attempt, or nothing to do."""

    attempt: ClaimedAttempt | None
    session: ClaimedSession | None = None
    """A session that somebody tries checkpoints in, where no run wants the slot."""
    instance: str
    """Names the backend's home; reports carry it in the header X-MemGen-Instance, and so does every reply."""


class HeartbeatReply(ApiReply):
    """What the attempt's supervisor must know."""

    stop: StopMode | None
    lease_seconds: float


class StreamReply(ApiReply):
    """Where the next bytes of a stream belong."""

    offset: int


class StartReply(ApiReply):
    """The checkpoint that an attempt starts from."""

    report: CheckpointReport


class OutputReply(ApiReply):
    """What has come of the checkpoint of an attempt."""

    received: dict[str, int]
    """Bytes of each file."""


class FinishRequest(ApiRequest):
    """The end of an attempt."""

    outcome: Literal["succeeded", "failed", "stopped"]
    cause: Cause
    exit_code: Annotated[int, Field(ge=-(2**31), le=2**32)] | None
    """Of the trainer; negative is minus the signal."""
    failure: Problem | None = None
    traceback: str | None = Field(default=None, max_length=20_000)
    result: dict[str, Any] = Field(default_factory=dict)
    environment: dict[str, Any] = Field(default_factory=dict)
    checkpoint: CheckpointReport | None = None
    """What a training has left in its output folder; None where the backend is to look there itself, as for supervisors
    of a version before."""


class FinishReply(ApiReply):
    """The end was taken."""

    publish: bool = False
    """Always false: the backend makes the public paths. Supervisors of a version before would move the output there."""
