"""Runs with their progress, metrics, log, answers and history."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from backend.api.schemas.base import NOTE_LENGTH, ApiReply, ApiRequest
from backend.api.schemas.labels import LabelledRun
from memgen.contract.answers import AnswerRecord
from memgen.contract.problem import Problem
from memgen.contract.status import AttemptStatus, Cause, RunStatus, StopMode


class ProgressOut(ApiReply):
    """How far a run is."""

    phase: str
    detail: str
    done: float | None = None
    total: float | None = None
    unit: str = ""
    seconds_left: float | None = None
    """Estimate from the rate since the phase began."""


class AttemptOut(ApiReply):
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
    job: str | None = None
    """Of a site's run: the number that its batch system gave to the job of this attempt."""


class ScoringOut(ApiReply):
    """The scores of an evaluation by one version of the scorer."""

    version: int
    summary: dict[str, float]


class RunOut(LabelledRun):
    """A run as lists show it."""

    id: int
    preset: str
    data: str
    note: str
    status: RunStatus
    cause: Cause | None
    cause_text: str | None
    """The cause in words."""
    waits_for: str | None
    """Why a queued run has not started."""
    priority: int = 0
    """Of the queued runs the one with the highest is handed out first, then the oldest."""
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    progress: ProgressOut | None
    summary: dict[str, float]
    """Mean metrics: of the answers so far while it runs, of all at its end; by the newest version of the scorer."""
    scorer_version: int | None = None
    """Version of the scorer that an ended evaluation's scores are by."""
    can_rescore: bool = False
    """Whether a newer version of the scorer can be applied to its answers."""
    num_attempts: int
    parent_id: int | None = None
    """Run whose checkpoint it starts from."""
    pipeline_id: int | None = None
    """Pipeline that submitted it."""
    step: str | None = None
    """Its step in that pipeline."""
    tags: list[str] = Field(default_factory=list)
    """Words that it is found by."""
    group: str | None = None
    """The one of them that it is listed and drawn with."""
    archived: bool = False
    """Whether lists leave it out unless they are asked for it."""
    site: str | None = None
    """Site that it goes to; null for the workers of this service."""

    @property
    def scorer_mark(self) -> str:
        """What stands beside an accuracy by an older version of the scorer: ` (scorer 1)`; else empty."""
        return f" (scorer {self.scorer_version})" if self.can_rescore else ""


class AlarmOut(ApiReply):
    """A sign that a run learns nothing, or is about to break."""

    code: str
    """Of the rule."""
    title: str
    fact: str
    """What was seen."""
    cause: str
    """What is behind it, as a rule."""
    remedy: str
    """What to do."""
    attempt: int
    step: int
    """At which it was seen; 0 where no step was done."""
    time: datetime


class RunDetail(RunOut):
    """A run with everything that its page shows."""

    config: dict[str, Any]
    config_hash: str
    failure: Problem | None
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
    scorings: list[ScoringOut] = Field(default_factory=list)
    """An evaluation's scores by every version of the scorer that was used, the newest last."""
    parent_outside: bool = False
    """Whether the checkpoint that it starts from came from outside."""
    fixes_id: int | None = None
    """Failed run that it mends."""
    fixed_by: int | None = None
    """Newest run that mends it."""
    base_id: int | None = None
    """The base evaluation of its pipeline, where that has succeeded and the run is another evaluation."""
    warnings: list[str]
    """What its trainer warned of, each once; nothing from before a retry."""
    alarms: list[AlarmOut] = Field(default_factory=list)
    """Each rule that has fired, once, the first first; nothing from before a retry."""


class RunList(ApiReply):
    """A page of runs, newest first or as asked for."""

    items: list[RunOut]
    next_cursor: str | None
    total: int | None = None
    """Runs that match the filter, on all pages; null from a backend of a version before."""


class RunNumbers(ApiReply):
    """Runs that match a filter, by their numbers alone."""

    runs: list[int]
    """The newest first."""
    total: int
    """How many match; more than are named where there are more than a reply names."""


class StopRequest(ApiRequest):
    """How to stop."""

    mode: StopMode = StopMode.SAVE


class PriorityRequest(ApiRequest):
    """A run's place in the queue."""

    priority: int = Field(ge=-1_000_000, le=1_000_000, strict=True)
    """Runs with a higher one are handed out first; 0 is usual."""


class NoteRequest(ApiRequest):
    """A few words to find a run again."""

    note: str = Field(max_length=NOTE_LENGTH)


class DeletePreview(ApiReply):
    """What a deletion takes away."""

    run_id: int
    paths: list[str]
    size_bytes: int
    deleted: bool
    left: list[str] = Field(default_factory=list)
    """What could not be removed, each path with the reason."""


class MetricSeries(ApiReply):
    """One metric: equally long lists of steps, values and times (seconds since 1970)."""

    name: str
    steps: list[int]
    values: list[float]
    times: list[float]


class MetricsOut(ApiReply):
    """The metrics of a run over all its attempts; of a step that ran twice the later value counts."""

    series: list[MetricSeries]


class LogOut(ApiReply):
    """A piece of an attempt's log."""

    attempt: int
    offset: int
    """Byte at which `text` starts."""
    next_offset: int
    """Where to go on."""
    size: int
    """Bytes that the backend has."""
    text: str


LogLevel = Literal["error", "warning"]


class LogLine(ApiReply):
    """One line of a log."""

    offset: int
    """Byte at which it starts."""
    text: str


class LogLines(ApiReply):
    """Lines of an attempt's log that a search has found."""

    attempt: int
    lines: list[LogLine]
    next_offset: int
    """Where to go on; the whole log was searched once it is `size`."""
    size: int
    """Bytes that the backend has."""


class AnswerOut(AnswerRecord):
    """An answer with what was compared in it."""

    expected: str | None = None
    """The answer that the solution gives."""
    extracted: str | None = None
    """The answer that was found in the completion; null where it gives none."""


class AnswersOut(ApiReply):
    """A page of the answers of a run's newest attempt that has any."""

    items: list[AnswerOut]
    next_cursor: str | None
    total: int
    """Answers that match the filter."""
    counts: dict[str, int]
    """`all`, `right`, `wrong`, `truncated`, `no_box`."""
    scorer_version: int | None = None
    """Version of the scorer that gave these scores; null until the trainer has reported it."""


class RunEventOut(ApiReply):
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


class RunEventList(ApiReply):
    """The history of a run, oldest first."""

    items: list[RunEventOut]
    next_cursor: str | None
