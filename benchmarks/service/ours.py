"""Our side: a backend of its own, its database filled beforehand, spoken to over HTTP as everybody does."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil

from backend.api.client import API, Client, Unreachable
from backend.api.schemas import ClaimedAttempt, ClaimRequest, SlotReport, Versions
from backend.services import runs
from backend.settings import Settings
from backend.store.db import Database
from backend.store.models import Run
from benchmarks.service.burst import Request
from benchmarks.service.plan import PAGE, REPORTERS, SERIES, SHOWN, Scale, percentile
from memgen.contract.config import parse_config
from memgen.contract.status import RunStatus

CONFIG = {"stage": "evaluate", "data": "wordproblems", "num_questions": 8}
MEMORY = 2**45
START_SECONDS = 600.0  # until a backend that does not answer is given up
LINES, LINE_SECONDS, LOOK_SECONDS = 40, 0.25, 0.02
# a trainer that prints the time, a line each quarter of a second
TRAINER = """
import sys, time
for _ in range({lines}):
    print(time.time(), flush=True)
    time.sleep({pause})
sys.exit(1)
"""


class Ours:
    """A running backend.

    Args:
        folder: for its home.
        port: to listen on.
        scale: how much there is.
    """

    def __init__(self, folder: Path, port: int, scale: Scale) -> None:
        self.home = folder / "home"
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        dropped = ("MEMGEN_", "REDIS_URL")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        self.environment |= {
            "MEMGEN_HOME": str(self.home),
            "MEMGEN_PORT": str(port),
            "MEMGEN_BACKEND_URL": self.url,
            "REDIS_URL": "unix:///nowhere/redis.sock",
            "MEMGEN_LEASE_SECONDS": "600",
        }
        self.settings = Settings(home=self.home, REDIS_URL=self.environment["REDIS_URL"])
        self._scale = scale
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / "backend.log"

    def fill(self) -> None:
        """Make the runs and their metrics, straight into the database."""
        database = Database(self.settings.database)
        database.migrate()
        with database.write() as session:
            first = runs.submit(session, parse_config(CONFIG), "", at=1.0, retries=0)
            template = first.model_dump()
        database.close()
        with closing(sqlite3.connect(self.settings.database)) as connection:
            connection.execute("DELETE FROM attempt")
            connection.execute("DELETE FROM run")
            columns = [column for column in template if column != "id"]
            marks = ", ".join("?" * (len(columns) + 1))
            connection.executemany(
                f"INSERT INTO run (id, {', '.join(columns)}) VALUES ({marks})", self._run_rows(template, columns)
            )
            connection.executemany(
                "INSERT INTO attempt (run_id, number, status, not_before, created_at, log_offset, events_offset, "
                "answers_offset, watched, num_answers, num_right, phase, phase_detail, progress_unit) "
                "VALUES (?, 1, ?, 0, 1, 0, 0, 0, 1, 0, 0, '', '', '')",
                ((n, "queued" if self._is_queued(n) else "succeeded") for n in range(1, self._scale.runs + 1)),
            )
            connection.executemany("INSERT INTO metric VALUES (?, ?, ?, ?, ?, ?)", self._metric_rows(connection))
            connection.execute("INSERT INTO reported_metric (name, run_id) SELECT DISTINCT name, run_id FROM metric")
            connection.commit()

    def _run_rows(self, template: dict[str, object], columns: list[str]) -> Iterator[list[object]]:
        assert set(columns) < set(Run.model_fields)
        for number in range(1, self._scale.runs + 1):
            stage, setting = ("evaluate", "weaver") if number % 2 else ("weaver_sft", "")
            status = RunStatus.FAILED if number % 10 == 0 else RunStatus.SUCCEEDED
            ended: float | None = float(number)
            if self._is_queued(number):
                status, ended = RunStatus.QUEUED, None
            own = {"stage": stage, "setting": setting, "status": status.value, "note": f"number {number}"}
            row = {**template, **own, "ended_at": ended}
            values = (row[name] for name in columns)
            yield [number, *(json.dumps(one) if isinstance(one, dict) else one for one in values)]

    def _is_queued(self, number: int) -> bool:
        """The newest runs wait."""
        return number > self._scale.runs - self._scale.queued

    def _metric_rows(self, connection: sqlite3.Connection) -> Iterator[list[object]]:
        order = [row[1] for row in connection.execute("PRAGMA table_info(metric)")]
        for run_id in range(1, self._scale.runs + 1):
            largest = run_id == 1
            series = SERIES if largest else 1
            steps = (self._scale.points_of_one if largest else self._scale.points_of_each) // series
            for name in range(series):
                for step in range(steps):
                    row = {"run_id": run_id, "name": f"train/m{name}", "step": step, "attempt": 1}
                    row |= {"value": step / 7, "time": float(step)}
                    yield [row[column] for column in order]

    def serve(self) -> float:
        """Start the backend; returns the seconds until it answers."""
        began = time.monotonic()
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "backend", "serve"], env=self.environment, stdout=out, stderr=out
            )
        while True:
            try:
                self.client().health()
            except Unreachable:
                if time.monotonic() > began + START_SECONDS or self._process.poll() is not None:
                    raise
                time.sleep(0.1)
            else:
                break
        self.user = self.client()
        self.token = self.settings.user_token()
        return time.monotonic() - began

    def start(self) -> None:
        """Serve, and let supervisors claim what they report on."""
        self.serve()
        self.hold()

    def hold(self) -> None:
        """Claim the runs that `log_metrics` and `urgent` report on."""
        self._held = [self._claimed() for _ in range(REPORTERS)]

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def cpu_seconds(self) -> float:
        """What the backend has used of a processor since its start: whatever else the machine does, this stays."""
        assert self._process is not None
        used = psutil.Process(self._process.pid).cpu_times()
        return used.user + used.system

    def client(self) -> Client:
        """A user's client."""
        return Client(self.url, self.settings.user_token(), timeout=60)

    def worker(self) -> Client:
        """A worker's client."""
        return Client(self.url, self.settings.workers_token(), timeout=60)

    def _claimed(self) -> tuple[Client, ClaimedAttempt, list[int]]:
        """An attempt to report on, with the offset of its events."""
        self.client().submit(CONFIG)
        slot = SlotReport(name="cpu", device="cpu", gpus=[], total_memory=MEMORY)
        request = ClaimRequest(
            host="bench", boot_id="b", pid=1, slot=slot, free_memory=MEMORY, versions=Versions.of_this()
        )
        attempt = self.worker().claim(request).attempt
        assert attempt is not None
        return Client(self.url, attempt.token, timeout=60), attempt, [0]

    def list_runs(self, _: int) -> None:
        """The first page of runs."""
        assert len(self.user.runs(limit=PAGE).items) == PAGE

    def list_filtered(self, _: int) -> None:
        """The first page of those of one stage that failed."""
        found = self.user.runs(status="failed", stage="weaver_sft", limit=PAGE).items
        assert found
        assert all(run.status is RunStatus.FAILED for run in found)

    def read_metric(self, number: int) -> None:
        """One metric of the largest run as a chart shows it."""
        [series] = self.user.metrics(1, name=f"train/m{number % SERIES}", max_points=SHOWN).series
        assert len(series.steps) == min(SHOWN, self._scale.points_of_one // SERIES)

    def read_all_metrics(self, _: int) -> None:
        """All metrics of the largest run."""
        assert len(self.user.metrics(1, max_points=SHOWN).series) == SERIES

    def submit(self, number: int) -> None:
        """A new run."""
        self.user.submit(CONFIG, note=f"submitted {number}")

    def log_metrics(self, reporter: int, first: int, count: int) -> None:
        """Report that many metrics of a run under way, from a step on."""
        client, attempt, offset = self._held[reporter]
        lines = "".join(
            f'{{"time": 1.0, "event": "metric", "name": "train/loss", "step": {step}, "value": {step / 7}}}\n'
            for step in range(first, first + count)
        )
        offset[0] = client.send_stream(attempt.attempt_id, "events", offset[0], lines.encode())

    def burst_routes(self) -> dict[str, Callable[[int], Request]]:
        """What is read in bursts: each route, of runs that differ where it is of a run."""
        runs = self._scale.runs

        def read(path: str) -> Callable[[int], Request]:
            return lambda n: Request("GET", API + path.format(n=n % runs + 1, back=runs - n % runs), self.token)

        paths = {
            "list_runs": "/runs",
            "list_filtered": "/runs?status=failed&stage=weaver_sft",
            "list_searched": "/runs?text=number+{n}",
            "list_sorted": "/runs?sort=-accuracy",
            "home": "/home",
            "run": "/runs/{n}",
            "queued_run": "/runs/{back}",
            "read_metric": f"/runs/1/metrics?name=train/m0&max_points={SHOWN}",
            "metrics": "/runs/{n}/metrics",
            "curves": "/curves?runs={n},{back}&max_points=200",
            "list_of_metric": "/runs?metric=train/m0",
            "baseline": "/compare/baseline",
            "log": "/runs/{n}/log",
            "log_lines": "/runs/{n}/log/lines?text=error",
            "answers": "/runs/{n}/answers",
            "rollouts": "/runs/{n}/rollouts",
            "events": "/runs/{n}/events",
            "queue": "/queue",
            "workers": "/workers",
            "health": "/health",
            "presets": "/presets",
            "sites": "/sites",
            "data_sets": "/data-sets",
            "data_set": "/data-sets/wordproblems",
            "data_set_questions": "/data-sets/wordproblems/questions",
            "data_files": "/data-sets/files",
            "schema": "/schema/evaluate",
            "saved_launches": "/saved-launches",
            "notifications": "/notifications",
            "tries": "/try",
            "deliveries": "/notifications/deliveries",
            "saved_views": "/saved-views",
            "tags": "/tags",
            "list_tagged": "/runs?tag=sweep",
            "run_numbers": "/runs/numbers",
            "search": "/search?text=number+{n}",
            "pipelines": "/pipelines",
            "pipeline_numbers": "/pipelines/numbers",
            "candidates": "/pipelines/candidates?preset=HuggingFaceTB/SmolLM2-135M-Instruct&data=wordproblems",
            "checkpoints": "/checkpoints",
            "checkpoint_results": "/checkpoints/results?sort=-accuracy",
            "lineage": "/lineage",
            "lineage_of_run": "/lineage?run={n}",
        }
        return {name: read(path) for name, path in paths.items()}

    def urgent(self) -> list[Request]:
        """What must be answered during a burst: a stop, and the heartbeats of runs under way."""
        waiting = self.user.submit(CONFIG).id
        stop = Request("POST", f"{API}/runs/{waiting}/stop", self.token, b'{"mode": "save"}')
        beats = [
            Request("POST", f"{API}/worker/attempts/{attempt.attempt_id}/heartbeat", attempt.token)
            for _, attempt, _ in self._held
        ]
        return [stop, *beats]

    def log_delay(self) -> float:
        """Seconds from a trainer's print to its appearance in the API, 95th percentile, through a real supervisor."""
        script = self.home / "trainer.py"
        script.write_text(TRAINER.format(lines=LINES, pause=LINE_SECONDS))
        run = self.user.submit(CONFIG)
        environment = {**self.environment, "MEMGEN_TRAINER": f"{sys.executable} {script}"}
        while True:  # what was submitted before stands in front of it
            queue = self.user.queue().items
            if queue[0].id == run.id:
                break
            self.user.stop(queue[0].id)
        words = [sys.executable, "-m", "worker.supervisor", "--slot", "cpu"]
        supervisor = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        delays: list[float] = []
        offset, rest = 0, ""
        while len(delays) < LINES and supervisor.poll() is None:
            piece = self.user.log(run.id, offset=offset)
            now = time.time()
            *lines, rest = (rest + piece.text).split("\n")
            delays += [now - float(line) for line in lines]
            offset = piece.next_offset
            time.sleep(LOOK_SECONDS)
        supervisor.wait()
        assert len(delays) == LINES, f"{len(delays)} lines came"
        return percentile(delays)

    def locked(self) -> int:
        """How often SQLite said that its database was locked."""
        return self.log.read_text(encoding="utf-8", errors="replace").count("database is locked")
