"""A backend of its own per test: real SQLite, a doorbell without Redis, clocks that the test moves."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi.testclient import TestClient

from backend.api.schemas import Versions
from backend.http.context import Context
from backend.http.main import create_app
from backend.http.wrong_tokens import WrongTokens
from backend.services.reconcile import Reconciler
from backend.serving.brake import Brake
from backend.settings import Settings
from backend.store.db import Database
from memgen.contract.manifest import survey
from memgen.contract.rundir import attempt_dir
from memgen.contract.stages import stage_named
from tests.checkpoints import write_checkpoint

API = "/api/v1"
NO_REDIS = "unix:///nonexistent/redis.sock"
MEMORY = 2**40
VERSIONS = Versions.of_this().model_dump()
SLOT = {"name": "cpu", "device": "cpu", "gpus": [], "total_memory": MEMORY}


@dataclass
class Clock:
    """Seconds that only the test moves: one hand for the time of day, one that no clock change moves."""

    now: float = 1_800_000_000.0
    ticks: float = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.ticks += seconds


@dataclass
class Held:
    """An attempt that was claimed, and the way to report on it."""

    http: TestClient
    id: int
    run_id: int
    number: int
    token: str
    resumes: int | None
    placement: str
    checkpoint: str | None
    offsets: dict[str, int] = field(default_factory=lambda: {"log": 0, "events": 0, "answers": 0, "rollouts": 0})

    def post(self, what: str, **arguments: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **arguments.pop("headers", {})}
        return self.http.post(f"{API}/worker/attempts/{self.id}/{what}", headers=headers, **arguments)

    def beat(self) -> httpx.Response:
        return self.post("heartbeat")

    def send(self, stream: str, data: bytes, offset: int | None = None, **more: Any) -> httpx.Response:
        """Bytes of a stream, at the offset that the last reply named."""
        offset = self.offsets[stream] if offset is None else offset
        reply = self.post(stream, params={"offset": offset} | more, content=data)
        if reply.status_code == 200:
            self.offsets[stream] = reply.json()["offset"]
        return reply

    def say(self, *events: dict[str, Any], clock: float | None = None) -> None:
        """Events, and what the machine's clock says, if it is to say anything."""
        data = b"".join(json.dumps({"time": 1.0, **event}).encode() + b"\n" for event in events)
        assert self.send("events", data, **({} if clock is None else {"clock": clock})).status_code == 200

    def answer(self, *indices: int, right: bool = True) -> None:
        assert self.send("answers", b"".join(answer_line(index, right=right) for index in indices)).status_code == 200

    def finish(self, outcome: str = "succeeded", cause: str = "done", **more: Any) -> httpx.Response:
        return self.post("finish", json={"outcome": outcome, "cause": cause, "exit_code": 0, **more})


@dataclass
class Backend:
    """One application with its clocks, and short words for what users and workers do."""

    context: Context
    clock: Clock
    http: TestClient
    config: dict[str, object]

    @property
    def home(self) -> Path:
        return self.context.home

    @property
    def reconciler(self) -> Reconciler:
        return self.context.reconciler

    def user(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.context.user_token}", **arguments.pop("headers", {})}
        return self.http.request(method, API + path, headers=headers, **arguments)

    def worker(self, path: str, **arguments: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.context.worker_token}"}
        return self.http.post(f"{API}/worker/{path}", headers=headers, **arguments)

    def get(self, path: str, **params: Any) -> Any:
        reply = self.user("GET", path, params=params)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def submit(self, *, key: str | None = None, note: str = "", **changes: object) -> int:
        headers = {"Idempotency-Key": key} if key else {}
        reply = self.user("POST", "/runs", json={"config": self.config | changes, "note": note}, headers=headers)
        assert reply.status_code == 201, reply.text
        return int(reply.json()["id"])

    def run(self, run_id: int) -> Any:
        return self.get(f"/runs/{run_id}")

    def history(self, run_id: int) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.get(f"/runs/{run_id}/events")["items"]
        return items

    def announce(self, host: str = "lab", slots: list[dict[str, Any]] | None = None, **more: Any) -> None:
        body = {"host": host, "boot_id": "b", "pid": 7, "slots": [SLOT] if slots is None else slots}
        body |= {"versions": VERSIONS} | more
        assert self.worker("announce", json=body).status_code == 200

    def claim(
        self,
        free_memory: int = MEMORY,
        host: str = "lab",
        slot: str = "cpu",
        gpus: list[int] | None = None,
        **more: Any,
    ) -> Held | None:
        """Ask for work; `gpus` are bytes free on each GPU of a slot of several, `more` what else the worker says."""
        report = (
            SLOT
            | {"name": slot}
            | ({"device": "cuda", "gpus": list(range(len(gpus))), "gpu_memory": [MEMORY] * len(gpus)} if gpus else {})
        )
        body = {"host": host, "boot_id": "b", "pid": 7, "slot": report, "free_memory": free_memory}
        body |= {"free_gpu_memory": gpus or [], "versions": VERSIONS} | more
        reply = self.worker("claim", json=body)
        assert reply.status_code == 200, reply.text
        a = reply.json()["attempt"]
        names = ("attempt_id", "run_id", "number", "token", "resumes", "placement", "checkpoint")
        return a and Held(self.http, *(a[name] for name in names))

    def held(self, **arguments: Any) -> Held:
        attempt = self.claim(**arguments)
        assert attempt is not None
        return attempt

    def started(self, **changes: object) -> Held:
        """A run that was submitted and claimed."""
        self.submit(**changes)
        return self.held()

    def submit_pipeline(self, **changes: object) -> Any:
        reply = self.user("POST", "/pipelines", json=self.spec(**changes))
        assert reply.status_code == 201, reply.text
        return reply.json()

    def spec(self, **changes: object) -> dict[str, Any]:
        """A pipeline of the tiny model on our own word problems."""
        shared = {name: self.config[name] for name in ("preset", "data", "max_completion_length")}
        return {"shared": shared, "evaluations": {"num_questions": 6}, **changes}

    def steps(self, pipeline_id: int) -> dict[str, Any]:
        """Steps of a pipeline by name."""
        return {step["step"]: step for step in self.get(f"/pipelines/{pipeline_id}")["steps"]}

    def work(self, outcome: str = "succeeded", **more: Any) -> int:
        """Do the next run of the queue as its worker does, what a training leaves included; returns its id."""
        held = self.held()
        if self.run(held.run_id)["setting"]:
            held.answer(*range(6), right=held.run_id % 2 == 0)
        self.complete(held, outcome, **more)
        return held.run_id

    def complete(
        self, held: Held, outcome: str = "succeeded", manifest: dict[str, Any] | None = None, **more: Any
    ) -> None:
        """End an attempt as its worker does; `manifest` has changes to that of a training's checkpoint."""
        run = self.run(held.run_id)
        cause = {"succeeded": "done", "failed": "error", "stopped": "stopped"}[outcome]
        more = {"result": {"num_questions": 6, "accuracy": 0.5} if run["setting"] else {"steps": 2}} | more
        environment = {"model": "folder:1", "prompt_hash": "p"}
        if outcome == "succeeded" and not run["setting"]:
            folder = self.leave_checkpoint(held, **(manifest or {}))
            more = {"checkpoint": survey(folder).model_dump(mode="json")} | more
        ending = {"cause": cause, "environment": environment} | more
        assert held.finish(outcome, **ending).status_code == 200

    def leave_checkpoint(self, held: Held, **changes: Any) -> Path:
        """Write what a training leaves in its attempt's folder."""
        stage = self.run(held.run_id)["stage"]
        kind = stage_named(stage).makes
        folder = attempt_dir(self.home, held.run_id, held.number, stage).output
        return write_checkpoint(folder, kind, f"weights of {held.run_id}".encode(), **changes)

    def stop(self, run_id: int, mode: str = "save") -> httpx.Response:
        return self.user("POST", f"/runs/{run_id}/stop", json={"mode": mode})


def answer_line(index: int, *, right: bool = True, **changes: object) -> bytes:
    """One line of an answer file, with characters of two to four bytes."""
    record: dict[str, object] = {
        "id": f"t:{index}",
        "index": index,
        "prompt": [{"role": "user", "content": "hé"}],
        "solution": "4",
        "completion": f"né € 🙂 {index}",
        "metrics": {"accuracy": float(right), "format_ok": 1.0},
        "completion_tokens": 3,
        "truncated": False,
        "seconds": 0.1,
    }
    return json.dumps(record | changes, ensure_ascii=False).encode() + b"\n"


def rollout_line(
    step: int, place: int, scores: list[float], *, text: str = "né", truncated: int = 0, **changes: object
) -> bytes:
    """One line of a file of kept rollouts: a group with these scores, whose first completions are truncated."""
    completions = [
        {
            "completion": f"{text} {number}",
            "extracted": "5",
            "rewards": {"accuracy": score},
            "advantage": score - sum(scores) / len(scores),
            "completion_tokens": 3,
            "truncated": number < truncated,
            "boxed": number >= truncated,
            "augmentations": [{"token": 0, "asked": True, "inserted": True, "character": 0, "probability": 0.75}],
        }
        for number, score in enumerate(scores)
    ]
    group = {"step": step, "place": place, "id": f"t:{place}", "question": "How many?", "solution": "4"}
    line = {**group, "expected": "4", "completions": completions, **changes}
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def check_problem(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Assert the one form of all errors, and return it."""
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    body: dict[str, Any] = reply.json()
    assert (reply.status_code, body["status"], body["code"]) == (status, status, code), reply.text
    assert set(body) == {"type", "title", "status", "code", "field", "value", "way_out", "errors"}
    assert body["title"]
    assert body["way_out"]
    assert "Traceback" not in reply.text
    return body


def make_backend(settings: Settings, config: dict[str, object], clock: Clock | None = None) -> Backend:
    """A backend whose reconciler turns only when the test says `round()`."""
    clock = clock or Clock()
    app = create_app(settings, clock=clock)
    context: Context = app.state.context
    context.reconciler = Reconciler(
        context.database,
        settings,
        context.disk,
        context.publisher,
        lambda: None,
        clock=clock,
        monotonic=lambda: clock.ticks,
    )  # fmt: skip
    context.wrong_tokens = WrongTokens(Brake(clock, seconds=0))  # else every wrong token costs a test two seconds
    http = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    return Backend(context, clock, http, config)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without rows: copying it takes a tenth of the time of making it."""
    path = tmp_path_factory.mktemp("database") / "memgen.db"
    database = Database(path)
    database.migrate()
    database.close()
    return path


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """One event loop for the requests of all tests."""
    with start_blocking_portal() as running:
        yield running


@pytest.fixture
def settings(home: Path, migrated: Path) -> Callable[..., Settings]:
    """Settings of this test's home, whose database is there already."""
    (home / "backend").mkdir()
    shutil.copy(migrated, home / "backend" / "memgen.db")
    # schemathesis calls the application by that name
    return lambda **changes: Settings(
        **{"home": home, "REDIS_URL": NO_REDIS, "allowed_hosts": "testserver"} | changes
    )  # fmt: skip


@pytest.fixture
def start(
    settings: Callable[..., Settings], tiny_config: dict[str, object], portal: BlockingPortal
) -> Iterator[Callable[..., Backend]]:
    """Starts a backend on this test's home; again for a restart."""
    made: list[Backend] = []

    def make(clock: Clock | None = None, **changes: object) -> Backend:
        made.append(make_backend(settings(**changes), tiny_config, clock))
        made[-1].http.portal = portal
        return made[-1]

    yield make
    for one in made:
        one.context.database.close()


@pytest.fixture
def backend(start: Callable[..., Backend]) -> Backend:
    return start()
