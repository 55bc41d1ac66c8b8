"""One service of `make up`: started in a session of its own, its output in a file, restarted when it dies."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from memgen.contract.errors import BadInput
from memgen.contract.inheritance import inherited

LONGEST_PAUSE = 30.0  # seconds before a service that keeps dying is started again
LOOK_SECONDS = 5.0  # between two looks whether a service is still ready


@dataclass(frozen=True)
class ServiceSpec:
    """How a service is started and when it is ready."""

    name: Literal["redis", "backend", "worker", "dashboard"]
    command: list[str]
    environment: Mapping[str, str]
    """Additions to what a service of this name inherits."""
    ready: Callable[[], bool]
    """Asked until it says True."""
    prepare: Callable[[], None] = lambda: None
    """Done before each start."""
    stays_ready: bool = False
    """Whether one that runs and is not ready any more is to be started again."""
    patience: float = 60.0
    """Seconds until a service that is not ready counts as failed."""


class ServiceProcess:
    """A running service.

    Args:
        spec: what to run.
        logs: folder for its output.
        clock: seconds that only grow.
    """

    def __init__(self, spec: ServiceSpec, logs: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.spec = spec
        self.log = logs / f"{spec.name}.log"
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._pause = 1.0
        self._start_at: float | None = None
        self._look_at = 0.0
        self._missed = 0

    def start(self) -> None:
        """Start it now."""
        self.spec.prepare()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self.spec.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**inherited(self.spec.name, os.environ), **self.spec.environment},
                start_new_session=True,  # Ctrl-C in the terminal is for the launcher, which stops them in order
            )
        self._started_at = self._clock()
        self._start_at = None
        self._look_at, self._missed = self._started_at + self.spec.patience, 0

    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def tend(self) -> str | None:
        """Start it again if it died; returns a line to show if something happened."""
        if self.is_running():
            if self._clock() - self._started_at > LONGEST_PAUSE:
                self._pause = 1.0
            return self._look()
        if self._start_at is None:
            code = self._process.returncode if self._process else None
            self._start_at = self._clock() + self._pause
            line = (
                f"{self.spec.name} ended (exit code {code}); starting it again in {self._pause:.0f} s. See {self.log}"
            )
            self._pause = min(LONGEST_PAUSE, self._pause * 2)
            return line
        if self._clock() >= self._start_at:
            try:
                self.start()
            except (OSError, BadInput) as error:
                self._start_at = self._clock() + self._pause
                self._pause = min(LONGEST_PAUSE, self._pause * 2)
                return f"{self.spec.name} can't be started: {error}"
            return f"{self.spec.name} started again"
        return None

    def ready_now(self) -> None:
        """It has just been seen to be ready."""
        self._look_at = self._clock() + LOOK_SECONDS

    def _look(self) -> str | None:
        """End a service that runs and does not answer, two times one after the other; it is then started again."""
        if not self.spec.stays_ready or self._clock() < self._look_at:
            return None
        self._look_at = self._clock() + LOOK_SECONDS
        if self.spec.ready():
            self._missed = 0
            return None
        self._missed += 1
        if self._missed < 2:
            return None
        self.stop()
        return f"{self.spec.name} runs and can't be reached; ending it"

    def identity(self) -> dict[str, float | int | str] | None:
        """Process id and start time, which together name one process for good."""
        if self._process is None or not self.is_running():
            return None
        try:
            return {"pid": self._process.pid, "started": psutil.Process(self._process.pid).create_time()}
        except psutil.NoSuchProcess:
            return None

    def stop(self, patience: float = 10.0) -> None:
        """End it: TERM, then KILL."""
        if self._process is None:
            return
        end_process(self._process.pid, patience, wait=lambda seconds: self._process_ended(seconds))

    def _process_ended(self, seconds: float) -> bool:
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def end_process(pid: int, patience: float, *, wait: Callable[[float], bool]) -> None:
    """TERM, and after `patience` seconds KILL, to one process."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if wait(seconds):
            return


def find_process(identity: Mapping[str, float | int | str]) -> psutil.Process | None:
    """The process of this id and start time, if it still lives; a reused id is not it."""
    try:
        process = psutil.Process(int(identity["pid"]))
        if abs(process.create_time() - float(identity["started"])) > 0.05 or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except (psutil.NoSuchProcess, KeyError, ValueError, TypeError):
        return None
    return process
