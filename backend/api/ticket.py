"""A ticket: the file with which a worker that a batch system has started claims the one attempt that it is there for.

Written by the backend, read by the worker. It is its owner's alone, and no secret stands in a script, an environment or
a command line.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from memgen.contract.errors import BadInput, first_error
from memgen.contract.plain_file import open_plain
from memgen.contract.rundir import write_whole

MOST_BYTES = 64 * 2**10


class Ticket(BaseModel):
    """What a worker needs to claim one attempt."""

    # a worker older than its backend ignores fields that it does not know
    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    job: int
    """The job as the backend numbers it."""
    token: str = Field(repr=False, min_length=1)
    """Good for one claim, until it is too old or a newer ticket stands in its place."""
    url: str
    """Where the backend is reached from the job's machine."""
    instance: str
    """Names the backend's home."""
    home: Path
    """MEMGEN_HOME, which the machine sees under the same path."""
    device: Literal["cpu", "cuda"]
    """What the job computes on."""


def write_ticket(path: Path, ticket: Ticket) -> None:
    """Write a ticket whole, for its owner alone."""
    write_whole(path, ticket.model_dump_json() + "\n")


def read_ticket(path: Path) -> Ticket:
    """The ticket in a file.

    Raises:
        BadInput: `bad_ticket`.
    """
    try:
        with open_plain(path) as file:
            state = os.fstat(file.fileno())
            if state.st_uid != os.geteuid() or state.st_mode & 0o077:
                raise _bad(path, "others than this user may read or have written it")
            return Ticket.model_validate_json(file.read(MOST_BYTES))
    except OSError as error:
        raise _bad(path, f"it can't be read: {error.strerror}") from error
    except ValidationError as error:
        raise _bad(path, f"it holds no ticket: {first_error(error)}") from None


def _bad(path: Path, reason: str) -> BadInput:
    return BadInput(
        "bad_ticket",
        f"the ticket can't be used: {reason}",
        field="--once",
        value=path,
        way_out="The backend writes tickets into the folder of a site, for the user that it runs as; jobs run as the "
        "same user.",
    )
