"""A process that reads files which anybody may have sent: what goes wrong in it harms nobody else.

`python -m memgen.data.registered.reader` takes an `Order` on its standard input and prints a `Result`. The kernel
bounds its memory and its time.
"""

import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from memgen.contract.data_sets.report import Refused
from memgen.contract.errors import BadInput
from memgen.contract.process import begin_process
from memgen.data.registered.examine import Given, peek
from memgen.data.registered.hub_files import hub_files
from memgen.data.registered.keep import preview, register
from memgen.data.registered.order import Order, OrderedFile, Result

MOST_MEMORY = 6 * 2**30
"""Bytes of address space; the libraries alone take a few hundred million."""
MOST_SECONDS = 300
"""Of the processor."""


def do(order: Order) -> Result:
    """Do it, and say what is wrong with the input."""
    try:
        with TemporaryDirectory(prefix="memgen-rows-") as work:
            return _read(order, [one for file in order.files for one in _given(file, Path(work))])
    except Refused as error:
        return Result(report=error.report, problems=[one.problem for one in error.problems])
    except BadInput as error:
        return Result(problems=[error.problem])


def _given(file: OrderedFile, work: Path) -> list[Given]:
    if file.hub is not None:
        return hub_files(file.hub, Path(mkdtemp(dir=work)), file.split)
    assert file.path is not None, "what is no file is on the hub"
    return [Given(file.path, file.name, file.split)]


def _read(order: Order, files: list[Given]) -> Result:
    if order.registration is None:
        return Result(report=peek(files))
    if order.home is None:
        return Result(report=preview(files, order.registration))
    return Result(report=register(files, order.registration, order.home, time.time))


def main() -> None:
    """Entry point of the process."""
    begin_process()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.write(do(Order.model_validate_json(sys.stdin.buffer.read())).model_dump_json())


if __name__ == "__main__":
    main()
