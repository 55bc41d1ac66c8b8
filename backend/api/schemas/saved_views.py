"""Views of lists that are kept under a name."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StrictBool

from backend.api.schemas.base import ApiReply, ApiRequest

ListPage = Literal["runs", "pipelines", "checkpoints"]


class SavedViewCreate(ApiRequest):
    """A view to keep."""

    page: ListPage
    """The list."""
    name: Annotated[str, Field(max_length=200)]
    query: Annotated[str, Field(max_length=2000)] = ""
    """What stands after the question mark of the list's address: filters and order."""
    replace: StrictBool = False
    """Whether another view of this name goes; without it it is kept, and this one is refused."""


class SavedViewRename(ApiRequest):
    """Another name for a view."""

    name: Annotated[str, Field(max_length=200)]


class SavedView(ApiReply):
    """Filters and order of a list, kept under a name."""

    id: int
    page: ListPage
    name: str
    query: str
    """What stands after the question mark of the list's address."""
    saved_at: datetime


class SavedViewList(ApiReply):
    """Views by list and name."""

    items: list[SavedView]
    next_cursor: str | None = None


class SavedViewDeletion(ApiReply):
    """A view that is no longer kept."""

    id: int
