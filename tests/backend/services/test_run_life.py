"""The life of a run as the API shows it."""

import pytest

from memgen.contract.config import config_hash, parse_config
from tests.backend.conftest import Backend, Held, answer_line, check_problem


def test_submitted_run_is_claimed_reported_and_succeeds_with_a_history_of_each_change(backend: Backend) -> None:
    run_id = backend.submit(note="first", batch_size=2)
    run = backend.run(run_id)
    assert (run["status"], run["note"], run["num_attempts"], run["progress"]) == ("queued", "first", 1, None)
    assert run["config_hash"] == config_hash(parse_config(backend.config | {"batch_size": 2}))

    attempt = backend.held()
    assert backend.run(run_id)["attempts"][0]["status"] == "starting"
    backend.clock.pass_time(1)
    attempt.say(
        {"event": "phase", "name": "generate", "detail": "on cpu"},
        {"event": "progress", "done": 0, "total": 6, "unit": "questions", "time": 100.0},
        {"event": "progress", "done": 2, "total": 6, "unit": "questions", "time": 110.0},
        {"event": "warning", "code": "slow", "message": "this is slow"},
    )
    attempt.answer(0, 1)
    attempt.answer(2, right=False)
    assert attempt.send("log", b"hello\n").json() == {"offset": 6}
    run = backend.run(run_id)
    assert run["status"] == "running"
    assert run["progress"] == {
        "phase": "generate",
        "detail": "on cpu",
        "done": 2.0,
        "total": 6.0,
        "unit": "questions",
        "seconds_left": 20.0,
    }
    assert run["summary"] == {"num_questions": 3.0, "accuracy": 2 / 3}
    assert (run["attempts"][0]["log_bytes"], run["attempts"][0]["worker"]) == (6, "lab")

    backend.clock.pass_time(1)
    reply = attempt.finish(result={"num_questions": 6, "accuracy": 0.5}, environment={"torch": "2.13.0"})
    assert reply.json() == {"publish": False}
    run = backend.run(run_id)
    assert (run["status"], run["cause"], run["cause_text"], run["exit_code"]) == ("succeeded", "done", "finished", 0)
    assert run["summary"] == {"num_questions": 6.0, "accuracy": 0.5}
    assert run["output"] == f"evaluate/wordproblems/qwen2-242k/{run_id}/evaluate"
    assert run["environment"] == {"torch": "2.13.0"}
    assert run["warnings"] == ["this is slow"]
    assert (run["progress"], run["can_resume"], run["waits_for"]) == (None, False, None)
    told = [
        (e["kind"], e["attempt"], e["from_status"], e["to_status"], e["cause"], e["actor"])
        for e in backend.history(run_id)
    ]
    assert told == [
        ("run", None, None, "queued", None, "user"),
        ("attempt", 1, "queued", "starting", None, "worker lab"),
        ("run", None, "queued", "running", None, "worker lab"),
        ("warning", 1, None, None, None, "trainer"),
        ("attempt", 1, "starting", "running", None, "trainer"),
        ("attempt", 1, "running", "succeeded", "done", "worker lab"),
        ("run", None, "running", "succeeded", "done", "worker lab"),
    ]


def test_failed_run_keeps_what_its_trainer_said(backend: Backend) -> None:
    attempt = backend.started()
    failure = {"code": "prompt_too_long", "message": "Too long.", "field": "f", "value": "7", "way_out": "Cut it."}
    reply = attempt.finish("failed", "invalid_config", failure=failure, traceback="Traceback: é", exit_code=2)
    assert reply.json() == {"publish": False}
    run = backend.run(attempt.run_id)
    assert (run["status"], run["cause"], run["failure"], run["exit_code"]) == ("failed", "invalid_config", failure, 2)
    assert (run["traceback"], run["output"]) == ("Traceback: é", None)
    assert backend.history(attempt.run_id)[-1]["detail"] == "Too long."


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ('{"code": "c", "message": "m", "way_out": "w"}', {"code": "c", "message": "m", "way_out": "w"}),
        ('{"code": "c", "message": "m", "field": "f", "value": "v", "way_out": "", "other": 1}',
         {"code": "c", "message": "m", "field": "f", "value": "v"}),
        ("null", None),
        (None, None),
    ],
)  # fmt: skip
def test_failures_that_earlier_versions_stored_are_read(backend: Backend, stored: str | None, read: object) -> None:
    run_id = backend.submit()
    with backend.context.database.write() as session:
        session.connection().exec_driver_sql("UPDATE run SET failure = ?", (stored,))
    failure = backend.run(run_id)["failure"]
    assert failure == (read and {"field": None, "value": None, "way_out": "", **read})


def test_stop_of_a_trainer_by_signal_without_a_request_ends_cancelled(backend: Backend) -> None:
    attempt = backend.started()
    assert attempt.finish("stopped", "stopped", exit_code=3).json() == {"publish": False}
    assert [e["to_status"] for e in backend.history(attempt.run_id) if e["kind"] == "run"] == [
        "queued",
        "running",
        "stopping",
        "cancelled",
    ]


def test_finish_whose_reply_was_lost_gets_the_same_reply_again_and_changes_nothing(backend: Backend) -> None:
    attempt = backend.started()
    assert attempt.finish(result={"accuracy": 1}).json() == {"publish": False}
    before = backend.run(attempt.run_id), backend.history(attempt.run_id)
    assert attempt.finish(result={"accuracy": 0}).json() == {"publish": False}
    assert (backend.run(attempt.run_id), backend.history(attempt.run_id)) == before
    check_problem(attempt.finish("failed", "error"), 409, "stale_attempt")


def test_result_that_is_no_finite_number_is_left_out_of_the_summary(backend: Backend) -> None:
    attempt = backend.started()
    body = b'{"outcome":"succeeded","cause":"done","exit_code":0,"result":{"a":1,"b":NaN,"c":null,"d":"x","e":1%b},'
    body = body % (b"0" * 400) + b'"environment":{"x":"\\ud800","deep":' + b"[" * 700 + b"]" * 700 + b"}}"
    reply = attempt.post("finish", content=body, headers={"Content-Type": "application/json"})
    assert reply.json() == {"publish": False}
    run = backend.run(attempt.run_id)
    assert (run["status"], run["summary"], run["environment"]) == ("succeeded", {"a": 1.0}, {})


def test_answers_are_paged_filtered_and_searched(backend: Backend) -> None:
    attempt = backend.started()
    attempt.answer(*range(5))
    attempt.answer(5, right=False)
    lines = answer_line(6, truncated=True, metrics={"accuracy": 0.0}) + b'{"summary_metrics": {"accuracy": 0.7}}\n'
    assert attempt.send("answers", lines).status_code == 200
    path = f"/runs/{attempt.run_id}/answers"
    page = backend.get(path, limit=4)
    assert [item["index"] for item in page["items"]] == [0, 1, 2, 3]
    assert page["counts"] == {"all": 7, "right": 5, "wrong": 2, "truncated": 1, "no_box": 1}
    rest = backend.get(path, limit=4, cursor=page["next_cursor"])
    assert ([item["index"] for item in rest["items"]], rest["next_cursor"]) == ([4, 5, 6], None)
    assert [item["index"] for item in backend.get(path, show="wrong")["items"]] == [5, 6]
    assert backend.get(path, text="🙂 3")["total"] == 1
    assert backend.get(path, text="100%")["total"] == 0
    assert backend.get(path, cursor=2**62)["items"] == []
    assert backend.run(attempt.run_id)["summary"] == {"accuracy": 0.7}


def test_runs_are_listed_newest_first_by_page_and_filter(backend: Backend) -> None:
    ids = [backend.submit(note=f"note {number} 50%") for number in range(5)]
    backend.stop(ids[0])
    page = backend.get("/runs", limit=2)
    assert [run["id"] for run in page["items"]] == ids[:2:-1]
    page = backend.get("/runs", limit=2, cursor=page["next_cursor"])
    assert [run["id"] for run in page["items"]] == ids[2:0:-1]
    assert [run["id"] for run in backend.get("/runs", status="cancelled,running")["items"]] == ids[:1]
    assert [run["id"] for run in backend.get("/runs", text="3 50%")["items"]] == [ids[3]]
    assert len(backend.get("/runs", text="QWEN2", stage="evaluate", setting="base")["items"]) == 5
    assert backend.get("/runs", preset="other")["items"] == []


def test_history_is_paged_oldest_first(backend: Backend) -> None:
    attempt = backend.started()
    attempt.finish()
    whole = backend.history(attempt.run_id)
    pieces, cursor = [], None
    while True:
        page = backend.get(f"/runs/{attempt.run_id}/events", limit=2, **({"cursor": cursor} if cursor else {}))
        pieces += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert pieces == whole


def test_time_left_is_told_from_the_first_full_batch_on_and_from_this_attempt_alone(backend: Backend) -> None:
    backend.submit(batch_size=8, num_questions=24)

    def left(held: Held, *told: tuple[float, float]) -> float | None:
        events = [{"event": "progress", "done": d, "total": 24, "unit": "questions", "time": t} for d, t in told]
        held.say({"event": "phase", "name": "generate"}, *events)
        seconds: float | None = backend.run(held.run_id)["progress"]["seconds_left"]
        return seconds

    first = backend.held()
    assert left(first, (0, 100.0)) is None
    assert left(first, (0, 100.0), (1, 150.0)) is None
    assert left(first, (0, 100.0), (7, 178.0)) is None
    assert left(first, (0, 100.0), (8, 180.0)) == 160.0
    first.answer(*range(8))
    first.finish("stopped", "stopped")
    assert backend.user("POST", f"/runs/{first.run_id}/resume", json={}).status_code == 200
    second = backend.held()
    assert left(second, (8, 1000.0), (9, 1010.0)) is None
    assert left(second, (8, 1000.0), (16, 1040.0)) == 40.0
    assert left(second, (23, 1000.0), (24, 1005.0)) is None


def test_time_left_where_the_width_is_open_waits_for_as_many_as_are_answered_at_the_same_time(backend: Backend) -> None:
    backend.submit(batch_size="auto", num_questions=24)
    held = backend.held()
    held.send("answers", answer_line(0, batch_size=8))
    progress = {"event": "progress", "total": 24, "unit": "questions"}
    held.say(progress | {"done": 0, "time": 100.0}, progress | {"done": 1, "time": 150.0})
    assert backend.run(held.run_id)["progress"]["seconds_left"] is None
    held.say(progress | {"done": 8, "time": 180.0})
    assert backend.run(held.run_id)["progress"]["seconds_left"] == 160.0


def test_time_left_of_a_training_is_told_from_its_first_step_on(backend: Backend) -> None:
    backend.submit(stage="weaver_sft", num_questions=None)
    held = backend.held()
    held.say(
        {"event": "progress", "done": 0, "total": 16, "unit": "steps", "time": 100.0},
        {"event": "progress", "done": 1, "total": 16, "unit": "steps", "time": 104.0},
    )
    assert backend.run(held.run_id)["progress"]["seconds_left"] == 60.0
