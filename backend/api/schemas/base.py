"""What all requests and replies share."""

from pydantic import BaseModel, ConfigDict

NOTE_LENGTH = 200
"""Characters of a note."""


# Validators are built when they are first needed: commands and supervisors need few of all these classes.


class ApiRequest(BaseModel):
    """What a client sends: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)


class WorkerRequest(BaseModel):
    """What a worker says of its machine: keys that are not known come from a newer one, which is refused by name."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True, defer_build=True)


class ApiReply(BaseModel):
    """What a client gets."""

    # A client older than its server ignores fields that it does not know.
    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True, defer_build=True)
