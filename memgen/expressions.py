"""Whether two mathematical expressions are the same, as math-verify and sympy see it.

Neither has a bound of its own that holds in every thread: `10^{10^{10}}` alone would keep a process busy for days. So a
child process compares (`memgen.expression_judge`), within bounds on characters, processor time and memory: what goes
beyond them is not the same. A busy machine changes no score, as waiting costs no processor time. The child is started
when the first two expressions are compared, and ends with the process that started it.
"""

import atexit
import json
import os
import subprocess
import sys
from threading import Lock

from memgen.contract.errors import BadInput
from memgen.contract.inheritance import inherited

MOST_CHARACTERS = 400  # of each expression
READY = "ready"


class _Judge:
    """The child process, one comparison at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0

    def compare(self, given: str, expected: str) -> bool:
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(json.dumps([given, expected]) + "\n")
                process.stdin.flush()
                reply = process.stdout.readline()
            except BrokenPipeError:
                reply = ""
            if not reply:  # it went beyond its bounds and was ended
                self._close()
            return reply.strip() == "true"

    def close(self) -> None:
        with self._lock:
            self._close()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._owner == os.getpid() and self._process.poll() is None:
            return self._process
        self._close()
        process = subprocess.Popen(
            [sys.executable, "-m", "memgen.expression_judge"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=inherited("judge", os.environ),
        )
        assert process.stdout is not None
        self._process, self._owner = process, os.getpid()
        if process.stdout.readline().strip() != READY:
            self._close()
            raise BadInput(
                "scorer_missing",
                "expressions are compared by math-verify, which can't be imported",
                field="data",
                way_out="Install it: pip install math-verify.",
            )
        return process

    def _close(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():  # of a fork it is the parent's
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


_JUDGE = _Judge()
atexit.register(_JUDGE.close)


def same_expression(given: str, expected: str) -> bool:
    """Whether two expressions are equal; False where that can't be told within the bounds.

    Raises:
        BadInput: `scorer_missing`, if math-verify is not installed.
    """
    if max(len(given), len(expected)) > MOST_CHARACTERS:
        return False
    return _JUDGE.compare(given, expected)
