"""The life of a session in which checkpoints are tried: opened, held, asked, and ended by whatever comes first."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from backend.api.schemas import TrySessionDetail
from memgen.contract.trying import session_dir
from tests.backend.conftest import API, MEMORY, SLOT, VERSIONS, Backend, check_problem

LAB = {"host": "lab", "boot_id": "b", "pid": 7, "slot": SLOT, "free_memory": MEMORY, "versions": VERSIONS}


@dataclass
class HeldSession:
    """A session that a slot holds, and the way to report on it."""

    backend: Backend
    id: int
    token: str
    columns: list[dict[str, Any]]
    checkpoints: dict[str, str]
    offset: int = 0

    def post(self, what: str, **arguments: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.backend.http.post(f"{API}/worker/sessions/{self.id}/{what}", headers=headers, **arguments)

    def beat(self) -> Any:
        reply = self.post("heartbeat")
        assert reply.status_code == 200, reply.text
        return reply.json()

    def say(self, *events: dict[str, Any]) -> None:
        data = b"".join(json.dumps({"time": 1.0, **event}).encode() + b"\n" for event in events)
        reply = self.post("events", params={"offset": self.offset}, content=data)
        assert reply.status_code == 200, reply.text
        self.offset = reply.json()["offset"]

    def load(self) -> None:
        self.say({"event": "phase", "name": "load", "detail": "folder:1"}, {"event": "loaded"})

    def grow(self, number: int, place: int, start: int, text: str, **more: Any) -> None:
        event = {"event": "grown", "question": number, "column": place, "start": start, "text": text, "tokens": 1}
        self.say(event | more)

    def answer(self, number: int, place: int, text: str = "It is 4.") -> None:
        record = {
            "id": "t:1",
            "index": number,
            "prompt": [],
            "solution": "",
            "completion": text,
            "metrics": {},
            "completion_tokens": 4,
            "truncated": False,
            "seconds": 0.5,
        }
        event = {"event": "answered", "question": number, "column": place, "record": record, "extracted": "4"}
        self.say(event | {"first_token_seconds": 0.1})

    def finish(self, outcome: str = "stopped", cause: str = "stopped", **more: Any) -> httpx.Response:
        return self.post("finish", json={"outcome": outcome, "cause": cause, "exit_code": 3, **more})


def column(backend: Backend, **changes: Any) -> dict[str, Any]:
    names = ("stage", "preset", "data", "max_completion_length")
    return {name: backend.config[name] for name in names} | changes


def opened(backend: Backend, *columns: dict[str, Any], **more: Any) -> Any:
    body = {"columns": list(columns) or [column(backend)]} | more
    reply = backend.user("POST", "/try", json=body)
    assert reply.status_code == 201, reply.text
    return reply.json()


def claimed(backend: Backend, **changes: Any) -> HeldSession | None:
    reply = backend.worker("claim", json=LAB | changes).json()
    assert reply["attempt"] is None
    one = reply["session"]
    return one and HeldSession(backend, one["session_id"], one["token"], one["columns"], one["checkpoints"])


def held(backend: Backend, *columns: dict[str, Any]) -> HeldSession:
    """A session that was opened, claimed and loaded."""
    backend.announce()
    opened(backend, *columns)
    one = claimed(backend)
    assert one is not None
    one.load()
    return one


def ask(backend: Backend, session_id: int, question: str = "How many?", **more: Any) -> httpx.Response:
    return backend.user("POST", f"/try/{session_id}/questions", json={"question": question, **more})


def session(backend: Backend, session_id: int) -> Any:
    return backend.get(f"/try/{session_id}")


def trained(backend: Backend) -> str:
    """A weaver's checkpoint; its id."""
    shared = {"preset": backend.config["preset"], "data": backend.config["data"]}
    backend.user("POST", "/runs", json={"config": shared | {"stage": "weaver_sft", "num_questions": 8}})
    return str(backend.work())


def test_questions_come_with_the_beat_and_answers_grow_until_they_are_complete(backend: Backend) -> None:
    one = held(backend, column(backend), column(backend, prompt_style="chain_of_thought"))
    assert (session(backend, one.id)["status"], one.beat()) == ("ready", {"stop": None, "questions": []})
    asked = ask(backend, one.id, solution="\\boxed{4}").json()
    assert [answer["status"] for answer in asked["asked"][0]["answers"]] == ["waiting", "waiting"]
    (question,) = one.beat()["questions"]
    assert (question["number"], question["question"], question["solution"]) == (1, "How many?", "\\boxed{4}")
    point = {"token": 0, "asked": True, "inserted": True, "character": 0, "probability": 0.75}
    one.grow(1, 0, 0, "It \ufffd")
    one.grow(1, 0, 3, "is", points=[point])
    first, second = session(backend, one.id)["asked"][0]["answers"]
    assert (first["status"], first["text"], second["status"]) == ("answering", "It is", "waiting")
    assert first["points"] == [point]
    one.answer(1, 0)
    one.say({"event": "unanswered", "question": 1, "column": 1, "problem": {"code": "x", "message": "No."}})
    first, second = session(backend, one.id)["asked"][0]["answers"]
    assert (first["status"], first["text"], first["extracted"], first["record"]["seconds"]) == (
        "answered",
        "It is 4.",
        "4",
        0.5,
    )
    assert (second["status"], second["failure"]["message"]) == ("failed", "No.")
    one.grow(1, 0, 0, "late")  # an answer that is complete stays as it is
    assert session(backend, one.id)["asked"][0]["answers"][0]["text"] == "It is 4."
    assert one.beat()["questions"] == []


def test_run_goes_first_and_a_session_gives_way_to_one_that_waits(backend: Backend) -> None:
    backend.announce()
    opened(backend)
    run = backend.submit()
    first = backend.held()  # the slot is free: the run gets it, whoever came first
    assert first.run_id == run
    assert first.finish("stopped", "stopped").status_code == 200
    one = claimed(backend)
    assert one is not None
    one.load()
    ask(backend, one.id)
    later = backend.submit()
    assert one.beat()["stop"] is None  # another slot may be about to take it
    assert f"Session {one.id}" in backend.run(later)["waits_for"]
    backend.clock.pass_time(5.0)
    assert one.beat()["stop"] == "save"
    said = session(backend, one.id)
    assert (said["status"], said["end"], said["gives_way_to"]) == ("ending", "gave_way", later)
    assert said["says"].startswith(f"Run {later} needs its slot.")
    check_problem(ask(backend, one.id), 409, "session_ended")
    assert one.finish().status_code == 200
    said = session(backend, one.id)
    assert (said["status"], said["end"], said["says"]) == ("ended", "gave_way", f"Run {later} needs its slot.")
    assert said["asked"][0]["answers"][0]["failure"]["code"] == "session_ended"
    assert backend.held().run_id == later


def test_one_run_ends_one_session_and_none_while_the_queue_is_paused_or_it_would_not_fit(backend: Backend) -> None:
    first = held(backend)
    opened(backend)
    second = claimed(backend, slot=SLOT | {"name": "cpu1"})
    assert second is not None
    assert backend.user("POST", "/queue/pause", json={"paused": True}).status_code == 200
    backend.submit()
    backend.clock.pass_time(10.0)
    assert (first.beat()["stop"], second.beat()["stop"]) == (None, None)
    assert backend.user("POST", "/queue/pause", json={"paused": False}).status_code == 200
    backend.clock.pass_time(3.0)
    assert (first.beat()["stop"], second.beat()["stop"]) == ("save", None)


def test_session_waits_where_a_slot_is_too_small_and_says_so(backend: Backend) -> None:
    small = SLOT | {"total_memory": 2**20}
    backend.announce(slots=[small])
    one = opened(backend)
    assert claimed(backend, slot=small, free_memory=2**20) is None
    assert "memory" in session(backend, one["id"])["says"]
    assert not backend.worker("look", json=LAB | {"slot": small, "free_memory": 2**20}).json()["has_work"]
    assert backend.worker("look", json=LAB).json()["has_work"]


def test_session_ends_when_nothing_is_asked_for_a_while(backend: Backend) -> None:
    one = held(backend)
    ask(backend, one.id)
    for _ in range(13):
        backend.clock.pass_time(50.0)
        session(backend, one.id)
        assert one.beat()["stop"] is None  # a question is under way
    one.answer(1, 0)
    assert session(backend, one.id)["idle_seconds_left"] == 600.0
    for _ in range(12):
        backend.clock.pass_time(50.0)
        session(backend, one.id)
        assert one.beat()["stop"] is None
    backend.clock.pass_time(1.0)
    backend.clock.pass_time(2.0)
    assert one.beat()["stop"] == "save"
    assert session(backend, one.id)["end"] == "idle"


def test_session_that_nobody_looks_at_ends_whether_it_is_held_or_waits(backend: Backend) -> None:
    one = held(backend)
    waiting = opened(backend)["id"]
    backend.clock.pass_time(61.0)
    assert one.beat()["stop"] == "save"
    backend.reconciler.round()
    assert session(backend, one.id)["end"] == "left"
    assert (session(backend, waiting)["status"], session(backend, waiting)["end"]) == ("ended", "left")


def test_whoever_looks_keeps_a_session_however_short_its_patience_is(start: Callable[..., Backend]) -> None:
    backend = start(try_absent_seconds=4)
    one = held(backend)
    for _ in range(6):
        backend.clock.pass_time(2.0)
        session(backend, one.id)
        assert one.beat()["stop"] is None


def test_session_whose_supervisor_is_not_heard_of_is_lost_and_its_folder_goes(backend: Backend) -> None:
    one = held(backend)
    ask(backend, one.id)
    folder = session_dir(backend.home, one.id)
    folder.path.mkdir(parents=True)
    backend.reconciler.round()
    assert folder.path.exists()
    backend.clock.pass_time(30.0)
    backend.reconciler.round()
    backend.clock.pass_time(31.0)
    backend.reconciler.round()
    said = session(backend, one.id)
    assert (said["status"], said["end"]) == ("ended", "lost")
    assert not folder.path.exists()
    check_problem(one.post("heartbeat"), 409, "stale_attempt")
    assert one.finish().status_code == 200  # whoever reports it late is told nothing new
    assert session(backend, one.id)["end"] == "lost"


def test_absence_of_the_backend_loses_no_session(start: Callable[..., Backend]) -> None:
    before = start()
    one = held(before)
    before.clock.pass_time(300.0)
    backend = start(before.clock)
    backend.reconciler.round()
    assert session(backend, one.id)["status"] == "ready"
    backend.clock.pass_time(3.0)
    one.backend = backend
    assert one.beat()["stop"] is None  # and whoever looks again keeps it


def test_failure_of_a_trainer_is_said_with_its_reason(backend: Backend) -> None:
    one = held(backend)
    failure = {"code": "checkpoint_damaged", "message": "A file is missing.", "way_out": "Choose another."}
    assert one.finish("failed", "error", failure=failure, traceback="Traceback ...").status_code == 200
    said = session(backend, one.id)
    assert (said["end"], said["failure"]["code"], said["traceback"]) == (
        "failed",
        "checkpoint_damaged",
        "Traceback ...",
    )
    assert "A file is missing." in said["says"]


def test_columns_of_a_checkpoint_are_the_base_and_what_it_is_good_for(backend: Backend) -> None:
    weaver = trained(backend)
    one = opened(backend, columns=[], checkpoint=int(weaver), shared={"max_completion_length": 40, "max_steps": 2})
    assert [(c["label"], c["checkpoint"]) for c in one["columns"]] == [
        ("base", None),
        ("weaver", int(weaver)),
        ("weaver+ltpo", int(weaver)),
    ]
    configs = [c["config"] for c in one["columns"]]
    assert {config["max_completion_length"] for config in configs} == {40}
    assert (configs[2]["max_steps"], "max_steps" in configs[1]) == (2, False)
    backend.announce()
    taken = claimed(backend)
    assert taken is not None
    assert taken.checkpoints == {weaver: f"runs/{weaver}/attempts/1/weaver_sft"}


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"setting": "weaver", "checkpoint": "/etc"}, "no_such_checkpoint", "columns.0.checkpoint"),
        ({"setting": "weaver", "checkpoint": "../1"}, "no_such_checkpoint", "columns.0.checkpoint"),
        ({"setting": "weaver"}, "invalid_config", "columns.0.checkpoint"),
        ({"stage": "weaver_sft", "max_completion_length": 24}, "not_askable", "columns.0.stage"),
    ],
)
def test_column_that_can_not_be_loaded_is_refused_by_its_field(
    backend: Backend, change: dict[str, Any], code: str, field: str
) -> None:
    reply = backend.user("POST", "/try", json={"columns": [column(backend, **change)]})
    assert check_problem(reply, 422, code)["field"] == field


def test_limits_of_questions_and_sessions(start: Callable[..., Backend]) -> None:
    backend = start(try_sessions=2)
    one = held(backend)
    opened(backend)
    reply = backend.user("POST", "/try", json={"columns": [column(backend)]})
    check_problem(reply, 409, "too_many_sessions")
    for _ in range(3):
        assert ask(backend, one.id).status_code == 201
    check_problem(ask(backend, one.id), 409, "too_many_questions")
    check_problem(ask(backend, one.id, "  "), 422, "empty_question")
    check_problem(ask(backend, one.id, "x" * 8001), 422, "invalid_request")


def test_one_column_is_asked_again_with_a_change(backend: Backend) -> None:
    one = held(backend, column(backend), column(backend, prompt_style="chain_of_thought"))
    change = {"leave_out": [0, 7], "force": [], "causal_check": "noise", "temperature": None, "seed": 42}
    asked = ask(backend, one.id, column=1, change=change).json()["asked"][0]
    assert ([answer["place"] for answer in asked["answers"]], asked["change"]) == ([1], change)
    (question,) = one.beat()["questions"]
    assert (question["column"], question["change"]) == (1, change)
    one.answer(1, 1)
    assert one.beat()["questions"] == []
    check_problem(ask(backend, one.id, column=2), 422, "no_such_column")
    check_problem(ask(backend, one.id, change=change), 422, "change_without_column")


def test_question_that_is_sent_again_with_its_key_is_asked_once(backend: Backend) -> None:
    one = held(backend)
    for _ in range(2):
        reply = backend.user(
            "POST", f"/try/{one.id}/questions", json={"question": "How many?"}, headers={"Idempotency-Key": "k"}
        )
        assert reply.status_code == 201
    assert len(session(backend, one.id)["asked"]) == 1


def test_ended_session_is_forgotten_after_a_day_unless_it_is_kept(backend: Backend) -> None:
    kept, other = (opened(backend)["id"] for _ in range(2))
    assert backend.user("POST", f"/try/{kept}/keep", json={"kept": True}).json()["kept"]
    for number in (kept, other):
        assert backend.user("POST", f"/try/{number}/stop", json={}).json()["status"] == "ended"
    backend.clock.pass_time(24 * 3600 + 1)
    backend.reconciler.round()
    assert [one["id"] for one in backend.get("/try")["items"]] == [kept]
    check_problem(backend.user("GET", f"/try/{other}"), 404, "session_not_found")


def test_sessions_are_no_runs_and_slots_say_what_they_hold(backend: Backend) -> None:
    one = held(backend)
    (worker,) = backend.get("/workers")["items"]
    assert [(slot["run_id"], slot["try_session"]) for slot in worker["slots"]] == [(None, one.id)]
    assert (backend.get("/runs")["total"], backend.get("/home")["num_runs"]) == (0, 0)


def test_report_of_a_session_needs_its_token(backend: Backend) -> None:
    one = held(backend)
    attempt = backend.started()
    for token in (attempt.token, backend.context.user_token, backend.context.worker_token):
        headers = {"Authorization": f"Bearer {token}"}
        reply = backend.http.post(f"{API}/worker/sessions/{one.id}/heartbeat", headers=headers)
        check_problem(reply, 401, "wrong_token")
    check_problem(backend.worker("sessions/999/heartbeat"), 401, "wrong_token")


def test_stream_tells_the_whole_session_and_then_what_changes(backend: Backend) -> None:
    one = held(backend)
    ask(backend, one.id)
    one.answer(1, 0)
    ask(backend, one.id, "And now?")
    backend.user("POST", f"/try/{one.id}/stop", json={})
    one.finish()
    reply = backend.user("GET", f"/try/{one.id}/stream")
    assert reply.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: ")]
    (whole,) = [TrySessionDetail.model_validate_json(line) for line in lines]
    assert [asked.question for asked in whole.asked] == ["How many?", "And now?"]
    assert whole.status == "ended"
