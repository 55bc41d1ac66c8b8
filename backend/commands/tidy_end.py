"""Ending a command so that what it wrote by half is removed."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def tidy_end() -> Iterator[None]:
    """Let TERM and HUP end a command as Ctrl-C does, so that what is half-written is removed; a HUP that is ignored, as
    under nohup, stays ignored."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    before = {number: handler for number, handler in before.items() if handler is signal.SIG_DFL}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
