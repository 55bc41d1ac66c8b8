"""Which finished runs may stand for a step of a pipeline."""

import pytest

from backend.services import candidates
from tests.backend.conftest import Backend


def numbers(backend: Backend, **query: object) -> dict[str, list[int]]:
    wanted = {"preset": backend.config["preset"], "data": "wordproblems"} | query
    steps = backend.get("/pipelines/candidates", **wanted)["steps"]
    return {name: [run["id"] for run in runs] for name, runs in steps.items() if runs}


def test_finished_runs_of_the_model_and_data_stand_for_their_steps(backend: Backend) -> None:
    backend.submit_pipeline()
    while backend.run(6)["status"] != "succeeded":
        backend.work()
        backend.reconciler.round()
    backend.submit()
    backend.work("failed")
    by_step = {name: [step["run"]["id"]] for name, step in backend.steps(1).items()}
    assert numbers(backend) == by_step
    trainings = {name: by_step[name] for name in ("weaver_sft", "trigger_grpo")}
    assert numbers(backend, data="gsm8k") == trainings
    assert numbers(backend, preset="Qwen/Qwen3-14B") == {}


def test_newest_come_first_and_older_ones_where_they_are_asked_for(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "MOST", 2)
    for _ in range(4):
        backend.submit()
        backend.work()
    assert numbers(backend) == {"base_eval": [4, 3]}
    assert numbers(backend, also=[1, 3, 99, 10**30 % 10**18]) == {"base_eval": [4, 3, 1]}
