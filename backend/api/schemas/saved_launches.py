"""Settings of launches that are kept under a name."""

from datetime import datetime
from typing import Any

from pydantic import Field

from backend.api.schemas.base import NOTE_LENGTH, ApiReply, ApiRequest
from memgen.contract.pipeline import PipelineSpec


class SavedLaunchPut(ApiRequest):
    """Settings to keep: those of a run or those of a pipeline."""

    config: dict[str, Any] | None = None
    """Config of a run; what it leaves out is kept with today's defaults."""
    pipeline: PipelineSpec | None = None
    note: str = Field(default="", max_length=NOTE_LENGTH)
    """A few words on what the settings are for."""
    replace: bool = False
    """Whether other settings of this name go; without it they are kept, and these are refused."""


class SavedLaunch(ApiReply):
    """Settings that were kept, with the meaning that they had then."""

    name: str
    note: str
    config: dict[str, Any] | None
    pipeline: PipelineSpec | None
    saved_at: datetime


class SavedLaunchList(ApiReply):
    """All settings that are kept, by their names."""

    items: list[SavedLaunch]
    next_cursor: str | None = None


class SavedLaunchDeletion(ApiReply):
    """Settings that are no longer kept."""

    name: str
