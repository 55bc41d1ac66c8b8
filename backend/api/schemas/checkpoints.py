"""Checkpoints and their lineage."""

from datetime import datetime

from pydantic import Field, field_validator

from backend.api.schemas.base import ApiReply, ApiRequest
from backend.api.schemas.labels import LabelledRun
from memgen.contract.status import AttemptStatus, Cause, RunStatus


class CheckpointOut(ApiReply):
    """What a training leaves, or will leave, whose number it has; or what came from outside."""

    id: int
    from_outside: bool = False
    stage: str
    """Of its training; empty where it came from outside."""
    preset: str
    data: str
    note: str
    run_status: RunStatus | None
    """Of its training; null where it came from outside."""
    kind: str | None = None
    """What was trained last, e.g. `weaver`; `import` for one of the authors' layout."""
    made_by: str = ""
    """Its stage, or where it came from, in words."""
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
    parent_outside: bool = False
    """Whether that one came from outside."""
    revision: str | None = None
    """Commit of its base, where one is known."""
    size_bytes: int | None
    folder: str | None
    """Its public path, relative to the home folder."""
    files: dict[str, str]
    """sha256 of each file."""


class CheckpointList(ApiReply):
    """Checkpoints, newest first."""

    items: list[CheckpointOut]
    next_cursor: str | None = None


class CheckpointFile(ApiRequest):
    """A file of a checkpoint that was uploaded."""

    upload: str = Field(pattern=r"^[0-9a-f]{16}$")
    """Id of an upload."""
    path: str = Field(min_length=1, max_length=500)
    """Where it lies in the checkpoint's folder, e.g. `weaver/weaver/adapter_config.json`."""


class CheckpointCreate(ApiRequest):
    """A checkpoint from outside: ours, or one of the authors' layout."""

    files: list[CheckpointFile] = Field(min_length=1, max_length=50)
    name: str = Field(min_length=1, max_length=200)
    """Of the folder that it came from."""
    preset: str | None = Field(default=None, max_length=200)
    """Model that it was trained on; null where its manifest names weights of the hub."""
    data: str = Field(default="", max_length=60)
    """What it was trained on, for the lists; empty if nobody knows."""
    note: str = Field(default="", max_length=2000)

    @field_validator("name", "data")
    @classmethod
    def _can_be_shown(cls, text: str) -> str:
        if not text.isprintable():
            raise ValueError("it holds characters that can't be printed")
        return text


class CheckpointDeletion(ApiReply):
    """What deleting a checkpoint from outside takes away."""

    id: int
    bytes: int
    runs: int
    """That have started from it; they stay."""


class ShippedCheckpoints(ApiReply):
    """Numbers of the checkpoints that come with the project."""

    trigger: int
    """Weaver and trigger."""
    lora: int
    """A plain LoRA, the control."""


class OutsideNode(ApiReply):
    """A checkpoint from outside that runs started from."""

    id: int
    preset: str
    data: str
    note: str
    name: str
    content_hash: str


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
    outside: list[OutsideNode] = Field(default_factory=list)
    """Checkpoints from outside that some of them started from."""
    total: int = 0
    """How many runs there are, told or not: of this family or pipeline, else in all."""
    cursor: int = 0
    """Newest line of all runs' histories; with `since` only what has moved after it is told."""
