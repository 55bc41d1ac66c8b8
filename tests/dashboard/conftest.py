"""A backend of canned replies behind the real client."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import streamlit as st

from backend.api.client import Client
from dashboard.parts import api
from memgen.contract.config import config_hash, parse_config, stage_class
from memgen.contract.pipeline import STEPS, PipelineSpec
from memgen.contract.presets import BUILT_IN

TIME = "2026-11-22T20:00:00Z"


@dataclass
class FakeBackend:
    """Replies by method and path; what a test changes, the next request sees."""

    runs: dict[int, dict[str, Any]] = field(default_factory=dict)
    pipelines: dict[int, dict[str, Any]] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    broken_plugins: list[dict[str, str]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    series: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    compared: dict[str, Any] = field(default_factory=dict)
    insertions: list[dict[str, Any]] = field(default_factory=list)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    nodes: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: dict[int, dict[str, Any]] = field(default_factory=dict)
    down: bool = False
    submitted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    submitted_pipelines: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    paused: bool = False
    busy: int | None = None
    """Run that the one slot works on."""
    rescored: list[int] = field(default_factory=list)
    stopped_pipelines: list[tuple[int, str]] = field(default_factory=list)
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        self.asked.append(request)
        path = request.url.path.removeprefix("/api/v1")
        parts = path.strip("/").split("/")
        handler: Callable[..., httpx.Response] = getattr(
            self, f"_{request.method.lower()}_{parts[0].replace('-', '_')}"
        )
        return handler(request, *parts[1:])

    def add_run(self, run_id: int, status: str = "succeeded", **changes: Any) -> None:
        """A run that `GET /runs` knows."""
        config = parse_config(changes.pop("config", {"stage": "evaluate", "num_questions": 20}))
        ended = status in {"succeeded", "failed", "cancelled"}
        self.runs[run_id] = {
            "id": run_id,
            "stage": config.stage,
            "setting": getattr(config, "setting", ""),
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
            "warnings": [],
        } | changes

    def add_checkpoint(self, run_id: int, stage: str = "weaver_sft", reason: str = "", **changes: Any) -> None:
        """A training run that has succeeded, and its checkpoint as `GET /checkpoints` shows it."""
        config = {"stage": stage, **({"checkpoint": "1"} if stage == "trigger_grpo" else {})}
        self.add_run(run_id, config=config)
        self.checkpoints[run_id] = {
            "id": run_id, "stage": stage, "preset": BUILT_IN[0].name, "data": "gsm8k", "note": "",
            "run_status": "succeeded", "usable": not reason, "reason": reason, "created_at": TIME,
            "content_hash": "0123456789abcdef", "base_model": "b", "trained": [stage.split("_")[0]],
            "latents": {"prompt_latents_len": 8}, "step": 16, "parent_id": None, "size_bytes": 10**6,
            "folder": "train", "files": {},
        } | changes  # fmt: skip

    def add_pipeline(self, pipeline_id: int, status: str, runs: dict[str, int], **changes: Any) -> None:
        """A pipeline of runs that were added, by step."""
        self.pipelines[pipeline_id] = {
            "id": pipeline_id, "note": "", "preset": BUILT_IN[0].name, "data": "wordproblems", "created_at": TIME,
            "ended_at": None, "status": status, "can_continue": False, "continue_reason": "", "spec": {},
            "steps": [
                {"step": name, "label": STEPS[name].label, "reused": False, "run": self.runs.get(run), "reason": ""}
                for name, run in runs.items()
            ],
        } | changes  # fmt: skip

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

    def _get_data_sets(self, _request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"items": [], "broken": self.broken_plugins})

    def _get_schema(self, _request: httpx.Request, stage: str) -> httpx.Response:
        return httpx.Response(200, json=stage_class(stage).model_json_schema())

    def _get_pipelines(self, _request: httpx.Request, pipeline_id: str = "") -> httpx.Response:
        if not pipeline_id:
            items = sorted(self.pipelines.values(), key=lambda one: -one["id"])
            return httpx.Response(200, json={"items": items, "next_cursor": None})
        if int(pipeline_id) not in self.pipelines:
            problem = {"title": "No pipeline of this number.", "status": 404, "code": "pipeline_not_found"}
            return httpx.Response(404, json=problem)
        return httpx.Response(200, json=self.pipelines[int(pipeline_id)])

    def _post_pipelines(self, request: httpx.Request, which: str = "", action: str = "") -> httpx.Response:
        body = json.loads(request.content)
        if which == "preflight":
            one = json.loads(self._post_preflight(request).content)
            run = PipelineSpec.model_validate(body).to_run
            steps = {} if self.problems else dict.fromkeys(run, one)
            return httpx.Response(200, json={"ok": not self.problems, "problems": self.problems, "steps": steps})
        if action == "stop":
            self.stopped_pipelines.append((int(which), body["mode"]))
        elif action == "continue":
            self.pipelines[int(which)] |= {"status": "running", "can_continue": False}
        else:
            self.submitted_pipelines.append((request.headers["idempotency-key"], body))
            which = str(200 + len(self.submitted_pipelines))
            self.add_pipeline(int(which), "running", {}, spec=body)
        return httpx.Response(201, json=self.pipelines[int(which)])

    def _get_workers(self, _request: httpx.Request) -> httpx.Response:
        slot = {"name": "cpu", "device": "cpu", "gpus": [], "total_memory": 2**34, "run_id": self.busy}
        worker = {"host": "lab", "alive": True, "last_seen": TIME, "slots": [slot]}
        return httpx.Response(200, json={"items": [worker]})

    def _get_queue(self, _request: httpx.Request) -> httpx.Response:
        queued = [run for run in self.runs.values() if run["status"] == "queued"]
        items = sorted(queued, key=lambda run: (-run.get("priority", 0), run["id"]))
        return httpx.Response(200, json={"paused": self.paused, "items": items})

    def _post_queue(self, request: httpx.Request, _action: str) -> httpx.Response:
        self.paused = json.loads(request.content)["paused"]
        return self._get_queue(request)

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
                "fits": True,
                "placement": "Fits on 1 of 1 slot alive: in the machine's memory.",
                "disk_bytes": 10**6,
                "expected_seconds": 130,
            },
        )

    def _post_runs(self, request: httpx.Request, run_id: str = "", action: str = "") -> httpx.Response:
        body = json.loads(request.content)
        if action == "priority":
            self.runs[int(run_id)] |= body
            return httpx.Response(200, json=self.runs[int(run_id)])
        if action == "rescore":
            self.rescored.append(int(run_id))
            self.runs[int(run_id)] |= {"can_rescore": False, "scorer_version": 2}
            self.compared.pop("status", None)
            return httpx.Response(200, json=self.runs[int(run_id)])
        self.submitted.append((request.headers["idempotency-key"], body))
        self.add_run(100 + len(self.submitted), "queued", config=body["config"])
        return httpx.Response(201, json=self.runs[100 + len(self.submitted)])

    def _get_runs(self, request: httpx.Request, run_id: str = "", part: str = "") -> httpx.Response:
        if not run_id:
            filters = {name: request.url.params.get(name) for name in ("status", "stage", "preset", "setting")}
            items = [
                run
                for run in self.runs.values()
                if all(wanted in (None, run[name]) for name, wanted in filters.items())
            ]
            return httpx.Response(200, json={"items": items, "next_cursor": None})
        if int(run_id) not in self.runs:
            problem = {"title": "No run of this number.", "status": 404, "code": "unknown_run"}
            return httpx.Response(404, json=problem)
        if part == "metrics":
            return httpx.Response(200, json={"series": self.series})
        if part == "events":
            return httpx.Response(200, json={"items": self.events, "next_cursor": None})
        if part == "answers":
            counts = {"all": len(self.answers)}
            reply = {"items": self.answers, "next_cursor": None, "total": len(self.answers), "counts": counts}
            return httpx.Response(200, json=reply)
        return httpx.Response(200, json=self.runs[int(run_id)])

    def _delete_runs(self, request: httpx.Request, run_id: str) -> httpx.Response:
        assert "confirm" not in request.url.params or request.url.params["confirm"] == "false"
        reply = {"run_id": int(run_id), "paths": self.files, "size_bytes": 12_300_000, "deleted": False}
        return httpx.Response(200, json=reply)

    def _get_compare(self, request: httpx.Request, part: str = "") -> httpx.Response:
        if part == "answers":
            wanted = request.url.params["show"]
            items = [pair for pair in self.pairs if wanted in ("all", pair["kind"])]
            counts = {"all": len(self.pairs), wanted: len(items)}
            reply = {"items": items, "next_cursor": None, "total": len(items), "counts": counts}
            return httpx.Response(200, json=reply)
        if part == "insertions":
            return httpx.Response(200, json={"items": self.insertions})
        return httpx.Response(self.compared.get("status", 200), json=self.compared)

    def _get_lineage(self, _request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"nodes": self.nodes})

    def _get_checkpoints(self, _request: httpx.Request, checkpoint_id: str = "") -> httpx.Response:
        if not checkpoint_id:
            return httpx.Response(200, json={"items": list(self.checkpoints.values()), "next_cursor": None})
        if int(checkpoint_id) in self.checkpoints:
            return httpx.Response(200, json=self.checkpoints[int(checkpoint_id)])
        problem = {"title": "No checkpoint of this number.", "status": 404, "code": "unknown_checkpoint"}
        return httpx.Response(404, json=problem)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBackend]:
    """The fake, in place of what the dashboard's client reaches."""
    fake = FakeBackend()
    client = Client("http://backend.test", "token", transport=httpx.MockTransport(fake))
    monkeypatch.setattr(api, "client", lambda: client)
    st.cache_data.clear()
    yield fake
    client.close()
