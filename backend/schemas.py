"""What goes over HTTP: requests and replies, shared by the routes and the client."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from memgen.contract.answers import AnswerRecord
from memgen.contract.status import AttemptStatus, Cause, RunStatus, StopMode


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class _Reply(BaseModel):
    # A client older than its server ignores fields that it does not know.
    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


# --- errors -------------------------------------------------------------------------------------


class ProblemItem(_Reply):
    """One thing that is wrong."""

    code: str
    message: str
    field: str | None = None
    value: str | None = None
    way_out: str = ""


class Problem(_Reply):
    """The body of every error (`application/problem+json`, RFC 9457)."""

    type: str = "about:blank"
    title: str
    """One sentence that says what is wrong."""
    status: int
    """The HTTP status."""
    code: str
    """Stable name that programs may test."""
    field: str | None = None
    """Config field or parameter that carries the value."""
    value: str | None = None
    """The offending value."""
    way_out: str = ""
    """What to do instead."""
    errors: list[ProblemItem] = Field(default_factory=list)
    """All problems, where there are several."""


# --- what can be launched -----------------------------------------------------------------------


class PresetOut(_Reply):
    """A model that can be launched."""

    name: str
    note: str
    parameters: int
    weights_bytes: int
    """One copy of the weights in bfloat16, in bytes."""
    expected_hours: dict[str, tuple[float, float]]


class PreflightReply(_Reply):
    """Whether a config would run, and what it would take."""

    ok: bool
    problems: list[ProblemItem]
    """Why it can't be submitted."""
    warnings: list[str]
    """What would make it wait or fail later, e.g. that no worker is alive."""
    num_questions: int | None
    memory_bytes: int | None
    """Memory on the device of the slots that are alive (on a CPU if there are none)."""
    memory_device: str
    disk_bytes: int | None
    """What the run writes at most."""
    expected_seconds: float | None
    """From the median seconds per question of past runs of the same model, or null."""


class RunCreate(_Request):
    """A run to submit."""

    config: dict[str, Any]
    """A run config: `stage` and the fields of `GET /schema/{stage}`."""
    note: str = Field(default="", max_length=200)
    """A few words to find the run again."""


# --- runs ---------------------------------------------------------------------------------------


class ProgressOut(_Reply):
    """How far a run is."""

    phase: str
    detail: str
    done: float | None = None
    total: float | None = None
    unit: str = ""
    seconds_left: float | None = None
    """Estimate from the rate since the phase began."""


class AttemptOut(_Reply):
    """One start of a run."""

    number: int
    status: AttemptStatus
    cause: Cause | None
    worker: str | None
    """Host that runs it."""
    slot: str | None
    resumes: int | None
    """Number of the attempt whose progress it took over."""
    created_at: datetime
    claimed_at: datetime | None
    ended_at: datetime | None
    log_bytes: int


class RunOut(_Reply):
    """A run as lists show it."""

    id: int
    stage: str
    setting: str
    preset: str
    data: str
    note: str
    status: RunStatus
    cause: Cause | None
    cause_text: str | None
    """The cause in words."""
    waits_for: str | None
    """Why a queued run has not started."""
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    progress: ProgressOut | None
    summary: dict[str, float]
    """Mean metrics: of the answers so far while it runs, of all at its end."""
    num_attempts: int


class RunDetail(RunOut):
    """A run with everything that its page shows."""

    config: dict[str, Any]
    config_hash: str
    failure: ProblemItem | None
    """What the trainer said when it failed."""
    traceback: str | None
    exit_code: int | None
    can_resume: bool
    resume_reason: str
    """What a resume would take over, or why there is nothing to resume."""
    output: str | None
    """Published output, relative to the home folder."""
    environment: dict[str, Any]
    attempts: list[AttemptOut]


class RunList(_Reply):
    """A page of runs, newest first."""

    items: list[RunOut]
    next_cursor: str | None


class StopRequest(_Request):
    """How to stop."""

    mode: StopMode = StopMode.SAVE


class DeletePreview(_Reply):
    """What a deletion takes away."""

    run_id: int
    paths: list[str]
    size_bytes: int
    deleted: bool


class MetricSeries(_Reply):
    """One metric: equally long lists of steps, values and times (seconds since 1970)."""

    name: str
    steps: list[int]
    values: list[float]
    times: list[float]


class MetricsOut(_Reply):
    """The metrics of a run over all its attempts; of a step that ran twice the later value counts."""

    series: list[MetricSeries]


class LogOut(_Reply):
    """A piece of an attempt's log."""

    attempt: int
    offset: int
    """Byte at which `text` starts."""
    next_offset: int
    """Where to go on."""
    size: int
    """Bytes that the backend has."""
    text: str


class AnswersOut(_Reply):
    """A page of the answers of a run's newest attempt that has any."""

    items: list[AnswerRecord]
    next_cursor: str | None
    total: int
    """Answers that match the filter."""
    counts: dict[str, int]
    """`all`, `right`, `wrong`, `truncated`, `no_box`."""


class RunEventOut(_Reply):
    """One line of a run's history."""

    time: datetime
    attempt: int | None
    kind: str
    """`run` or `attempt` for a change of status, else a name such as `warning`."""
    from_status: str | None
    to_status: str | None
    cause: str | None
    actor: str
    detail: str


class RunEventList(_Reply):
    """The history of a run, oldest first."""

    items: list[RunEventOut]
    next_cursor: str | None


# --- the house ----------------------------------------------------------------------------------


class SlotOut(_Reply):
    """One GPU group (or the CPU) of a worker."""

    name: str
    device: Literal["cpu", "cuda"]
    gpus: list[int]
    total_memory: int
    """Bytes on the device."""
    run_id: int | None
    """Run that it works on."""


class WorkerOut(_Reply):
    """A worker that has announced itself."""

    host: str
    alive: bool
    last_seen: datetime
    slots: list[SlotOut]


class WorkerList(_Reply):
    """All workers."""

    items: list[WorkerOut]
    next_cursor: str | None = None


class QueueOut(_Reply):
    """Queued runs in the order in which they will be claimed."""

    paused: bool
    items: list[RunOut]
    next_cursor: str | None = None


class PauseRequest(_Request):
    """Pause or resume the queue."""

    paused: bool


class HealthOut(_Reply):
    """Whether the service and what it needs are well."""

    status: Literal["ok", "degraded"]
    version: str
    database: str
    broker: str
    """`ok`, or why Redis can't be reached."""
    reconciler_age_seconds: float | None
    """Seconds since the reconciler's last round."""
    workers_alive: int
    home_free_bytes: int


# --- workers ------------------------------------------------------------------------------------


class SlotReport(_Request):
    """A slot as its worker sees it."""

    name: str = Field(max_length=50, pattern=r"^[\w,\-]+$")
    device: Literal["cpu", "cuda"]
    gpus: list[int] = Field(default_factory=list)
    total_memory: int = Field(ge=0)


class Announce(_Request):
    """A worker says that it is alive."""

    host: str = Field(min_length=1, max_length=200)
    boot_id: str = Field(max_length=100)
    pid: int
    slots: list[SlotReport]


class ClaimRequest(_Request):
    """A supervisor asks for work for its slot."""

    host: str = Field(min_length=1, max_length=200)
    boot_id: str = Field(max_length=100)
    pid: int
    slot: SlotReport
    free_memory: int = Field(ge=0)
    """Bytes free on the device now."""


class ClaimedAttempt(_Reply):
    """Work, and the right to report on it."""

    attempt_id: int
    run_id: int
    number: int
    token: str
    """Goes as bearer token with every report; a newer attempt makes it stale."""
    config: dict[str, Any]
    resumes: int | None
    """Number of the attempt to resume from."""
    lease_seconds: float
    beat_seconds: float
    stop_grace_seconds: float


class ClaimReply(_Reply):
    """An attempt, or nothing to do."""

    attempt: ClaimedAttempt | None


class HeartbeatReply(_Reply):
    """What the attempt's supervisor must know."""

    stop: StopMode | None
    lease_seconds: float


class StreamReply(_Reply):
    """Where the next bytes of a stream belong."""

    offset: int


class FinishRequest(_Request):
    """The end of an attempt."""

    outcome: Literal["succeeded", "failed", "stopped"]
    cause: Cause
    exit_code: int | None
    """Of the trainer; negative is minus the signal."""
    failure: ProblemItem | None = None
    traceback: str | None = Field(default=None, max_length=20_000)
    result: dict[str, Any] = Field(default_factory=dict)
    environment: dict[str, Any] = Field(default_factory=dict)


class FinishReply(_Reply):
    """Whether the outputs of this attempt may be published."""

    publish: bool
