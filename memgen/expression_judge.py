"""Compares expressions by math-verify, line by line: a child process of `memgen.expressions`, which may be ended.

A line in is a JSON list of the given and the expected expression, a line out is `true` or `false`. Python code that
takes too long is interrupted; what can't be interrupted, such as one huge power, ends the process.
"""

import json
import logging
import resource
import signal
import sys
from contextlib import suppress
from typing import NoReturn

CPU_SECONDS = 3.0  # of a comparison
KILL_SECONDS = 5  # of a comparison that can't be interrupted
MOST_MEMORY = 2 * 2**30  # bytes of addresses


class _TooLong(BaseException):
    """No `Exception`: math-verify and sympy catch those."""


def _interrupt(*_: object) -> NoReturn:
    raise _TooLong


def main() -> None:
    """Answer until the input ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    with suppress(ValueError, OSError):  # not every system has this bound
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    signal.signal(signal.SIGPROF, _interrupt)
    logging.disable(logging.CRITICAL)
    import math_verify  # noqa: F401  # a second of imports

    print("ready", flush=True)
    for line in sys.stdin:
        given, expected = json.loads(line)
        print(json.dumps(_within_bounds(given, expected)), flush=True)


def _within_bounds(given: str, expected: str) -> bool:
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + 1 + KILL_SECONDS, hard))
    try:
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS, 0.5)  # again and again, should something catch it
        try:
            return _same(given, expected)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except (_TooLong, MemoryError, RecursionError):
        return False


def _same(given: str, expected: str) -> bool:
    from math_verify import parse, verify

    # what it takes out of a text depends on the first thing that looks like mathematics, so each stands in a box alone
    right, answer = (parse(rf"\boxed{{{one}}}", parsing_timeout=None) for one in (expected, given))
    return bool(verify(right, answer, timeout_seconds=None))


if __name__ == "__main__":
    main()
