"""One metric of several runs: which runs, which metric, at which steps, and what tells the runs apart."""

from typing import Any

import pytest

from tests.backend.conftest import Backend, check_problem

SFT: dict[str, Any] = {"stage": "weaver_sft", "num_questions": 8, "batch_size": 4}


def training(backend: Backend, steps: range, *names: str, **config: Any) -> int:
    """A training under way that has reported these metrics at these steps."""
    backend.submit(**SFT | config)
    held = backend.held()
    held.say(
        *(
            {"event": "metric", "name": name, "step": step, "value": float(step), "time": 100.0 + step}
            for name in names or ("train/loss",)
            for step in steps
        )
    )
    return held.run_id


def test_curves_come_in_the_order_asked_for_with_what_tells_the_runs_apart(backend: Backend) -> None:
    first = training(backend, range(1, 4), seed=1)
    second = training(backend, range(1, 3), "train/loss", "train/epoch", seed=2, learning_rate=0.5, note="")
    reply = backend.get("/curves", runs=f"{second},{first},{second},99")
    assert (reply["name"], reply["names"], reply["missing"]) == ("train/loss", ["train/epoch", "train/loss"], [99])
    assert [run["id"] for run in reply["runs"]] == [second, first]
    assert [run["series"]["steps"] for run in reply["runs"]] == [[1, 2], [1, 2, 3]]
    assert [run["settings"]["seed"] for run in reply["runs"]] == ["2", "1"]
    assert [run["settings"].keys() for run in reply["runs"]] == [{"seed", "learning_rate"}] * 2
    assert [run["epochs"] for run in reply["runs"]] == [None, None]
    epochs = [run["epochs"] for run in backend.get("/curves", runs=f"{second},{first}", epochs="true")["runs"]]
    assert (epochs[0]["values"], epochs[1]) == ([1.0, 2.0], None)
    other = backend.get("/curves", runs=f"{second},{first}", name="train/epoch", since=1, until=2)
    assert [run["series"] and run["series"]["steps"] for run in other["runs"]] == [[2], None]


def test_runs_of_different_lengths_are_thinned_at_the_same_steps_and_keep_their_last(backend: Backend) -> None:
    long, short = training(backend, range(0, 1001)), training(backend, range(0, 431))
    runs = backend.get("/curves", runs=f"{long},{short}", max_points=11)["runs"]
    steps = [run["series"]["steps"] for run in runs]
    assert steps == [list(range(0, 1001, 100)), [0, 100, 200, 300, 400, 430]]


def test_metric_that_says_most_is_that_of_the_first_run_that_has_any(backend: Backend) -> None:
    backend.submit()
    empty = backend.held().run_id
    assert backend.get("/curves", runs=str(empty))["name"] is None
    trained = training(backend, range(1, 3), "train/zeta", "train/grad_norm")
    assert backend.get("/curves", runs=f"{empty},{trained}")["name"] == "train/grad_norm"


@pytest.mark.parametrize("runs", ["x", ",".join(map(str, range(1, 26)))])
def test_what_is_no_list_of_a_few_runs_is_refused(backend: Backend, runs: str) -> None:
    check_problem(backend.user("GET", "/curves", params={"runs": runs}), 422, "bad_selection")


def test_numbers_that_the_database_cannot_hold_are_no_runs_and_no_steps(backend: Backend) -> None:
    assert backend.get("/curves", runs=str(2**70))["missing"] == [2**70]
    assert backend.user("GET", "/curves", params={"runs": "1", "since": 2**70}).status_code == 422


def test_runs_are_found_by_a_metric_that_they_have_reported(backend: Backend) -> None:
    loss, norm = training(backend, range(1, 3)), training(backend, range(1, 3), "train/grad_norm")
    assert [run["id"] for run in backend.get("/runs", metric="train/loss")["items"]] == [loss]
    assert [run["id"] for run in backend.get("/runs", metric="train/grad_norm")["items"]] == [norm]
    assert backend.get("/runs", metric="none") == {"items": [], "next_cursor": None, "total": 0}
