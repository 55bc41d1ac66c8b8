"""A backend of canned replies behind the real client."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import streamlit as st

from backend.client import Client
from dashboard import api
from memgen.contract.config import config_hash, parse_config
from memgen.contract.presets import BUILT_IN
from memgen.contract.stage_configs import EvaluateConfig

TIME = "2026-11-22T20:00:00Z"


@dataclass
class FakeBackend:
    """Replies by method and path; what a test changes, the next request sees."""

    runs: dict[int, dict[str, Any]] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    down: bool = False
    submitted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        self.asked.append(request)
        path = request.url.path.removeprefix("/api/v1")
        parts = path.strip("/").split("/")
        handler: Callable[..., httpx.Response] = getattr(self, f"_{request.method.lower()}_{parts[0]}")
        return handler(request, *parts[1:])

    def add_run(self, run_id: int, status: str = "succeeded", **changes: Any) -> None:
        """A run that `GET /runs` knows."""
        config = parse_config(changes.pop("config", {"stage": "evaluate", "num_questions": 20}))
        ended = status in {"succeeded", "failed", "cancelled"}
        self.runs[run_id] = {
            "id": run_id,
            "stage": "evaluate",
            "setting": "base",
            "preset": config.preset,
            "data": config.data,
            "note": "",
            "status": status,
            "cause": None,
            "cause_text": None,
            "waits_for": None,
            "created_at": TIME,
            "started_at": None if status == "queued" else TIME,
            "ended_at": TIME if ended else None,
            "progress": None,
            "summary": {},
            "num_attempts": 1,
            "config": config.model_dump(mode="json"),
            "config_hash": config_hash(config),
            "failure": None,
            "traceback": None,
            "exit_code": None,
            "can_resume": False,
            "resume_reason": "",
            "output": None,
            "environment": {},
            "attempts": [],
        } | changes

    def _get_health(self, _request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={
            "status": "ok", "version": "0", "database": "ok", "broker": "ok", "reconciler_age_seconds": 1,
            "workers_alive": 1, "home_free_bytes": 2**40,
        })  # fmt: skip

    def _get_presets(self, _request: httpx.Request) -> httpx.Response:
        items = [
            {"name": one.name, "note": one.note, "parameters": one.dimensions.parameters,
             "weights_bytes": 2 * one.dimensions.parameters, "expected_hours": {}}
            for one in BUILT_IN
        ]  # fmt: skip
        return httpx.Response(200, json={"items": items})

    def _get_schema(self, _request: httpx.Request, _stage: str) -> httpx.Response:
        return httpx.Response(200, json=EvaluateConfig.model_json_schema())

    def _get_workers(self, _request: httpx.Request) -> httpx.Response:
        slot = {"name": "cpu", "device": "cpu", "gpus": [], "total_memory": 2**34, "run_id": None}
        worker = {"host": "lab", "alive": True, "last_seen": TIME, "slots": [slot]}
        return httpx.Response(200, json={"items": [worker]})

    def _post_preflight(self, _request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200,
            json={
                "ok": not self.problems,
                "problems": self.problems,
                "warnings": self.warnings,
                "num_questions": 1319,
                "memory_bytes": 2**30,
                "memory_device": "cpu",
                "disk_bytes": 10**6,
                "expected_seconds": 130,
            },
        )

    def _post_runs(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.submitted.append((request.headers["idempotency-key"], body))
        self.add_run(100 + len(self.submitted), "queued", config=body["config"])
        return httpx.Response(201, json=self.runs[100 + len(self.submitted)])

    def _get_runs(self, request: httpx.Request, run_id: str = "", part: str = "") -> httpx.Response:
        if not run_id:
            wanted = request.url.params.get("status")
            items = [run for run in self.runs.values() if wanted in (None, run["status"])]
            return httpx.Response(200, json={"items": items, "next_cursor": None})
        if int(run_id) not in self.runs:
            problem = {"title": "No run of this number.", "status": 404, "code": "unknown_run"}
            return httpx.Response(404, json=problem)
        if part == "metrics":
            return httpx.Response(200, json={"series": []})
        if part == "answers":
            counts = {"all": len(self.answers)}
            reply = {"items": self.answers, "next_cursor": None, "total": len(self.answers), "counts": counts}
            return httpx.Response(200, json=reply)
        return httpx.Response(200, json=self.runs[int(run_id)])


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBackend]:
    """The fake, in place of what the dashboard's client reaches."""
    fake = FakeBackend()
    client = Client("http://backend.test", "token", transport=httpx.MockTransport(fake))
    monkeypatch.setattr(api, "client", lambda: client)
    st.cache_data.clear()
    yield fake
    client.close()
