"""MemGen Studio with short leases and two slots, in which faults are made and what they leave is looked at."""

import os
import resource
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import redis

from backend.api.client import Client
from backend.api.schemas import RunDetail, RunEventOut
from backend.launcher.redis_server import socket_path
from backend.services.enqueue import Doorbell
from backend.serving.redis_address import QUEUE
from memgen.contract.answers import read_answers
from memgen.contract.rundir import RunDir, attempt_dir, write_whole
from memgen.contract.service_files import database_file, kept_log
from memgen.contract.status import AttemptStatus, RunStatus
from tests.conftest import TINY
from tests.faults.card import CARDS
from tests.faults.trainer import MANNERS
from tests.running_stack import RunningStack, is_alive, wait_until
from worker.slots import Slot

LEASE, BEAT, GRACE, PROBE = 4.0, 0.3, 1.5, 6.0  # seconds
MACHINES = {"first": "10.213.1.1", "second": "10.213.2.1"}
"""Other machines, and the address at which each finds the backend."""
RECOVERY = LEASE + 10.0  # seconds within which a run has the right status and its next attempt is claimed
QUESTIONS = 30  # three seconds of the scripted trainer


class House(RunningStack):
    """A stack whose faults are measured."""

    def __init__(self, home: Path, presets_file: Path) -> None:
        super().__init__(
            home,
            presets_file,
            python=sys.executable,
            MEMGEN_SLOTS="cpu0 cpu1",
            MEMGEN_ALLOWED_HOSTS=",".join(MACHINES.values()),
            MEMGEN_LEASE_SECONDS=str(LEASE),
            MEMGEN_BEAT_SECONDS=str(BEAT),
            MEMGEN_RECONCILE_SECONDS="0.3",
            MEMGEN_STOP_GRACE_SECONDS=str(GRACE),
            MEMGEN_POLL_SECONDS="0.1",
            MEMGEN_TRAINER=f"{sys.executable} -m tests.faults.trainer",
            PYTHONPATH=str(Path(__file__).parent / "clock"),
            FAULTS_CLOCK=str(home.parent / "clock.txt"),
            FAULTS_CARDS=str(home.parent / "cards"),
            MEMGEN_PASS_ON="FAULTS_CLOCK,FAULTS_CARDS",
            MEMGEN_PROBE=f"{sys.executable} -m tests.faults.card",
            MEMGEN_PROBE_SECONDS=str(PROBE),
            MEMGEN_SICK_PAUSE_SECONDS="0.3",
            MEMGEN_TRY_ABSENT_SECONDS="4",
        )
        self.seconds = 0.0
        """From the last fault to its recovery."""
        self._began = 0.0

    def fault(self) -> None:
        """Here the fault happens; the clock of its recovery starts."""
        self._began = time.monotonic()

    def recovered(self, limit: float = RECOVERY) -> None:
        """Status is right, and what has to start again has been claimed."""
        self.seconds = time.monotonic() - self._began
        assert self.seconds < limit, f"recovered after {self.seconds:.1f} s"

    def launch(self, manner: str = "steady", questions: int = QUESTIONS, **fields: object) -> int:
        """Submit a scripted evaluation; returns the run's id."""
        config = {
            "stage": "evaluate",
            "preset": TINY,
            "data": "wordproblems",
            "seed": MANNERS.index(manner),
            "num_questions": questions,
        }
        with self.client() as client:
            return client.submit(config | fields).id

    def started(self, run_id: int, answers: int = 3) -> None:
        """Wait until a run has so many answers."""
        self.run_when(
            run_id, lambda run: run.summary.get("num_questions", 0) >= answers, 30, f"{answers} answers of run {run_id}"
        )

    def claimed(self, run_id: int, attempt: int, limit: float = RECOVERY) -> RunDetail:
        """Wait until an attempt is worked on, or has been."""
        return self.run_when(
            run_id,
            lambda run: (
                len(run.attempts) >= attempt and run.attempts[attempt - 1].status not in {AttemptStatus.QUEUED, None}
            ),
            limit,
            f"claim of attempt {attempt} of run {run_id}",
        )

    def events(self, run_id: int) -> list[RunEventOut]:
        """History of a run, oldest first."""
        with self.client() as client:
            return client.run_events(run_id).items

    @contextmanager
    def worker_held(self) -> Iterator[None]:
        """Inside the block no slot claims anything."""
        pid = self.signal_service("worker", signal.SIGSTOP)
        try:
            yield
        finally:
            self.resume_process(pid)

    @contextmanager
    def launcher_held(self) -> Iterator[None]:
        """Inside the block nothing that ends is started again."""
        assert self.launcher is not None
        os.kill(self.launcher.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            self.resume_process(self.launcher.pid)

    def claim_and_vanish(self, boot_id: str | None = None) -> None:
        """Claim the next attempt as a supervisor would, and say nothing any more."""
        slot = Slot("cpu0").claim()
        request = slot if boot_id is None else slot.model_copy(update={"boot_id": boot_id})
        token = (self.home / "backend" / "worker-token").read_text().strip()
        with Client(f"http://127.0.0.1:{self.backend_port}", token) as client:
            assert client.claim(request).attempt is not None

    def ring(self, times: int) -> None:
        """Ring the doorbell."""
        bell = Doorbell(self._redis_url)
        for _ in range(times):
            assert bell.ring() == "ok"
        bell.close()

    def rings(self) -> int:
        """How many rings Redis holds for the worker."""
        with redis.Redis.from_url(self._redis_url, socket_timeout=5) as server:
            return int(server.llen(QUEUE))  # type: ignore[arg-type]

    def drop_messages(self) -> None:
        """Lose what Redis holds for the worker."""
        with redis.Redis.from_url(self._redis_url, socket_timeout=5) as server:
            server.delete(QUEUE)

    def kill_supervisor(self, run_id: int, attempt: int) -> None:
        """kill -9."""
        os.kill(self.supervisor(run_id, attempt)["pid"], signal.SIGKILL)

    def kill_everything(self) -> None:
        """Power off: every process of this home at once."""
        assert self.launcher is not None
        for process in self.found():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.launcher.wait()
        wait_until(lambda: not self.found(), 10, "death of all processes")

    @contextmanager
    def files_limited(self, pid: int, size: int) -> Iterator[None]:
        """Inside the block a process can write to no file beyond `size` bytes: a full disk, as far as it can tell."""
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, before)

    @contextmanager
    def clock_shifted(self, seconds: float) -> Iterator[None]:
        """Inside the block the clock of all processes of this home is wrong by so much."""
        clock = Path(self.environment["FAULTS_CLOCK"])
        write_whole(clock, str(seconds))
        try:
            yield
        finally:
            clock.unlink()

    @contextmanager
    def cards(
        self, troubles: Mapping[str, str], *, short_of_memory: int = 0
    ) -> Iterator[Callable[[Mapping[str, str]], None]]:
        """Inside the block the slots' cards have these troubles, by slot, until they are changed; then all are well.

        Args:
            troubles: what is wrong; other slots are well.
            short_of_memory: how many trainers run out of memory.
        """
        folder = Path(self.environment[CARDS])
        folder.mkdir(exist_ok=True)

        def change(troubles: Mapping[str, str]) -> None:
            for slot in self.environment["MEMGEN_SLOTS"].split():
                write_whole(folder / slot, troubles.get(slot, ""))

        write_whole(folder / "memory", str(short_of_memory))
        change(troubles)
        try:
            yield change
        finally:
            change({})
            write_whole(folder / "memory", "0")
            self.sick_slots_are()

    def sick_slots_are(self, *slots: str) -> None:
        """Wait until the queue names these slots as sick, and no others."""
        with self.client() as client:
            wait_until(lambda: [one.slot for one in client.queue().sick_slots] == list(slots), 30, f"sick: {slots}")

    @property
    def _redis_url(self) -> str:
        return f"unix://{socket_path(self.home)}"

    def resume_process(self, pid: int) -> None:
        """SIGCONT."""
        os.kill(pid, signal.SIGCONT)

    def signal_service(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a service; returns its process id.

        Raises:
            LookupError: it does not run now.
        """
        pid = self.service_pid(name)
        if pid is None:
            raise LookupError(f"{name} does not run")
        os.kill(pid, number)
        return pid

    def restarted(self, name: str, before: int) -> None:
        """Wait until the launcher has started a service again."""
        wait_until(lambda: self.service_pid(name) not in {None, before}, 30, f"restart of {name}")

    def folder(self, run_id: int, attempt: int) -> RunDir:
        """Of an attempt."""
        return attempt_dir(self.home, run_id, attempt, "evaluate")  # the names beside the output are every stage's

    def answers_written(self, run_id: int, attempt: int) -> int:
        """Answers that an attempt's trainer has written, whatever the backend knows of them."""
        return self.folder(run_id, attempt).answers.read_bytes().count(b"\n")

    def rows(self, query: str, *values: object) -> list[Any]:
        """What the database says, read beside the backend."""
        with sqlite3.connect(f"file:{database_file(self.home)}?mode=ro", uri=True, timeout=10) as connection:
            return connection.execute(query, values).fetchall()

    def check(self, run_id: int, status: RunStatus, attempts: list[AttemptStatus], seconds: float = 60) -> RunDetail:
        """The run ends so, and nothing of it is lost, doubled or left over.

        Looks at the database, at files and at the process table.
        """
        run = self.run_ended(run_id, seconds)
        assert (run.status, [one.status for one in run.attempts]) == (status, attempts), run.failure
        for number, end in enumerate(attempts, start=1):
            self._check_attempt(run_id, number, end)
        self._check_leases(run_id)
        if status is RunStatus.SUCCEEDED and run.stage == "evaluate":
            self._check_answers(run, len(attempts))
        return run

    def _check_attempt(self, run_id: int, number: int, status: AttemptStatus) -> None:
        folder = self.folder(run_id, number)
        if not folder.path.exists():  # it was never claimed, or its supervisor died before it began
            return
        pids = self.supervisor(run_id, number)
        wait_until(lambda: not is_alive(pids["pid"]), 10, f"end of the supervisor of attempt {number}")
        wait_until(lambda: not is_alive(pids["trainer_pid"]), 10, f"end of the trainer of attempt {number}")
        wait_until(lambda: not _mention(str(folder.path)), 5, f"end of all children of attempt {number}")
        copy = kept_log(self.home, run_id, number)
        kept, written = copy.read_bytes() if copy.exists() else b"", folder.log.read_bytes()
        if status is AttemptStatus.LOST:  # whoever would have sent the rest is gone
            assert written.startswith(kept)
        else:
            assert kept == written

    def _check_leases(self, run_id: int) -> None:
        """Never two attempts of a run at a time."""
        spans = self.rows("SELECT claimed_at, ended_at FROM attempt WHERE run_id = ? ORDER BY number", run_id)
        known = [span for span in spans if span[0] is not None]
        assert all(end is not None for _, end in known)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(known)), known

    def _check_answers(self, run: RunDetail, attempt: int) -> None:
        asked = int(run.config["num_questions"])
        path = self.home / "evaluate" / "wordproblems" / "qwen2-242k" / str(run.id) / "evaluate" / "answer.json"
        wait_until(path.exists, 10, f"published output of run {run.id}")
        answers, summary = read_answers(path)
        assert summary is not None
        assert Counter(one.id for one in answers) == Counter({one.id: 1 for one in answers})
        assert len(answers) == asked
        stored = self.rows(
            "SELECT count(*), count(DISTINCT question_id) FROM answer WHERE run_id = ? AND attempt = ?", run.id, attempt
        )
        assert stored == [(asked, asked)]


def _mention(path: str) -> list[int]:
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(path in word for word in words):
            found.append(process.pid)
    return found
