"""Their side: an MLflow tracking server on SQLite, in an environment of its own, filled and asked the same."""

import json
import os
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from benchmarks.service.burst import Request
from benchmarks.service.plan import PAGE, REPORTERS, SERIES, SHOWN, Scale

VERSION = "3.17.2"
API = "/api/2.0/mlflow"
FAILED = "attributes.status = 'FAILED' and tags.stage = 'weaver_sft'"


class Theirs:
    """A running MLflow server.

    Args:
        folder: for its environment, its database and its log.
        port: to listen on.
        scale: how much there is.
    """

    def __init__(self, folder: Path, port: int, scale: Scale) -> None:
        self._folder = folder
        self.port = port
        self._scale = scale
        self._database = folder / "mlflow.db"
        self._python = folder / "mlflow" / "bin" / "python"
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False)
        self._ids = [uuid.UUID(int=number).hex for number in range(1, scale.runs + 1)]
        self.log = folder / "mlflow.log"

    def install(self) -> None:
        """Make its environment, unless it is there."""
        if not (self._folder / "mlflow" / ".installed").exists():
            subprocess.run([sys.executable, "-m", "venv", str(self._folder / "mlflow")], check=True)
            words = ["-m", "pip", "--disable-pip-version-check", "install", "--quiet", f"mlflow=={VERSION}"]
            subprocess.run([str(self._python), *words], check=True)
            (self._folder / "mlflow" / ".installed").touch()

    def fill(self) -> None:
        """Make its tables with its own command, and fill them."""
        self._database.unlink(missing_ok=True)
        words = ["-m", "mlflow", "db", "upgrade", f"sqlite:///{self._database}"]
        with self.log.open("wb") as out:
            subprocess.run([str(self._python), *words], check=True, stdout=out, stderr=out)
        self.start()  # it makes its default experiment
        self.stop()
        with closing(sqlite3.connect(self._database)) as connection:
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000"):  # of this connection alone
                connection.execute(f"PRAGMA {pragma}")
            for table, rows in (
                ("runs", self._run_rows()),
                ("tags", self._tag_rows()),
                ("metrics", self._metric_rows()),
                ("latest_metrics", self._latest_rows()),
            ):
                _insert(connection, table, rows)
            connection.commit()

    def _run_rows(self) -> Iterator[dict[str, object]]:
        for number, run_id in enumerate(self._ids, start=1):
            yield {
                "run_uuid": run_id,
                "name": f"number {number}",
                "source_type": "LOCAL",
                "source_name": "",
                "entry_point_name": "",
                "user_id": "bench",
                "status": "FAILED" if number % 10 == 0 else "FINISHED",
                "start_time": number * 1000,
                "end_time": number * 1000 + 1,
                "source_version": "",
                "lifecycle_stage": "active",
                "artifact_uri": f"file:///nowhere/{run_id}",
                "experiment_id": 0,
                "deleted_time": None,
            }

    def _tag_rows(self) -> Iterator[dict[str, object]]:
        for number, run_id in enumerate(self._ids, start=1):
            stage = "evaluate" if number % 2 else "weaver_sft"
            yield {"key": "stage", "value": stage, "run_uuid": run_id}

    def _series(self) -> Iterator[tuple[str, str, int]]:
        for number, run_id in enumerate(self._ids):
            series, points = (SERIES, self._scale.points_of_one) if number == 0 else (1, self._scale.points_of_each)
            for name in range(series):
                yield run_id, f"train/m{name}", points // series

    def _metric_rows(self) -> Iterator[dict[str, object]]:
        for run_id, name, steps in self._series():
            for step in range(steps):
                yield _metric(run_id, name, step)

    def _latest_rows(self) -> Iterator[dict[str, object]]:
        for run_id, name, steps in self._series():
            yield _metric(run_id, name, steps - 1)

    def start(self) -> None:
        """Serve, with one process as ours."""
        words = ["-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{self._database}", "--workers", "1"]
        words += ["--host", "127.0.0.1", "--port", str(self.port)]
        words += ["--default-artifact-root", str(self._folder / "artifacts")]
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                [str(self._python), *words],
                stdout=out,
                stderr=out,
                env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while True:
            try:
                self._http.get("/health").raise_for_status()
            except httpx.HTTPError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.3)
            else:
                break
        self._reported = [self._created(number) for number in range(REPORTERS)]

    def _created(self, number: int) -> str:
        body = {"experiment_id": "0", "start_time": int(time.time() * 1000), "run_name": f"reporter {number}"}
        run_id: str = self._post("runs/create", body)["run"]["info"]["run_id"]
        return run_id

    def stop(self) -> None:
        """End it, its workers too."""
        if self._process is not None:
            os.killpg(self._process.pid, 15)
            self._process.wait()

    def list_runs(self, _: int) -> None:
        """The first page of runs."""
        assert len(self._search("")) == PAGE

    def list_filtered(self, _: int) -> None:
        """The first page of those of one stage that failed."""
        found = self._search(FAILED)
        assert found
        assert all(run["info"]["status"] == "FAILED" for run in found)

    def read_metric(self, number: int) -> None:
        """One metric of the largest run as its own charts ask for it: downsampled by the server."""
        reply = self._http.get(
            "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval",
            params={"run_ids": self._ids[0], "metric_key": f"train/m{number % SERIES}", "max_results": SHOWN},
        )
        reply.raise_for_status()
        assert len(reply.json()["metrics"]) >= min(SHOWN, self._scale.points_of_one // SERIES)

    def burst_routes(self) -> dict[str, Callable[[int], Request]]:
        """What is read in bursts of what both sides have."""
        charts = "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"
        metric = f"{charts}?run_ids={self._ids[0]}&metric_key=train/m0&max_results={SHOWN}"
        return {
            "list_runs": lambda _: self._search_request(""),
            "list_filtered": lambda _: self._search_request(FAILED),
            "read_metric": lambda _: Request("GET", metric),
        }

    def _search_request(self, words: str) -> Request:
        return Request("POST", f"{API}/runs/search", body=json.dumps(_search_body(words)).encode())

    def log_metrics(self, reporter: int, first: int, count: int) -> None:
        """Log that many metrics of a run, from a step on."""
        metrics = [
            {"key": "train/loss", "value": step / 7, "timestamp": 1000, "step": step}
            for step in range(first, first + count)
        ]
        self._post("runs/log-batch", {"run_id": self._reported[reporter], "metrics": metrics})

    def _search(self, words: str) -> list[Any]:
        runs: list[Any] = self._post("runs/search", _search_body(words))["runs"]
        return runs

    def _post(self, path: str, body: dict[str, object]) -> Any:
        reply = self._http.post(f"{API}/{path}", json=body)
        reply.raise_for_status()
        return reply.json()


def _search_body(words: str) -> dict[str, object]:
    return {"experiment_ids": ["0"], "filter": words, "max_results": PAGE, "order_by": ["start_time DESC"]}


def _metric(run_id: str, name: str, step: int) -> dict[str, object]:
    return {"key": name, "value": step / 7, "timestamp": step, "run_uuid": run_id, "step": step, "is_nan": 0}


def _insert(connection: sqlite3.Connection, table: str, rows: Iterator[dict[str, object]]) -> None:
    """Insert rows; columns of the table that they do not name get its defaults."""
    there = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    first = next(rows)
    columns = [name for name in there if name in first]
    query = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    connection.execute(query, [first[name] for name in columns])
    connection.executemany(query, ([row[name] for name in columns] for row in rows))
