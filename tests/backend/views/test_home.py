"""The state of everything in one reply: what runs, fails, waits and came out."""

from typing import Any

from tests.backend.conftest import Backend

MANY = 24


def evaluated(backend: Backend, right: int, **config: Any) -> int:
    """A finished evaluation of `MANY` questions, so many of them right."""
    run_id = backend.submit(num_questions=MANY, **config)
    held = backend.held()
    held.answer(*range(right))
    held.answer(*range(right, MANY), right=False)
    backend.complete(held, result={"num_questions": MANY, "accuracy": right / MANY})
    backend.clock.pass_time(1)
    return run_id


def trained(backend: Backend) -> int:
    backend.submit(stage="weaver_sft", num_questions=8)
    return backend.work()


def test_nothing_has_happened_yet(backend: Backend) -> None:
    state = backend.get("/home")
    assert [state[name] for name in ("num_runs", "running", "attention", "waiting", "results", "workers")] == [
        0, [], [], [], [], []
    ]  # fmt: skip
    assert state["disk_bytes"] > state["disk_free_bytes"] >= state["disk_spare_bytes"] > 0


def test_run_under_way_has_its_telling_metric_and_its_warnings(backend: Backend) -> None:
    backend.announce()
    held = backend.started(stage="weaver_sft", num_questions=8)
    held.say(*({"event": "metric", "name": "train/loss", "step": n, "value": 2.0 / n} for n in range(1, 200)))
    held.say(
        {"event": "metric", "name": "system/cpu", "step": 1, "value": 1.0},
        {"event": "warning", "code": "w", "message": "hm"},
    )
    held.say({"event": "progress", "done": 3, "total": 9, "unit": "steps"})
    state = backend.get("/home")
    (running,) = state["running"]
    assert (running["metric"]["name"], running["warnings"]) == ("train/loss", ["hm"])
    assert 2 < len(running["metric"]["steps"]) <= 40
    assert running["metric"]["steps"][-1] == 199
    assert (running["run"]["progress"]["done"], state["num_running"]) == (3, 1)
    assert state["workers"][0]["slots"][0]["run_id"] == held.run_id


def test_evaluation_under_way_tells_of_its_accuracy(backend: Backend) -> None:
    held = backend.started()
    assert backend.get("/home")["running"][0]["metric"] is None
    held.say({"event": "metric", "name": "eval/accuracy", "step": 1, "value": 0.5})
    assert backend.get("/home")["running"][0]["metric"]["values"] == [0.5]


def test_failure_needs_attention_until_it_is_started_again_or_a_week_old(backend: Backend) -> None:
    held = backend.started()
    held.finish("failed", "error", failure={"code": "x", "message": "it broke", "way_out": "Mend it."})
    (failed,) = backend.get("/home")["attention"]
    assert (failed["kind"], failed["run"]["id"], failed["text"], failed["way_out"]) == (
        "failed", held.run_id, "it broke", "Mend it."
    )  # fmt: skip
    assert backend.get("/home")["num_failed"] == 1
    other = backend.started()
    other.finish("failed", "killed")
    assert backend.get("/home")["attention"][0]["text"] == "the trainer was killed by a signal"
    backend.user("POST", f"/runs/{held.run_id}/retry")
    assert [one["run"]["id"] for one in backend.get("/home")["attention"]] == [other.run_id]
    backend.clock.pass_time(8 * 86_400)
    assert (backend.get("/home")["attention"], backend.get("/home")["num_failed"]) == ([], 0)


def test_success_with_a_warning_is_worth_a_look_for_a_day(backend: Backend) -> None:
    held = backend.started()
    held.say({"event": "warning", "code": "w", "message": "all rewards are 0"})
    backend.complete(held)
    (warned,) = backend.get("/home")["attention"]
    assert (warned["kind"], warned["text"]) == ("warning", "All rewards are 0.")
    backend.clock.pass_time(2 * 86_400)
    assert backend.get("/home")["attention"] == []


def test_what_waits_is_told_in_its_order_with_why(backend: Backend) -> None:
    backend.submit_pipeline()
    runs = [backend.submit() for _ in range(6)]
    backend.user("POST", f"/runs/{runs[-1]}/priority", json={"priority": 3})
    state = backend.get("/home")
    assert (state["num_queued"], state["num_waiting"], len(state["waiting"])) == (8, 4, 5)
    assert state["waiting"][0]["id"] == runs[-1]
    assert "No worker is alive" in state["waiting"][0]["waits_for"]
    backend.user("POST", "/queue/pause", json={"paused": True})
    assert backend.get("/home")["paused"]


def test_results_are_measured_against_the_base_that_they_may_be_compared_with(backend: Backend) -> None:
    other = evaluated(backend, MANY, max_completion_length=32)  # of another length
    base = evaluated(backend, 4)
    weaver = trained(backend)
    better = evaluated(backend, 20, setting="weaver", checkpoint=str(weaver))
    results = backend.get("/home")["results"]
    assert [one["run"]["id"] for one in results] == [better, base, other]
    assert [one["gain"] is None for one in results] == [False, True, True]
    gain = results[0]["gain"]
    assert (gain["base_id"], gain["num_questions"], gain["verdict"]) == (base, MANY, "better")
    compared = backend.get("/compare", runs=f"{base},{better}")["items"][1]["change"]
    assert {name: gain[name] for name in ("points", "low", "high", "p_value", "verdict")} == {
        name: compared[name] for name in ("points", "low", "high", "p_value", "verdict")
    }
    assert backend.get("/home")["results"] == results  # the second time from what was kept


def test_deleted_base_leaves_its_results_without_a_change(backend: Backend) -> None:
    base, weaver = evaluated(backend, 4), trained(backend)
    evaluated(backend, 20, setting="weaver", checkpoint=str(weaver))
    assert backend.get("/home")["results"][0]["gain"] is not None
    assert backend.user("DELETE", f"/runs/{base}", params={"confirm": "true"}).status_code == 200
    assert backend.get("/home")["results"][0]["gain"] is None
