"""A process that reads files which anybody may have sent: what goes wrong in it harms nobody else.

`python -m memgen.data.registered.reader` takes an `Order` on its standard input and prints a `Result`. The kernel
bounds its memory and its time.
"""

import resource
import sys
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from memgen.contract.data_sets.record import Split
from memgen.contract.data_sets.registered import Registration
from memgen.contract.data_sets.report import Refused, Report
from memgen.contract.errors import BadInput
from memgen.contract.problem import Problem
from memgen.contract.process import begin_process
from memgen.data.registered.examine import Given, peek
from memgen.data.registered.keep import preview, register

MOST_MEMORY = 6 * 2**30
"""Bytes of address space; the libraries alone take a few hundred million."""
MOST_SECONDS = 300
"""Of the processor."""


class OrderedFile(BaseModel):
    """A file to read."""

    model_config = ConfigDict(frozen=True)

    path: Path
    name: str
    split: Split | None = None


class Order(BaseModel):
    """What to do."""

    model_config = ConfigDict(frozen=True)

    files: list[OrderedFile]
    registration: Registration | None = None
    """None: columns and first rows alone."""
    home: Path | None = None
    """Where to keep the rows; None keeps nothing."""


class Result(BaseModel):
    """What came of it."""

    report: Report | None = None
    problems: list[Problem] = []


def do(order: Order) -> Result:
    """Do it, and say what is wrong with the input."""
    files = [Given(one.path, one.name, one.split) for one in order.files]
    try:
        if order.registration is None:
            return Result(report=peek(files))
        if order.home is None:
            return Result(report=preview(files, order.registration))
        return Result(report=register(files, order.registration, order.home, time.time))
    except Refused as error:
        return Result(report=error.report, problems=[one.problem for one in error.problems])
    except BadInput as error:
        return Result(problems=[error.problem])


def main() -> None:
    """Entry point of the process."""
    begin_process()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.write(do(Order.model_validate_json(sys.stdin.buffer.read())).model_dump_json())


if __name__ == "__main__":
    main()
