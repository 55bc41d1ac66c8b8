"""Every refusal is problem+json with a stable code; nothing that a client sends is a 500."""

import errno
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from backend.api.schemas import FinishRequest, ProblemReply
from memgen.contract.events import Failed
from memgen.contract.problem import Problem
from memgen.contract.status import Cause
from tests.backend.conftest import SLOT, Backend, check_problem

JSON = {"Content-Type": "application/json"}
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def post(backend: Backend, path: str, body: bytes) -> Any:
    return backend.user("POST", path, content=body, headers=JSON)


BAD_ADDRESSES = [
    ("GET", "/nope", 404, "no_such_route"),
    ("PUT", "/runs", 405, "method_not_allowed"),
    ("GET", "/runs/99", 404, "run_not_found"),
    ("GET", "/runs/-1", 404, "run_not_found"),
    ("GET", f"/runs/{2**63}", 404, "run_not_found"),
    ("DELETE", f"/runs/{-(2**70)}?confirm=true", 404, "run_not_found"),
    ("GET", "/runs/abc", 422, "invalid_request"),
    ("GET", "/runs/1.5/log", 422, "invalid_request"),
    ("GET", "/runs/" + "9" * 5000, 422, "invalid_request"),
    ("GET", "/runs/%00", 422, "invalid_request"),
    ("POST", f"/runs/{2**63}/resume", 404, "run_not_found"),
    ("GET", "/runs/99/metrics", 404, "run_not_found"),
    ("GET", "/runs/99/log", 404, "run_not_found"),
    ("GET", "/runs/99/answers", 404, "run_not_found"),
    ("GET", "/runs/99/events", 404, "run_not_found"),
    ("GET", "/runs?status=nope", 400, "unknown_status"),
    ("GET", "/runs?status=queued,", 400, "unknown_status"),
    ("GET", "/runs?cursor=x", 400, "bad_cursor"),
    ("GET", f"/runs?cursor={2**63}", 400, "bad_cursor"),
    ("GET", "/runs?cursor=" + "9" * 3999, 400, "bad_cursor"),
    ("GET", "/runs?cursor=" + "9" * 4001, 422, "invalid_request"),
    ("GET", "/runs/1/answers?cursor=%00", 400, "bad_cursor"),
    ("GET", "/runs/1/answers?show=nice", 422, "invalid_request"),
    ("GET", "/runs/1/events?cursor=x", 400, "bad_cursor"),
    ("GET", f"/runs/1/metrics?since={2**63}", 422, "number_too_large"),
    ("GET", "/runs/1/metrics?max_points=1", 422, "invalid_request"),
    ("GET", "/runs?limit=0", 422, "invalid_request"),
    ("GET", "/runs/1/log?offset=-1", 422, "invalid_request"),
    ("GET", "/schema/nope", 422, "unknown_stage"),
]


def test_bad_address_is_refused_with_its_code(backend: Backend) -> None:
    backend.submit()
    for method, path, status, code in BAD_ADDRESSES:
        check_problem(backend.user(method, path), status, code)


def test_cursor_beyond_the_end_is_an_empty_page(backend: Backend) -> None:
    backend.submit()
    for path in ("/runs?cursor=-5", "/runs/1/events?cursor=99999", "/runs/1/answers?cursor=99999"):
        reply = backend.user("GET", path)
        assert (reply.status_code, reply.json()["items"], reply.json()["next_cursor"]) == (200, [], None)


BAD_CHANGES = [
    ({"batchsize": 4}, "unknown_config_key", "batchsize"),
    ({"preset": "Qwen/Qwen2.5-1.5B-Instuct"}, "unknown_preset", "preset"),
    ({"preset": "../../etc"}, "unknown_preset", "preset"),
    ({"preset": "a\0b"}, "unknown_preset", "preset"),
    ({"stage": "weaver"}, "unknown_stage", "stage"),
    ({"stage": None}, "unknown_stage", "stage"),
    ({"num_questions": 1001}, "too_many_questions", "num_questions"),
    ({"num_questions": 0}, "invalid_config", "num_questions"),
    ({"seed": 2**70}, "invalid_config", "seed"),
    ({"revision": "a b"}, "invalid_config", "revision"),
    ({"dtype": ["float32"]}, "invalid_config", "dtype"),
]


def test_bad_config_is_refused_by_submission_and_preflight_alike(backend: Backend) -> None:
    for change, code, field in BAD_CHANGES:
        config = backend.config | change
        problem = check_problem(backend.user("POST", "/runs", json={"config": config}), 422, code)
        assert problem["field"] == field
        reply = backend.user("POST", "/preflight", json={"config": config}).json()
        assert (reply["ok"], reply["problems"]) == (False, problem["errors"])
    assert backend.get("/runs")["items"] == []


def test_all_problems_of_a_config_are_told_at_once_but_no_more_than_a_hundred(backend: Backend) -> None:
    config = backend.config | {"batch_size": 0, "seed": -1, "nope": 1}
    problem = check_problem(backend.user("POST", "/runs", json={"config": config}), 422, "invalid_config")
    assert {item["field"] for item in problem["errors"]} == {"batch_size", "seed", "nope"}
    config |= {f"key{n}": 1 for n in range(150)}
    problem = check_problem(backend.user("POST", "/runs", json={"config": config}), 422, "invalid_config")
    assert len(problem["errors"]) == 100
    config |= {f"key{n}": 1 for n in range(5_000)}
    problem = check_problem(backend.user("POST", "/runs", json={"config": config}), 422, "invalid_config")
    assert "keys" in problem["title"]


def test_incomplete_gsm8k_folder_is_refused_and_a_complete_one_taken(
    start: Callable[..., Backend], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gsm8k"
    monkeypatch.setenv("MEMGEN_GSM8K_DIR", str(folder))
    backend = start()
    body = {"config": backend.config | {"data": "gsm8k"}}
    problem = check_problem(backend.user("POST", "/runs", json=body), 422, "data_folder_incomplete")
    assert problem["field"] == "MEMGEN_GSM8K_DIR"
    folder.mkdir()
    (folder / "train.jsonl").touch()
    problem = check_problem(backend.user("POST", "/runs", json=body), 422, "data_folder_incomplete")
    assert "test.jsonl" in problem["title"]
    (folder / "test.jsonl").touch()
    problem = check_problem(backend.user("POST", "/runs", json=body), 422, "data_folder_incomplete")
    assert "no questions" in problem["title"]
    rows = [json.dumps({"question": f"What is {number}?", "answer": f"#### {number}"}) for number in range(30)]
    (folder / "test.jsonl").write_text("\n".join(rows))
    assert backend.user("POST", "/runs", json=body).status_code == 201
    body["config"] |= {"num_questions": 100}
    for route, sent in (("/runs", body), ("/preflight", body)):
        reply = backend.user("POST", route, json=sent)
        problem = reply.json()["problems"][0] if route == "/preflight" else reply.json()
        assert (problem["code"], problem["field"]) == ("too_many_questions", "num_questions")
        assert "30 questions" in problem.get("title", problem.get("message", ""))
    body["config"] |= {"num_questions": None}
    assert backend.user("POST", "/preflight", json=body).json()["num_questions"] == 30


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_full_disk_is_refused(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(2, 1, 1))
    problem = check_problem(backend.user("POST", "/runs", json={"config": backend.config}), 422, "disk_full")
    assert problem["field"] == "MEMGEN_HOME"


def test_preflight_of_a_good_config_tells_what_it_takes_and_what_it_would_wait_for(backend: Backend) -> None:
    reply = backend.user("POST", "/preflight", json={"config": backend.config}).json()
    assert (reply["ok"], reply["num_questions"], reply["memory_device"]) == (True, 6, "cpu")
    assert reply["memory_bytes"] > 2**28
    assert reply["expected_seconds"] is None
    assert (reply["fits"], reply["placement"]) == (False, "No slot is alive: the run would wait.")
    assert any("No worker" in line for line in reply["warnings"])
    assert any("Redis" in line for line in reply["warnings"])
    attempt = backend.started()
    attempt.finish(result={"seconds": 12, "num_questions": 6})
    backend.announce(slots=[SLOT | {"total_memory": 1}])
    reply = backend.user("POST", "/preflight", json={"config": backend.config}).json()
    assert reply["expected_seconds"] == 12
    assert "the largest slot has 0.0 GiB. Lower" in reply["warnings"][0]
    assert (reply["fits"], reply["placement"][:31]) == (False, "Fits on none of 1 slot alive: i")
    backend.announce()
    reply = backend.user("POST", "/preflight", json={"config": backend.config}).json()
    assert (reply["fits"], reply["placement"]) == (True, "Fits on 1 of 1 slot alive: in the machine's memory.")
    assert len(backend.get("/runs")["items"]) == 1


BODIES = {
    "empty": b"",
    "cut": b'{"config":',
    "not utf-8": b'{"config":{"stage":"\xff\xfe"}}',
    "list": b"[]",
    "null": b"null",
    "text": b'"a"',
    "nan": b'{"config":{"stage":"evaluate","seed":NaN,"num_questions":1e999}}',
    "half a pair in the note": b'{"config":{"stage":"evaluate"},"note":"\\ud800"}',
    "half a pair as key": b'{"config":{"stage":"evaluate","\\ud800":1}}',
    "half a pair as outer key": b'{"config":{"stage":"evaluate"},"\\ud800":1}',
    "half a pair as stage": b'{"config":{"stage":"\\udfff"}}',
    "integer of 5000 digits": b'{"config":{"stage":"evaluate","seed":' + b"9" * 5000 + b"}}",
    "key of a megabyte": b'{"config":{"stage":"evaluate","' + b"k" * 2**20 + b'":1}}',
    "unknown outer key": b'{"config":{"stage":"evaluate"},"priority":7}',
    "outer key of 60 kB": b'{"config":{"stage":"evaluate"},"' + b"k" * 60_000 + b'":1}',
    "long note": json.dumps({"config": {"stage": "evaluate"}, "note": "x" * 201}).encode(),
    **{f"lists {n} deep": b'{"config":{"stage":"evaluate","seed":' + b"[" * n + b"]" * n + b"}}" for n in (400, 960)},
    **{f"objects {n} deep": b'{"config":' + b'{"a":' * n + b"1" + b"}" * n + b"}" for n in (400, 960, 100_000)},
}


@pytest.mark.parametrize("path", ["/runs", "/preflight"])
def test_bad_body_is_refused_and_the_reply_is_small(backend: Backend, path: str) -> None:
    for name, body in BODIES.items():
        reply = post(backend, path, body)
        if path == "/preflight" and reply.status_code == 200:  # a bad config is an answer there
            assert not reply.json()["ok"], name
        else:
            assert reply.status_code == 413 if len(body) > 2**16 else reply.status_code in (400, 422), name
            assert reply.headers["content-type"] == "application/problem+json", name
            assert reply.json()["code"], name
        assert len(reply.content) < 20_000, name
    check_problem(post(backend, path, b'{"config":'), 422, "unparsable_body")
    check_problem(post(backend, path, BODIES["not utf-8"]), 400, "unparsable_body")
    assert backend.get("/runs")["items"] == []


def test_body_of_more_than_64_kib_is_refused_and_without_a_token_not_even_its_length_is_told(backend: Backend) -> None:
    for size in (2**16, 10**7):
        body = json.dumps({"config": backend.config, "note": "x" * size}).encode()
        check_problem(post(backend, "/runs", body), 413, "body_too_large")
        check_problem(backend.http.post("/api/v1/runs", content=body, headers=JSON), 401, "no_token")


def test_text_of_another_content_type_is_refused(backend: Backend) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        reply = backend.user("POST", "/runs", content=b'{"config":{}}', headers={"Content-Type": kind})
        check_problem(reply, 422, "invalid_request")


def test_nul_in_a_note_is_kept(backend: Backend) -> None:
    run_id = backend.submit(note="a\0b")
    assert backend.run(run_id)["note"] == "a\0b"
    assert backend.get("/runs", text="a\0b")["items"][0]["id"] == run_id


def test_numbers_that_the_database_cannot_hold_are_refused(backend: Backend) -> None:
    sign = {"host": "lab", "boot_id": "b", "slots": []}
    check_problem(backend.worker("announce", json=sign | {"pid": 2**63}), 422, "invalid_request")
    backend.submit()
    claim = {"host": "lab", "boot_id": "b", "slot": SLOT, "free_memory": 2**80}
    check_problem(backend.worker("claim", json=claim | {"pid": -(2**70)}), 422, "invalid_request")
    attempt = backend.held()  # the refused claim took nothing
    check_problem(attempt.finish("failed", "error", exit_code=2**70), 422, "invalid_request")
    assert backend.run(1)["status"] == "running"


def test_openapi_document_names_the_problem_of_each_route(backend: Backend) -> None:
    document = backend.http.get("/api/v1/openapi.json").json()
    assert {"Problem", "ProblemReply"} <= set(document["components"]["schemas"])
    for methods in document["paths"].values():
        for operation in methods.values():
            assert "4XX" in operation["responses"]


def test_reply_of_an_error_is_its_problem_with_the_message_as_title_and_comes_back_as_one() -> None:
    problem = Problem(code="x", message="Too long.", field="f", value="7", way_out="Cut it.")
    reply = ProblemReply(**dict(problem), status=400, errors=[problem])
    wire = reply.model_dump()
    assert wire == {
        "type": "about:blank", "title": "Too long.", "status": 400, "code": "x", "field": "f", "value": "7",
        "way_out": "Cut it.", "errors": [dict(problem)],
    }  # fmt: skip
    assert ProblemReply.model_validate(wire) == reply


def test_report_of_a_failed_event_sends_the_problem_alone() -> None:
    problem = Problem(code="x", message="Too long.")
    event = Failed(time=1.0, traceback="t", **dict(problem))
    assert FinishRequest(outcome="failed", cause=Cause.ERROR, exit_code=1, failure=event).model_dump()["failure"] == (
        dict(problem)
    )


ODD = ["\ud800", "\0", 2**63, 10**30]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["stage", "preset", "data", "split", "num_questions", "batch_size", "seed", "revision", "x"])


@FEW
@given(change=st.dictionaries(KEYS, VALUES, max_size=3), note=VALUES, route=st.sampled_from(["/runs", "/preflight"]))
def test_whatever_a_config_holds_the_reply_is_no_internal_error(
    backend: Backend, change: dict[str, object], note: object, route: str
) -> None:
    body = {"config": backend.config | change} | ({"note": note} if route == "/runs" else {})
    reply = post(backend, route, json.dumps(body).encode())
    assert reply.status_code in (200, 201, 400, 422), reply.text
    json.loads(reply.content)


@FEW
@given(
    name=st.sampled_from(["status", "stage", "text", "cursor", "limit", "preset"]),
    value=st.text(max_size=20) | st.integers().map(str),
)
def test_whatever_a_query_holds_the_reply_is_no_internal_error(backend: Backend, name: str, value: str) -> None:
    reply = backend.user("GET", "/runs", params={name: value.encode("utf-8", "surrogatepass")})
    assert reply.status_code in (200, 400, 422), reply.text


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full")),
    ],
)
def test_full_disk_is_told_with_a_way_out(backend: Backend, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("backend.services.runs.submit", full)
    reply = backend.user("POST", "/runs", json={"config": backend.config})
    problem = check_problem(reply, 507, "storage_failed")
    assert "full" in problem["title"] or "No space left" in problem["title"]
    assert "make room" in problem["way_out"]
    assert backend.get("/runs")["items"] == []
