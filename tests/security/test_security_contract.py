"""Requests that the OpenAPI document allows, and many that it does not: never a 5xx, never a reply it does not name."""

import sqlite3
from contextlib import closing

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.backend.conftest import Backend
from tests.backend.services.test_try import column

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
FEW, MANY = 5, 50  # cases of each operation and role: over 500, and over 5,000


@pytest.fixture
def populated(backend: Backend) -> Backend:
    """With a pipeline that is half done, answers, metrics, a checkpoint, an attempt under way, and a session's end."""
    backend.announce()
    backend.submit_pipeline()
    for _ in range(3):
        backend.work()
        backend.reconciler.round()
    backend.submit(note="waits")
    backend.started(note="runs").say({"event": "metric", "name": "train/loss", "step": 1, "value": 2.0})
    session = backend.user("POST", "/try", json={"columns": [column(backend)]}).json()["id"]
    assert backend.user("POST", f"/try/{session}/stop", json={}).json()["status"] == "ended"
    return backend


def attack(backend: Backend, role: str, examples: int) -> int:
    """Send generated requests to every operation; returns how many."""
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", backend.http.app)
    context = backend.context
    live = backend.started()
    token = {"user": context.user_token, "worker": context.worker_token, "attempt": live.token, "nobody": ""}[role]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    sent = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        right, wrong = (
            operation.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        )

        @given(case=st.one_of(right, wrong))
        @settings(
            max_examples=examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def send(case: Case) -> None:
            nonlocal sent
            sent += 1
            if role == "attempt" and "attempt_id" in case.path_parameters and sent % 2:
                case.path_parameters["attempt_id"] = live.id
            case.call_and_validate(headers=headers, checks=CHECKS)

        send()
    return sent


def chain(backend: Backend, examples: int) -> None:
    """Send generated chains of a user's requests, each with what the replies before it named."""
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", backend.http.app)
    headers = {"Authorization": f"Bearer {backend.context.user_token}"}
    at_first = backend.home / "at-first.db"
    with closing(sqlite3.connect(backend.context.settings.database)) as live:
        live.execute("VACUUM INTO ?", [str(at_first)])

    class Story(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            """Each chain meets the same runs: Hypothesis takes it for an error if the same requests go another way."""
            with (
                closing(sqlite3.connect(at_first)) as kept,
                closing(sqlite3.connect(backend.context.settings.database)) as live,
            ):
                kept.backup(live)

        def get_call_kwargs(self, case: Case) -> dict[str, object]:
            return {"headers": headers}

        def validate_response(self, response: object, case: Case, **_: object) -> None:
            case.validate_response(response, checks=CHECKS, headers=headers)

    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=examples,
            stateful_step_count=8,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_chains_of_generated_requests_get_replies_that_the_document_names(populated: Backend) -> None:
    chain(populated, 6)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_many_chains_of_generated_requests_get_replies_that_the_document_names(populated: Backend) -> None:
    chain(populated, 150)


@pytest.mark.parametrize("role", ["user", "worker", "attempt", "nobody"])
def test_no_generated_request_gets_a_reply_that_the_document_does_not_name(populated: Backend, role: str) -> None:
    assert attack(populated, role, FEW) >= 130


def test_events_of_a_session_are_what_the_document_names(populated: Backend) -> None:
    (session,) = populated.get("/try")["items"]
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", populated.http.app)
    case = schema["/api/v1/try/{session_id}/stream"]["GET"].Case(path_parameters={"session_id": session["id"]})
    case.call_and_validate(headers={"Authorization": f"Bearer {populated.context.user_token}"}, checks=CHECKS)


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("role", ["user", "worker", "attempt", "nobody"])
def test_thousands_of_generated_requests_get_replies_that_the_document_names(populated: Backend, role: str) -> None:
    assert attack(populated, role, MANY) >= 1300


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/queue/pause", {"paused": "0"}),
        ("/queue/pause", {"paused": 1}),
        ("/runs/1/priority", {"priority": "5"}),
        ("/runs/1/priority", {"priority": True}),
        ("/runs", {"config": {"stage": "evaluate", "num_questions": "4"}}),
        ("/runs", {"config": {"stage": "evaluate", "num_questions": True}}),
        ("/runs", {"config": {"stage": "evaluate", "seed": "1e1"}}),
        ("/runs", {"config": {"stage": "ltpo_evaluate", "checkpoint": "1", "lr": "0.1"}}),
        ("/runs", {"config": {"stage": "weaver_sft", "gradient_checkpointing": "0"}}),
        ("/runs", {"config": {"stage": "trigger_grpo", "checkpoint": "1", "sample_tokens": "off"}}),
        ("/runs", {"config": {"stage": "trigger_grpo", "checkpoint": "1", "sample_tokens": 1}}),
        ("/pipelines", {"shared": {"preset": "tiny/qwen2-242k"}, "evaluations": {"num_questions": "4"}}),
    ],
)
def test_value_of_another_type_is_refused_and_not_taken_for_one_that_it_looks_like(
    backend: Backend, path: str, body: dict[str, object]
) -> None:
    backend.submit()
    config = body.get("config")
    if isinstance(config, dict):
        body = {"config": {"preset": backend.config["preset"], "data": "wordproblems"} | config}
    reply = backend.user("POST", path, json=body)
    assert reply.status_code == 422, reply.text
    # it names the field that has the wrong type, and no other
    wrong = (config or body.get("evaluations") or body).keys()  # type: ignore[attr-defined]
    assert reply.json()["field"].rpartition(".")[2] in wrong
    assert len(backend.get("/runs")["items"]) == 1
