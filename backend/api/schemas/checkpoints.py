"""Checkpoints and their lineage."""

from datetime import datetime

from backend.api.schemas.base import ApiReply
from backend.api.schemas.labels import LabelledRun
from memgen.contract.status import AttemptStatus, Cause, RunStatus


class CheckpointOut(ApiReply):
    """What a training run leaves, or will leave: its id is the run's."""

    id: int
    stage: str
    preset: str
    data: str
    note: str
    run_status: RunStatus
    usable: bool
    """Whether the run that was asked about can start from it."""
    reason: str
    """Why it can't."""
    created_at: datetime | None
    content_hash: str | None
    """Names these weights: first 16 hex digits of the sha256 over its files' hashes."""
    base_model: str | None
    """Name of the exact base weights."""
    trained: list[str]
    """Adapters that were trained."""
    ablation: str = ""
    """What sets its training apart from the usual one, e.g. `static latents`; empty where nothing does."""
    latents: dict[str, int]
    """Lengths and limits."""
    step: int | None
    parent_id: int | None
    """Checkpoint that it was made from."""
    size_bytes: int | None
    folder: str | None
    """Its public path, relative to the home folder."""
    files: dict[str, str]
    """sha256 of each file."""


class CheckpointList(ApiReply):
    """Checkpoints, newest first."""

    items: list[CheckpointOut]
    next_cursor: str | None = None


class AttemptBrief(ApiReply):
    """One start of a run, in a word."""

    number: int
    status: AttemptStatus
    cause: Cause | None


class LineageNode(LabelledRun):
    """A run and what it started from."""

    run_id: int
    parent_id: int | None
    """Run whose checkpoint it starts from; None starts from the base model."""
    parent_deleted: bool
    preset: str
    data: str
    note: str
    step: str | None
    """Its step, if a pipeline submitted it."""
    pipeline_id: int | None
    status: RunStatus
    attempts: list[AttemptBrief]
    accuracy: float | None
    scorer_mark: str = ""
    """What stands beside an accuracy by an older version of the scorer, e.g. ` (scorer 1)`."""
    num_questions: int | None
    content_hash: str | None


class LineageOut(ApiReply):
    """Runs and their descent; parents before children."""

    nodes: list[LineageNode]
