"""The real backend in process, behind the dashboard's client: what happens to runs comes about as in real life."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi.testclient import TestClient
from streamlit.testing.v1 import AppTest

from backend.api.client import Client
from backend.services import runs
from memgen.contract.config import parse_config
from memgen.contract.presets import DEMO_PRESET
from memgen.scoring import SCORER_VERSIONS
from tests.backend.conftest import Backend, Held, answer_line

SCORER_VERSION = SCORER_VERSIONS["number"]  # of the kind that our data sets have

QWEN = "Qwen/Qwen3-14B"
SFT: dict[str, Any] = {"stage": "weaver_sft", "num_questions": None, "data": "wordproblems"}
GRPO: dict[str, Any] = {"stage": "trigger_grpo", "num_questions": None, "data": "wordproblems"}


class Wire(httpx.BaseTransport):
    """The way from the client to the application; it can be cut, and remembers what was asked."""

    def __init__(self, application: TestClient) -> None:
        self._application = application
        self.asked: list[httpx.Request] = []
        self.replied: dict[str, int] = {}
        """Bytes of the last reply by path."""
        self.down = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        self.asked.append(request)
        reply = self._application.request(
            request.method, str(request.url), content=request.read(), headers=request.headers
        )
        self.replied[request.url.path.removeprefix("/api/v1")] = len(reply.content)
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    def paths(self) -> list[str]:
        """Method and path of all requests so far."""
        return [f"{one.method} {one.url.path.removeprefix('/api/v1')}" for one in self.asked]

    def query(self, path: str) -> dict[str, str]:
        """Parameters of the last request to a path."""
        return dict([one.url.params for one in self.asked if one.url.path == f"/api/v1{path}"][-1])

    def sent(self, path: str) -> tuple[Any, str]:
        """Body and key of the last submission to a path."""
        last = [one for one in self.asked if (one.method, one.url.path) == ("POST", f"/api/v1{path}")][-1]
        return json.loads(last.content), last.headers["idempotency-key"]


@dataclass
class Studio(Backend):
    """Short words for what users and workers have done before a page is opened."""

    wire: Wire = field(kw_only=True)
    client: Client = field(kw_only=True)

    def spec(self, **changes: object) -> dict[str, Any]:
        return {"shared": {"preset": DEMO_PRESET}, **changes}

    def claimed(self, **config: Any) -> Held:
        """A run that was submitted and that a worker has taken."""
        run_id = self.submit(**config)
        self.user("POST", f"/runs/{run_id}/priority", json={"priority": 1000})
        held = self.held()
        assert held.run_id == run_id
        return held

    def failed(self, **config: Any) -> int:
        """A run whose trainer ended with an error."""
        held = self.claimed(**config)
        held.finish("failed", "error")
        return held.run_id

    def evaluated(
        self, *right: bool, answers: dict[int, dict[str, Any]] | None = None, result: dict[str, float] | None = None,
        environment: dict[str, Any] | None = None, **config: Any,
    ) -> int:  # fmt: skip
        """A finished evaluation with these verdicts; `answers` has what is to be said in some of them."""
        held = self.claimed(**config)
        lines = [answer_line(i, **{"right": value, **(answers or {}).get(i, {})}) for i, value in enumerate(right)]
        assert held.send("answers", b"".join(lines)).status_code == 200
        accuracy = sum(right) / len(right) if right else 0.5
        self.complete(
            held,
            result={"num_questions": len(right) or 20, "accuracy": accuracy} | (result or {}),
            environment={"model": "folder:1", "prompt_hash": "p", "scorer_version": SCORER_VERSION}
            | (environment or {}),
        )
        return held.run_id

    def trained(
        self, stage: dict[str, Any] = SFT, *events: dict[str, Any], result: dict[str, float] | None = None,
        manifest: dict[str, Any] | None = None, **config: Any,
    ) -> int:  # fmt: skip
        """A training that has succeeded, and whose checkpoint is known."""
        held = self.claimed(**stage | config)
        held.say(*events)
        self.complete(held, manifest={"step": 16} | (manifest or {}), result=result or {"steps": 16})
        self.reconciler.round()
        return held.run_id

    def work_through(self, pipeline_id: int, *, seconds: float) -> None:
        """Do all steps of a pipeline, each in so many seconds."""
        for _ in self.steps(pipeline_id):
            held = self.held()
            result = {"num_questions": 20, "accuracy": 0.5, "steps": 16, "seconds": seconds}
            self.complete(held, result=result)
            self.reconciler.round()

    def many(self, number: int) -> None:
        """So many queued evaluations."""
        config = parse_config(self.config)
        with self.context.database.write() as session:
            for _ in range(number):
                runs.submit(session, config, "", at=self.clock(), retries=0)

    def short_hash(self, checkpoint_id: int) -> str:
        """The first characters of a checkpoint's hash, as lists show it."""
        return str(self.get(f"/checkpoints/{checkpoint_id}")["content_hash"])[:8]


def metric(name: str, *values: float) -> list[dict[str, Any]]:
    """Events of a metric, from step 1 on."""
    return [{"event": "metric", "name": name, "step": step, "value": value} for step, value in enumerate(values, 1)]


def progress(done: float, total: float, unit: str = "steps") -> dict[str, Any]:
    """An event that says how far a phase is."""
    return {"event": "progress", "done": done, "total": total, "unit": unit}


def links(app: AppTest) -> dict[str, str]:
    """Label and query of each link to a page."""
    return {link.proto.label: link.proto.query_string for link in app.get("page_link")}
