"""Metrics as charts read them: downsampled, later attempts first, since a step."""

import json

import pytest

from tests.backend.conftest import Backend, Held


def metric(step: int, value: float, name: str = "train/loss") -> dict[str, object]:
    return {"event": "metric", "name": name, "step": step, "value": value, "time": 100.0 + step}


@pytest.fixture
def attempt(backend: Backend) -> Held:
    return backend.started()


@pytest.mark.parametrize(("count", "most"), [(1, 2), (2, 2), (3, 2), (100, 7), (101, 100), (100, 100), (1000, 999)])
def test_downsampled_series_keeps_first_and_last_and_no_more_than_asked(
    backend: Backend, attempt: Held, count: int, most: int
) -> None:
    attempt.say(*(metric(3 * step, step / 8) for step in range(count)))
    [series] = backend.get("/runs/1/metrics", max_points=most)["series"]
    steps = series["steps"]
    assert (steps[0], steps[-1], len(steps)) == (0, 3 * (count - 1), min(count, most))
    assert steps == sorted(set(steps))
    assert series["values"] == [step / 24 for step in steps]
    assert series["times"] == [100.0 + step for step in steps]


def test_of_a_step_that_several_attempts_reported_the_last_one_counts(backend: Backend, attempt: Held) -> None:
    attempt.say(metric(1, 1.0), metric(2, 2.0), metric(3, 3.0))
    attempt.answer(0)
    attempt.finish("failed", "error")
    backend.user("POST", "/runs/1/resume")
    second = backend.held()
    second.say(metric(2, 20.0), metric(4, 40.0))
    [series] = backend.get("/runs/1/metrics")["series"]
    assert (series["steps"], series["values"]) == ([1, 2, 3, 4], [1.0, 20.0, 3.0, 40.0])
    apart = [backend.get("/runs/1/metrics", attempt=number)["series"] for number in (1, 2, 3)]
    assert [[one["values"] for one in found] for found in apart] == [[[1.0, 2.0, 3.0]], [[20.0, 40.0]], []]
    [thin] = backend.get("/runs/1/metrics", attempt=1, max_points=2)["series"]
    assert thin["values"] == [1.0, 3.0]


def test_step_that_one_attempt_reports_twice_has_its_later_value(backend: Backend, attempt: Held) -> None:
    attempt.say(metric(1, 1.0), metric(1, 2.0))
    attempt.say(metric(1, 3.0))
    assert backend.get("/runs/1/metrics")["series"][0]["values"] == [3.0]


def test_series_are_chosen_by_name_and_by_later_steps(backend: Backend, attempt: Held) -> None:
    attempt.say(*(metric(step, step, name) for step in range(4) for name in ("b", "a", "größe")))
    assert [series["name"] for series in backend.get("/runs/1/metrics")["series"]] == ["a", "b", "größe"]
    [series] = backend.get("/runs/1/metrics", name="größe", since=1)["series"]
    assert (series["name"], series["steps"]) == ("größe", [2, 3])
    [series] = backend.get("/runs/1/metrics", name="a", since=0, until=2)["series"]
    assert series["steps"] == [1, 2]
    assert backend.get("/runs/1/metrics", since=3)["series"] == []
    assert backend.user("GET", "/runs/1/metrics", params={"until": 2**64}).status_code == 422
    assert len(backend.get("/runs/1/metrics", since=-(2**40))["series"]) == 3
    assert backend.get("/runs/1/metrics", name="none")["series"] == []


def test_metric_that_is_no_number_leaves_a_gap(backend: Backend, attempt: Held) -> None:
    lines = [metric(1, 1.0), metric(2, float("nan")), metric(3, float("-inf")), metric(4, 4.0)]
    attempt.send("events", b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    reply = backend.user("GET", "/runs/1/metrics")
    assert reply.json()["series"][0]["steps"] == [1, 4]
    assert b"null" not in reply.content


def test_run_that_started_anew_shows_nothing_of_what_was_before(backend: Backend, attempt: Held) -> None:
    attempt.say(*({"event": "metric", "name": "train/loss", "step": step, "value": 1.0} for step in range(1, 6)))
    attempt.finish("failed", "error")
    assert backend.run(1)["summary"] == {"loss": 1.0}
    backend.user("POST", "/runs/1/retry")
    assert backend.run(1)["summary"] == {}
    backend.held().say({"event": "metric", "name": "train/loss", "step": 1, "value": 2.0})
    [series] = backend.get("/runs/1/metrics")["series"]
    assert (series["steps"], series["values"]) == ([1], [2.0])


def test_stretch_of_a_long_series_is_thinned_by_itself(backend: Backend, attempt: Held) -> None:
    attempt.say(*(metric(step, step) for step in range(1000)))
    [whole] = backend.get("/runs/1/metrics", max_points=10)["series"]
    [stretch] = backend.get("/runs/1/metrics", since=499, until=509, max_points=10)["series"]
    assert sum(500 <= step < 510 for step in whole["steps"]) < 3
    assert stretch["steps"] == list(range(500, 510))
