"""The pinned baseline: what it is measured against, until it is unpinned or deleted."""

import pytest

from tests.backend.conftest import Backend, check_problem
from tests.backend.views.test_compare import evaluation, weaver

__all__ = ["weaver"]


@pytest.fixture
def three(backend: Backend, weaver: str) -> tuple[int, int, int]:
    """A base with half right, a weaver with all, another with none."""
    base = evaluation(backend, [True, False] * 20)
    good, bad = (evaluation(backend, [right] * 40, setting="weaver", checkpoint=weaver) for right in (True, False))
    return base, good, bad


def gains(backend: Backend) -> dict[int, tuple[int, float]]:
    """Base and change of each result of Home that has one."""
    results = backend.get("/home")["results"]
    return {one["run"]["id"]: (one["gain"]["base_id"], one["gain"]["points"]) for one in results if one["gain"]}


def test_results_are_measured_against_the_pinned_baseline_until_it_is_unpinned(
    backend: Backend, three: tuple[int, int, int]
) -> None:
    base, good, bad = three
    assert gains(backend) == {good: (base, 50.0), bad: (base, -50.0)}
    reply = backend.user("POST", "/compare/baseline", json={"run_id": good}).json()
    assert (reply["run_id"], reply["run"]["setting"]) == (good, "weaver")
    assert gains(backend) == {base: (good, -50.0), bad: (good, -100.0)}
    assert backend.get("/home")["baseline"]["run_id"] == backend.get("/compare/baseline")["run_id"] == good
    assert backend.user("POST", "/compare/baseline", json={"run_id": None}).json() == {"run_id": None, "run": None}
    assert gains(backend) == {good: (base, 50.0), bad: (base, -50.0)}


def test_comparison_takes_the_pinned_baseline_that_is_in_it_unless_another_is_named(
    backend: Backend, three: tuple[int, int, int]
) -> None:
    base, good, bad = three
    backend.user("POST", "/compare/baseline", json={"run_id": good})
    replies = [
        backend.get("/compare", runs=f"{base},{good},{bad}"),
        backend.get("/compare", runs=f"{base},{good},{bad}", base=bad),
        backend.get("/compare", runs=f"{base},{bad}"),
    ]
    assert [(reply["base_id"], reply["pinned_id"]) for reply in replies] == [(good, good), (bad, good), (base, good)]


def test_result_that_the_baseline_may_not_be_compared_with_keeps_its_own_base(
    backend: Backend, weaver: str, three: tuple[int, int, int]
) -> None:
    backend.user("POST", "/compare/baseline", json={"run_id": three[1]})
    base = evaluation(backend, [False] * 8, max_completion_length=30)
    other = evaluation(backend, [True] * 8, max_completion_length=30, setting="weaver", checkpoint=weaver)
    assert gains(backend)[other] == (base, 100.0)
    assert base not in gains(backend)


def test_deleted_baseline_stays_named_and_measures_nothing(backend: Backend, three: tuple[int, int, int]) -> None:
    base, good, bad = three
    backend.user("POST", "/compare/baseline", json={"run_id": good})
    backend.user("DELETE", f"/runs/{good}", params={"confirm": "true"})
    assert backend.get("/compare/baseline") == {"run_id": good, "run": None}
    assert gains(backend) == {bad: (base, -50.0)}


def test_only_an_evaluation_that_has_succeeded_is_pinned(backend: Backend, weaver: str) -> None:
    backend.submit()
    for run_id, status, code in (
        (int(weaver), 422, "not_an_evaluation"),
        (2, 422, "not_finished"),
        (9, 404, "run_not_found"),
    ):
        check_problem(backend.user("POST", "/compare/baseline", json={"run_id": run_id}), status, code)
    assert backend.get("/compare/baseline")["run_id"] is None


def test_comparison_says_in_which_settings_the_runs_and_their_trainings_differ(backend: Backend, weaver: str) -> None:
    backend.submit(stage="weaver_sft", num_questions=8, batch_size=4, learning_rate=0.5)
    other = str(backend.work())
    backend.reconciler.round()
    base = evaluation(backend, [True, False])
    runs = [evaluation(backend, [True, True], setting="weaver", checkpoint=one, seed=7) for one in (weaver, other)]
    settings = backend.get("/compare", runs=f"{base},{runs[0]},{runs[1]}")["settings"]
    of_runs = {(one["stage"], one["name"]): one["values"] for one in settings}
    assert of_runs["", "setting"] == ["base", "weaver", "weaver"]
    assert of_runs["", "seed"][1:] == ["7", "7"]
    assert [(stage, name) for stage, name in of_runs if stage] == [("weaver_sft", "learning_rate")]
    assert of_runs["weaver_sft", "learning_rate"][::2] == ["", "0.5"]
    assert of_runs["weaver_sft", "learning_rate"][1] not in ("", "0.5")
    assert ("", "checkpoint") not in of_runs
    assert ("", "max_completion_length") not in of_runs
    alike = backend.get("/compare", runs=f"{runs[0]},{runs[0]}")
    assert alike["settings"] == []
