"""What a search through everything finds."""

from typing import Literal

from pydantic import Field

from backend.api.schemas.base import ApiReply
from memgen.contract.status import RunStatus

HitKind = Literal["run", "pipeline", "checkpoint", "tag", "model", "data set"]


class SearchHit(ApiReply):
    """One thing that was found."""

    kind: HitKind
    number: int | None = None
    """Of a run, a pipeline or a checkpoint."""
    name: str = ""
    """Of a tag, a model or a data set; stage and setting of a run."""
    preset: str = ""
    data: str = ""
    note: str = ""
    tags: list[str] = Field(default_factory=list)
    status: RunStatus | None = None
    """Of a run."""
    from_outside: bool = False
    """Whether a checkpoint came from outside, so that no run made it."""
    archived: bool = False


class SearchOut(ApiReply):
    """What was found: numbers first, then names, then runs, pipelines and checkpoints, each the newest first."""

    items: list[SearchHit]
    next_cursor: str | None = None
    more: bool = False
    """Whether more runs match than these."""
