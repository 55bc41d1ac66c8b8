"""Pipelines in which a checkpoint from outside stands for trainings; the checkpoints that come with the project."""

from pathlib import Path
from typing import Any

import pytest

from backend.services import shipped
from memgen.contract.demo import SHIPPED, demo_spec, live_config
from memgen.contract.manifest import damage_of, read_manifest
from memgen.contract.pipeline import plan_pipeline
from memgen.contract.presets import SHIPPED_PRESET, get_preset
from tests.backend.conftest import Backend, check_problem
from tests.backend.outside import added
from tests.checkpoints import write_checkpoint
from tests.conftest import TINY

EVALUATIONS = ["base_eval", "weaver_eval", "trigger_eval", "ltpo_eval"]


def finish_all(backend: Backend, number: int) -> None:
    while backend.get(f"/pipelines/{number}")["status"] == "running":
        backend.work()
        backend.reconciler.round()


def checkpoint(backend: Backend, folder: Path, kind: str, **said: Any) -> int:
    return added(backend, write_checkpoint(folder / kind, kind, kind.encode()), name=kind, **said)


def test_trigger_from_outside_stands_for_both_trainings_and_all_evaluations_run_at_once(
    backend: Backend, tmp_path: Path
) -> None:
    number = checkpoint(backend, tmp_path, "trigger")
    reuse = {"weaver_sft": number, "trigger_grpo": number}
    made = backend.submit_pipeline(include=EVALUATIONS, reuse=reuse)
    steps = {step["step"]: step for step in made["steps"]}
    assert {name: step["checkpoint"] for name, step in steps.items() if step["reused"]} == reuse
    assert all(step["run"] is None and step["reason"] == "" for step in steps.values() if step["reused"])
    runs = {name: steps[name]["run"]["id"] for name in EVALUATIONS}
    assert {backend.run(run)["status"] for run in runs.values()} == {"queued"}
    assert [backend.run(runs[name])["parent_id"] for name in EVALUATIONS] == [None, number, number, number]
    finish_all(backend, 1)
    done = backend.get("/pipelines/1")
    assert (done["status"], done["can_continue"]) == ("succeeded", False)
    assert done["ended_at"] is not None


def test_evaluation_of_a_checkpoint_from_outside_that_failed_is_continued(backend: Backend, tmp_path: Path) -> None:
    number = checkpoint(backend, tmp_path, "weaver")
    made = backend.submit_pipeline(include=["base_eval", "weaver_eval"], reuse={"weaver_sft": number})
    run = made["steps"][-1]["run"]["id"]
    backend.work()
    backend.work("failed")
    assert backend.get("/pipelines/1")["status"] == "failed"
    assert backend.user("POST", "/pipelines/1/continue", json={}).status_code == 200
    finish_all(backend, 1)
    assert backend.run(run)["status"] == "succeeded"


def test_lora_from_outside_is_evaluated_beside_the_base(backend: Backend, tmp_path: Path) -> None:
    number = checkpoint(backend, tmp_path, "lora_sft")
    made = backend.submit_pipeline(include=["base_eval", "lora_eval"], reuse={"lora_sft": number})
    lora = next(step["run"] for step in made["steps"] if step["step"] == "lora_eval")
    assert (lora["setting"], backend.run(lora["id"])["parent_id"]) == ("lora", number)


@pytest.mark.parametrize(
    ("kind", "step", "include", "said"),
    [
        ("weaver", "base_eval", ["weaver_sft"], "has no answers that could stand for Base evaluation"),
        ("weaver", "trigger_grpo", ["base_eval", "trigger_eval"], "does not hold what Trigger GRPO would leave"),
        ("lora_sft", "weaver_sft", ["base_eval", "weaver_eval"], "does not hold what Weaver SFT would leave"),
        ("trigger", "trigger_grpo", ["base_eval", "weaver_sft", "trigger_eval"], "reuse it for weaver_sft"),
    ],
)
def test_checkpoint_from_outside_that_does_not_fit_is_refused(
    backend: Backend, tmp_path: Path, kind: str, step: str, include: list[str], said: str
) -> None:
    number = checkpoint(backend, tmp_path, kind)
    spec = backend.spec(include=include, reuse={step: number})
    body = check_problem(backend.user("POST", "/pipelines", json=spec), 422, "not_reusable")
    assert said in body["title"]
    assert (body["field"], body["value"]) == (f"reuse.{step}", str(number))


def test_checkpoints_of_other_weights_are_not_reused_together(backend: Backend, tmp_path: Path) -> None:
    weaver = checkpoint(backend, tmp_path, "weaver")
    other = write_checkpoint(tmp_path / "other", "lora_sft", b"other", base_model="folder:2")
    reuse = {"weaver_sft": weaver, "lora_sft": added(backend, other)}
    spec = backend.spec(include=["base_eval", "weaver_eval", "lora_eval"], reuse=reuse)
    body = check_problem(backend.user("POST", "/pipelines", json=spec), 422, "not_reusable")
    assert "weights differ: folder:1, folder:2" in body["title"]


def test_candidates_name_checkpoints_from_outside_by_the_training_they_may_stand_for(
    backend: Backend, tmp_path: Path
) -> None:
    weaver, trigger = checkpoint(backend, tmp_path, "weaver"), checkpoint(backend, tmp_path, "trigger", note="good")
    reply = backend.get("/pipelines/candidates", preset=TINY, data="wordproblems")["checkpoints"]
    assert {name: [one["id"] for one in those] for name, those in reply.items()} == {
        "weaver_sft": [trigger, weaver],
        "weaver_grpo": [trigger, weaver],
        "trigger_grpo": [trigger],
        "lora_sft": [],
    }
    assert reply["trigger_grpo"] == [{"id": trigger, "name": "trigger", "note": "good"}]
    assert not any(backend.get("/pipelines/candidates", preset=SHIPPED_PRESET, data="x")["checkpoints"].values())


def test_shipped_checkpoints_are_whole_and_made_for_the_demos_weights() -> None:
    wheel = get_preset(SHIPPED_PRESET).wheel
    assert wheel is not None
    for name in SHIPPED:
        folder = shipped.FOLDER / name
        manifest = read_manifest(folder)
        assert damage_of(folder, manifest) is None
        assert manifest.base_model == f"wheel:{wheel.package}"
        assert manifest.optimizer is None


def test_demo_adds_the_shipped_checkpoints_once_and_starts_from_them(backend: Backend) -> None:
    numbers = backend.user("POST", "/checkpoints/shipped").json()
    assert backend.user("POST", "/checkpoints/shipped").json() == numbers
    spec = demo_spec(numbers)
    assert backend.user("POST", "/pipelines/preflight", json=spec.model_dump(mode="json")).json()["problems"] == []
    reply = backend.user("POST", "/pipelines", json=spec.model_dump(mode="json"))
    assert reply.status_code == 201, reply.text
    assert {step["run"]["status"] for step in reply.json()["steps"] if step["run"]} == {"queued"}
    assert list(plan_pipeline(spec)) == [*EVALUATIONS, "lora_eval"]
    live = backend.user("POST", "/runs", json={"config": live_config().model_dump(mode="json")})
    assert live.status_code == 201, live.text
