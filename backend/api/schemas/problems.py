"""Errors as they go over HTTP (RFC 9457)."""

from typing import Annotated

from pydantic import ConfigDict, Field

from memgen.contract.problem import Problem


class ProblemReply(Problem):
    """The body of every error (RFC 9457): the problem, with its message under the name `title`."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    type: str = "about:blank"
    message: Annotated[str, Field(alias="title")]
    """One sentence that says what is wrong."""
    status: int
    """The HTTP status."""
    errors: list[Problem] = Field(default_factory=list)
    """All problems, where there are several."""
