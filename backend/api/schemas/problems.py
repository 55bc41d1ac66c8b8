"""Errors as they go over HTTP (RFC 9457)."""

from pydantic import Field

from backend.api.schemas.base import ApiReply


class ProblemItem(ApiReply):
    """One thing that is wrong."""

    code: str
    message: str
    field: str | None = None
    value: str | None = None
    way_out: str = ""


class Problem(ApiReply):
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
