"""Tables. Times are seconds since 1970 (UTC); the database is the truth about every run.

An `id` that the database counts is there once its row was flushed; whoever makes a row flushes it before handing it on.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, Column, Dialect, Index, Text, TypeDecorator, UniqueConstraint, event
from sqlmodel import Field, SQLModel

from memgen.contract.problem import Problem
from memgen.contract.status import AttemptStatus, RunStatus


class ProblemColumn(TypeDecorator[Problem]):
    """A problem as a JSON object."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Problem | None, dialect: Dialect) -> dict[str, Any] | None:  # noqa: ARG002
        """As it is stored."""
        return None if value is None else value.model_dump()

    def process_result_value(self, value: dict[str, Any] | None, dialect: Dialect) -> Problem | None:  # noqa: ARG002
        """As it is read; earlier versions left out what was empty."""
        return Problem.model_validate(value) if value else None


class Run(SQLModel, table=True):
    """One stage with one immutable config."""

    __table_args__ = (
        # all that lists filter, count and sort by: they read it through, which is far less than the rows themselves
        Index(
            "ix_run_listed", "archived_at", "status", "stage", "ended_at", "started_at", "setting", "preset", "data",
            "priority", "accuracy", "num_questions", "note",
        ),
        # the newest of one kind; a checkpoint's runs with what they have measured
        Index("ix_run_alike", "status", "stage", "preset", "data", "ended_at", "setting", "archived_at"),
        Index("ix_run_children", "parent_id", "status", "stage", "accuracy"),
        {"sqlite_autoincrement": True},  # an id is never given twice: folders carry it
    )  # fmt: skip

    id: int = Field(default=None, primary_key=True)
    stage: str
    setting: str
    preset: str
    data: str
    note: str = ""
    config: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    config_hash: str
    status: str = RunStatus.QUEUED
    cause: str | None = None
    priority: int = 0
    retries_left: int = 0
    created_at: float
    queued_at: float
    started_at: float | None = None
    ended_at: float | None = None
    # of its newest scores, for lists to be sorted by; `take_figures` sets them, also whenever `summary` is set
    accuracy: float | None = None
    num_questions: float | None = None
    summary: dict[str, float] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    failure: Problem | None = Field(default=None, sa_column=Column(ProblemColumn))
    traceback: str | None = Field(default=None, sa_column=Column(Text))
    exit_code: int | None = None
    environment: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    output: str | None = None
    # the run whose checkpoint this one starts from; no foreign key: descent is shown beyond a deletion
    parent_id: int | None = None
    pipeline_id: int | None = Field(default=None, index=True)
    step: str | None = None
    # the failed run that this one mends; no foreign key, as above
    fixes_id: int | None = Field(default=None, index=True)
    # since when lists leave it out; null for those that they show
    archived_at: float | None = Field(default=None, index=True)
    # where it is to run, a name in the operator's file; null for the workers of this service
    site: str | None = None


def take_figures(run: Run, summary: Mapping[str, Any]) -> None:
    """Let lists sort a run by the numbers of its newest scores."""
    run.accuracy, run.num_questions = (
        value if isinstance(value := summary.get(name), int | float) else None for name in ("accuracy", "num_questions")
    )


@event.listens_for(Run.summary, "set")
def _summary_is_set(run: Run, summary: Mapping[str, Any], *_: object) -> None:
    take_figures(run, summary)


class RunTag(SQLModel, table=True):
    """A word that a run is found by; one of them may be the group that the run is drawn and listed with."""

    __tablename__ = "run_tag"
    __table_args__ = (Index("ix_run_tag_used", "key", "is_group", "name"), {"sqlite_with_rowid": False})

    run_id: int = Field(foreign_key="run.id", primary_key=True)
    key: str = Field(primary_key=True)  # the name without upper case: what tells tags apart
    name: str
    is_group: bool = False


class Checkpoint(SQLModel, table=True):
    """Weights that runs may start from: what a training has left, or what came from outside.

    That of a training has its run's number; numbers of the others are taken from the same sequence.
    """

    id: int = Field(primary_key=True)
    run_id: int | None = Field(default=None, foreign_key="run.id", unique=True)
    folder: str
    content_hash: str
    size_bytes: int
    manifest: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    created_at: float


class AddedCheckpoint(SQLModel, table=True):
    """What was said of a checkpoint that came from outside."""

    __tablename__ = "added_checkpoint"

    id: int = Field(foreign_key="checkpoint.id", primary_key=True)
    preset: str
    # the commit of its base, where its manifest names one
    revision: str | None = None
    # what it was trained on; empty if nobody said so
    data: str = ""
    note: str = ""
    # name of its folder where it came from
    name: str


class Pipeline(SQLModel, table=True):
    """A graph of runs that were submitted together."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int = Field(default=None, primary_key=True)
    note: str = ""
    preset: str
    data: str
    spec: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    created_at: float
    archived_at: float | None = None


class PipelineTag(SQLModel, table=True):
    """A word that a pipeline is found by."""

    __tablename__ = "pipeline_tag"
    __table_args__ = ({"sqlite_with_rowid": False},)

    pipeline_id: int = Field(foreign_key="pipeline.id", primary_key=True)
    key: str = Field(primary_key=True, index=True)
    name: str


class PipelineStep(SQLModel, table=True):
    """The run that stands for a step of a pipeline."""

    __tablename__ = "pipeline_step"

    pipeline_id: int = Field(foreign_key="pipeline.id", primary_key=True)
    step: str = Field(primary_key=True)
    # no foreign key: a deleted run leaves its place empty
    run_id: int = Field(index=True)
    reused: bool


class Attempt(SQLModel, table=True):
    """One start of a run."""

    __table_args__ = (UniqueConstraint("run_id", "number"), Index("ix_attempt_status", "status"))

    id: int = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id", index=True)
    number: int
    status: str = AttemptStatus.QUEUED
    cause: str | None = None
    resumes: int | None = None
    not_before: float = 0.0
    token_hash: str | None = None
    host: str | None = None
    slot: str | None = None
    boot_id: str | None = None
    pid: int | None = None
    created_at: float
    claimed_at: float | None = None
    ended_at: float | None = None
    lease_until: float | None = None
    stop_mode: str | None = None
    log_offset: int = 0
    events_offset: int = 0
    answers_offset: int = 0
    rollouts_offset: int = Field(default=0, sa_column_kwargs={"server_default": "0"})  # came with a later migration
    # its trainer looks for alarms itself; those of versions before did not, and are looked at once they have ended
    watched: bool = Field(default=True, sa_column_kwargs={"server_default": "0"})
    num_answers: int = 0
    num_right: int = 0
    checkpoint_step: int | None = None
    phase: str = ""
    phase_detail: str = ""
    progress_done: float | None = None
    progress_total: float | None = None
    progress_unit: str = ""
    progress_first_at: float | None = None
    progress_first_done: float | None = None
    progress_at: float | None = None
    # seconds by which the clock of its machine is ahead of ours; the times of its events are stored by ours
    clock_ahead: float = Field(default=0.0, sa_column_kwargs={"server_default": "0"})


class Job(SQLModel, table=True):
    """What the batch system of a site was asked for: a worker that does one attempt of a run."""

    __table_args__ = (Index("ix_job_open", "site", "closed_at"), {"sqlite_autoincrement": True})

    id: int = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id", index=True)
    attempt: int
    site: str
    # what it asked for, a name in the operator's file
    size: str = ""
    # as the batch system calls it; null until it has taken it
    number: str | None = None
    phase: str
    # why it is pending, was refused or has ended, as the batch system tells it
    words: str = ""
    # of the ticket with which its worker claims the attempt; null once that was used
    ticket_hash: str | None = None
    ticket_until: float | None = None
    tries: int = 0
    tried_at: float
    not_before: float = 0.0
    # since when the batch system does not list it
    missing_since: float | None = None
    # when its attempt was found to have ended
    left_at: float | None = None
    # when nothing was left to do for it
    closed_at: float | None = None


class RunEvent(SQLModel, table=True):
    """One line of a run's history."""

    __tablename__ = "run_event"

    id: int = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id", index=True)
    attempt: int | None = None
    time: float
    kind: str
    from_status: str | None = None
    to_status: str | None = None
    cause: str | None = None
    actor: str
    detail: str = ""


class Metric(SQLModel, table=True):
    """One number of one step of one attempt."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: int = Field(foreign_key="run.id", primary_key=True)
    name: str = Field(primary_key=True)
    step: int = Field(primary_key=True)
    attempt: int = Field(primary_key=True)
    value: float
    time: float


class ReportedMetric(SQLModel, table=True):
    """That a run has reported a metric: to find such runs among all their points would take a look for each run."""

    __tablename__ = "reported_metric"
    __table_args__ = ({"sqlite_with_rowid": False},)

    name: str = Field(primary_key=True)
    run_id: int = Field(foreign_key="run.id", primary_key=True, index=True)


class Alarm(SQLModel, table=True):
    """A rule that has fired in an attempt."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: int = Field(foreign_key="run.id", primary_key=True)
    attempt: int = Field(primary_key=True)
    code: str = Field(primary_key=True)
    step: int
    fact: str
    time: float


class Answer(SQLModel, table=True):
    """The answer to one question by one attempt."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: int = Field(foreign_key="run.id", primary_key=True)
    attempt: int = Field(primary_key=True)
    index: int = Field(primary_key=True)
    question_id: str
    right: bool
    truncated: bool
    boxed: bool
    record: str = Field(sa_column=Column(Text, nullable=False))


class Rollout(SQLModel, table=True):
    """The completions of one question in one step of a training; of several attempts that of the last one."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: int = Field(foreign_key="run.id", primary_key=True)
    step: int = Field(primary_key=True)
    place: int = Field(primary_key=True)
    attempt: int
    reward: float  # mean of its completions
    without_variance: bool
    completions: int
    truncated: int
    boxed_wrong: int
    record: str = Field(sa_column=Column(Text, nullable=False))


class Scoring(SQLModel, table=True):
    """A later version of the scorer, applied to all answers of a run; the run's own scores stay as they are."""

    run_id: int = Field(foreign_key="run.id", primary_key=True)
    version: int = Field(primary_key=True)
    attempt: int
    # the run's summary with the means of the new scores in it
    summary: dict[str, float] = Field(sa_column=Column(JSON, nullable=False))
    created_at: float


class AnswerScore(SQLModel, table=True):
    """What a later version of the scorer says of one answer."""

    __tablename__ = "answer_score"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: int = Field(foreign_key="run.id", primary_key=True)
    version: int = Field(primary_key=True)
    attempt: int = Field(primary_key=True)
    index: int = Field(primary_key=True)
    right: bool
    boxed: bool
    metrics: dict[str, float] = Field(sa_column=Column(JSON, nullable=False))


class Worker(SQLModel, table=True):
    """A worker that has announced itself."""

    host: str = Field(primary_key=True)
    boot_id: str
    pid: int
    slots: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    last_seen: float
    # null where it did not say, as workers of versions before
    versions: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    limits: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    # seconds by which its clock is ahead of ours; negative where it is behind
    clock_ahead: float = Field(default=0.0, sa_column_kwargs={"server_default": "0"})


class Drain(SQLModel, table=True):
    """A machine, one of its slots, or a site that is to take nothing new until somebody says otherwise."""

    kind: str = Field(primary_key=True)  # `machine` or `site`
    name: str = Field(primary_key=True)
    slot: str = Field(default="", primary_key=True)  # empty for all of it
    since: float


class SavedLaunch(SQLModel, table=True):
    """Settings of a launch, kept under a name."""

    __tablename__ = "saved_launch"

    name: str = Field(primary_key=True)
    note: str = ""
    # of a single run; null for a pipeline
    config: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    # of a pipeline, and the whole config of each of its steps: what a default was then stays known
    spec: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    step_configs: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    saved_at: float


class SavedView(SQLModel, table=True):
    """Filters and order of a list, kept under a name."""

    __tablename__ = "saved_view"
    __table_args__ = (UniqueConstraint("page", "key"),)

    id: int = Field(default=None, primary_key=True)
    page: str
    key: str  # the name without upper case
    name: str
    query: str  # of the page's address
    saved_at: float


class Idempotency(SQLModel, table=True):
    """The answer that a POST with this key got."""

    key: str = Field(primary_key=True)
    route: str = Field(primary_key=True)
    body_hash: str
    reply: str = Field(sa_column=Column(Text, nullable=False))
    created_at: float


class Switch(SQLModel, table=True):
    """A setting that users change while the service runs, such as the pause of the queue."""

    name: str = Field(primary_key=True)
    value: str


class Channel(SQLModel, table=True):
    """A way for messages to leave the house. The address of a webhook is a file: the database is in backups."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    kind: str
    events: list[str] = Field(sa_column=Column(JSON, nullable=False))
    enabled: bool
    # what is shown of the address, and the name of the file that holds it
    host: str = ""
    ending: str = ""
    address_key: str = ""
    recipients: list[str] = Field(sa_column=Column(JSON, nullable=False))
    created_at: float


class Notice(SQLModel, table=True):
    """Something that was told, in words; stored with what it tells of."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int = Field(default=None, primary_key=True)
    event: str
    # no foreign keys: what was told stays told
    run_id: int | None = None
    pipeline_id: int | None = None
    title: str
    text: str = Field(sa_column=Column(Text, nullable=False))
    # the change against the base is still to be added: it is not computed in the transaction that ends a run
    to_measure: bool = False
    created_at: float


class Delivery(SQLModel, table=True):
    """A notice on its way to one channel."""

    __table_args__ = (Index("ix_delivery_status", "status", "not_before"), {"sqlite_autoincrement": True})

    id: int = Field(default=None, primary_key=True)
    notice_id: int = Field(foreign_key="notice.id", index=True)
    channel_id: int = Field(foreign_key="channel.id", index=True)
    message_id: str = Field(unique=True)
    status: str
    tries: int = 0
    not_before: float
    created_at: float
    tried_at: float | None = None
    error: str = ""


class TrySession(SQLModel, table=True):
    """Columns that answer single questions on a slot, until nobody needs them or a run wants the slot."""

    __tablename__ = "try_session"
    __table_args__ = ({"sqlite_autoincrement": True},)  # an id is never given twice: folders carry it

    id: int = Field(default=None, primary_key=True)
    note: str = ""
    preset: str
    # configs of evaluations, and the checkpoints that they name: folders below the home by id
    columns: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    checkpoints: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    status: str = Field(index=True)
    # why it is to end or has ended, and in words what there is to say beside that
    reason: str | None = None
    detail: str = ""
    gives_way_to: int | None = None
    stop_mode: str | None = None
    failure: Problem | None = Field(default=None, sa_column=Column(ProblemColumn))
    traceback: str | None = Field(default=None, sa_column=Column(Text))
    created_at: float
    claimed_at: float | None = None
    loaded_at: float | None = None
    ended_at: float | None = None
    # when somebody last looked, and when a question was last asked or an answer ended
    seen_at: float
    used_at: float
    token_hash: str | None = None
    host: str | None = None
    slot: str | None = None
    device: str | None = None
    slot_memory: list[int] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    lease_until: float | None = None
    events_offset: int = 0
    phase: str = ""
    phase_detail: str = ""
    progress_done: float | None = None
    progress_total: float | None = None
    progress_unit: str = ""
    # kept as a record; others are forgotten some time after their end
    kept: bool = False
    # counts what has changed
    version: int = 0


class TryAsked(SQLModel, table=True):
    """A question of a session."""

    __tablename__ = "try_asked"
    __table_args__ = ({"sqlite_with_rowid": False},)

    session_id: int = Field(foreign_key="try_session.id", primary_key=True)
    number: int = Field(primary_key=True)
    question: str = Field(sa_column=Column(Text, nullable=False))
    solution: str | None = Field(default=None, sa_column=Column(Text))
    # the only column that answers it, and what that does otherwise; null for all columns as they are
    place: int | None = None
    change: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    asked_at: float


class TryAnswer(SQLModel, table=True):
    """What a column of a session answers to a question."""

    __tablename__ = "try_answer"
    __table_args__ = ({"sqlite_with_rowid": False},)

    session_id: int = Field(foreign_key="try_session.id", primary_key=True)
    number: int = Field(primary_key=True)
    place: int = Field(primary_key=True)
    status: str
    text: str = Field(default="", sa_column=Column(Text, nullable=False))
    tokens: int = 0
    points: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    ltpo: list[dict[str, Any]] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    # the answer as an evaluation's answer file would have it
    record: str | None = Field(default=None, sa_column=Column(Text))
    extracted: str | None = Field(default=None, sa_column=Column(Text))
    first_token_seconds: float | None = None
    failure: Problem | None = Field(default=None, sa_column=Column(ProblemColumn))
