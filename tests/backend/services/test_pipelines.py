"""Pipelines: what starts when, what is skipped and whose fault it is, continue, reuse, branch, stop."""

from typing import Any

import pytest

from backend.store.models import Run
from memgen.contract.manifest import survey
from tests.backend.conftest import Backend, check_problem

NAMES = ["base_eval", "weaver_sft", "weaver_eval", "trigger_grpo", "trigger_eval", "ltpo_eval"]


def statuses(backend: Backend, pipeline_id: int = 1) -> list[str]:
    return [backend.steps(pipeline_id)[name]["run"]["status"] for name in NAMES]


def finish_all(backend: Backend) -> list[int]:
    """Work until nothing is left; returns the runs in the order in which they were handed out."""
    done = []
    while backend.get("/pipelines")["items"][0]["status"] == "running":
        done.append(backend.work())
        backend.reconciler.round()
    return done


def test_six_runs_are_stored_at_once_and_children_wait_for_their_parents(backend: Backend) -> None:
    pipeline = backend.submit_pipeline(note="first")
    assert [step["step"] for step in pipeline["steps"]] == NAMES
    assert statuses(backend) == ["queued", "queued", "waiting", "waiting", "waiting", "waiting"]
    runs = {name: step["run"] for name, step in backend.steps(1).items()}
    assert {name: run["parent_id"] for name, run in runs.items()} == {
        "base_eval": None, "weaver_sft": None, "weaver_eval": 2, "trigger_grpo": 2, "trigger_eval": 4, "ltpo_eval": 4,
    }  # fmt: skip
    assert backend.run(5)["config"]["checkpoint"] == "4"
    assert "Weaver SFT (run 2)" in runs["weaver_eval"]["waits_for"]
    assert (pipeline["status"], pipeline["can_continue"], pipeline["note"]) == ("running", False, "first")


def test_whole_chain_runs_by_itself_in_order(backend: Backend) -> None:
    backend.submit_pipeline()
    assert finish_all(backend) == [1, 2, 3, 4, 5, 6]
    pipeline = backend.get("/pipelines/1")
    assert pipeline["status"] == "succeeded"
    assert pipeline["ended_at"] is not None
    assert [event["detail"] for event in backend.history(4) if event["to_status"] == "queued"] == [
        "Weaver SFT (run 2) has succeeded"
    ]


def test_children_are_queued_in_the_moment_in_which_their_parent_succeeds(backend: Backend) -> None:
    backend.submit_pipeline()
    backend.work()
    held = backend.held()
    report = survey(backend.leave_checkpoint(held)).model_dump(mode="json")
    assert statuses(backend)[2] == "waiting"
    held.finish(result={"steps": 2}, checkpoint=report)
    assert statuses(backend) == ["succeeded", "succeeded", "queued", "queued", "waiting", "waiting"]
    assert backend.get("/checkpoints/2")["usable"]
    child = backend.held()
    assert (child.run_id, child.checkpoint) == (3, "runs/2/attempts/1/weaver_sft")


def test_training_that_left_no_checkpoint_has_failed_and_its_children_are_skipped(backend: Backend) -> None:
    backend.submit_pipeline()
    backend.work()
    backend.held().finish(result={"steps": 2})
    failure = backend.run(2)["failure"]
    assert failure["code"] == "bad_run_folder"
    assert "has no manifest.json" in failure["message"]
    backend.reconciler.round()
    assert statuses(backend) == ["succeeded", "failed", "skipped", "skipped", "skipped", "skipped"]


def test_skipped_children_say_whose_fault_it_is(backend: Backend) -> None:
    backend.submit_pipeline()
    backend.work()
    backend.work("failed")
    backend.reconciler.round()
    assert statuses(backend) == ["succeeded", "failed", "skipped", "skipped", "skipped", "skipped"]
    for name in NAMES[2:]:
        step = backend.steps(1)[name]
        assert step["reason"] == "Weaver SFT (run 2) failed: the trainer ended with an error"
        assert step["run"]["cause"] == "parent"
    pipeline = backend.get("/pipelines/1")
    assert (pipeline["status"], pipeline["can_continue"]) == ("failed", True)
    assert "Weaver SFT" in pipeline["continue_reason"]


def test_continue_runs_the_failed_step_and_what_was_skipped_and_nothing_else(backend: Backend) -> None:
    backend.submit_pipeline()
    for _ in range(3):
        backend.work()
        backend.reconciler.round()
    backend.work("failed")
    backend.reconciler.round()
    assert statuses(backend) == ["succeeded", "succeeded", "succeeded", "failed", "skipped", "skipped"]
    reply = backend.user("POST", "/pipelines/1/continue", json={}).json()
    assert [step["run"]["status"] for step in reply["steps"]] == [
        "succeeded", "succeeded", "succeeded", "queued", "waiting", "waiting",
    ]  # fmt: skip
    assert finish_all(backend) == [4, 5, 6]
    assert [backend.run(run_id)["num_attempts"] for run_id in range(1, 7)] == [1, 1, 1, 2, 1, 1]
    nodes = {node["run_id"]: node for node in backend.get("/lineage", pipeline=1)["nodes"]}
    assert [one["status"] for one in nodes[4]["attempts"]] == ["failed", "succeeded"]
    check_problem(backend.user("POST", "/pipelines/1/continue", json={}), 409, "nothing_to_continue")


def training_killed_behind_step_8(backend: Backend) -> None:
    backend.submit_pipeline()
    backend.work()
    held = backend.held()
    held.say({"event": "checkpoint", "step": 8, "path": "checkpoints/step-8"})
    held.finish("failed", "killed")
    backend.reconciler.round()


def test_continue_resumes_a_training_from_its_checkpoint(backend: Backend) -> None:
    training_killed_behind_step_8(backend)
    assert backend.run(2)["resume_reason"] == "Continues after step 8 of attempt 1."
    backend.user("POST", "/pipelines/1/continue", json={})
    assert backend.held().resumes == 1


def test_stopped_pipeline_can_be_continued(backend: Backend) -> None:
    backend.submit_pipeline()
    held = backend.held()
    reply = backend.user("POST", "/pipelines/1/stop", json={"mode": "save"})
    assert reply.status_code == 200
    held.finish("stopped", "stopped")
    backend.reconciler.round()
    assert statuses(backend) == ["cancelled"] * 6
    assert backend.get("/pipelines/1")["status"] == "cancelled"
    check_problem(backend.user("POST", "/pipelines/1/stop", json={"mode": "save"}), 409, "pipeline_ended")
    backend.user("POST", "/pipelines/1/continue", json={})
    assert statuses(backend) == ["queued", "queued", "waiting", "waiting", "waiting", "waiting"]
    assert finish_all(backend) == [1, 2, 3, 4, 5, 6]


def test_lost_training_without_retries_skips_its_children(backend: Backend) -> None:
    backend.submit_pipeline()
    backend.work()
    for _ in range(3):
        backend.held()
        while backend.run(2)["status"] == "running":
            backend.clock.pass_time(20)
            backend.reconciler.round()
        backend.clock.pass_time(1000)
        backend.reconciler.round()
    assert statuses(backend)[1:3] == ["failed", "skipped"]
    assert "not heard of within its lease" in backend.steps(1)["weaver_eval"]["reason"]


def test_finished_steps_are_reused_and_a_checkpoint_is_branched_from(backend: Backend) -> None:
    backend.submit_pipeline()
    finish_all(backend)
    steps = {"trigger_grpo": {"learning_rate": 1e-4}}
    second = backend.submit_pipeline(reuse={"base_eval": 1, "weaver_sft": 2, "weaver_eval": 3}, steps=steps)
    assert [step["reused"] for step in second["steps"]] == [True, True, True, False, False, False]
    assert [step["run"]["id"] for step in second["steps"]] == [1, 2, 3, 7, 8, 9]
    assert backend.run(7)["status"] == "queued"
    assert finish_all(backend) == [7, 8, 9]
    assert backend.run(7)["parent_id"] == 2
    family = {node["run_id"] for node in backend.get("/lineage", run=9)["nodes"]}
    assert family == {2, 3, 4, 5, 6, 7, 8, 9}


WITH_GRPO = ["base_eval", "weaver_sft", "weaver_grpo", "weaver_eval", "trigger_grpo", "trigger_eval", "ltpo_eval"]


def parents(backend: Backend, pipeline_id: int) -> dict[str, int | None]:
    return {name: step["run"]["parent_id"] for name, step in backend.steps(pipeline_id).items()}


def test_weaver_by_rewards_stands_between_the_weaver_and_all_that_follows(backend: Backend) -> None:
    pipeline = backend.submit_pipeline(include=WITH_GRPO)
    assert [step["step"] for step in pipeline["steps"]] == WITH_GRPO
    assert parents(backend, 1) == {
        "base_eval": None, "weaver_sft": None, "weaver_grpo": 2, "weaver_eval": 3, "trigger_grpo": 3, "trigger_eval": 5,
        "ltpo_eval": 5,
    }  # fmt: skip
    assert finish_all(backend) == [1, 2, 3, 4, 5, 6, 7]
    assert backend.get("/checkpoints/3")["usable"]


def test_weaver_by_rewards_starts_from_the_base_where_no_weaver_is_part_of_the_pipeline(backend: Backend) -> None:
    backend.submit_pipeline(include=[name for name in WITH_GRPO if name != "weaver_sft"])
    assert parents(backend, 1)["weaver_grpo"] is None
    assert parents(backend, 1)["trigger_grpo"] == 2
    assert backend.run(2)["status"] == "queued"
    assert finish_all(backend) == [1, 2, 3, 4, 5, 6]


def test_weaver_by_rewards_branches_off_a_finished_pipeline_and_is_reused_and_continued(backend: Backend) -> None:
    backend.submit_pipeline()
    finish_all(backend)
    rest = [name for name in WITH_GRPO if name not in {"base_eval", "weaver_sft"}]
    backend.submit_pipeline(include=rest, reuse={"base_eval": 1, "weaver_sft": 2})
    assert parents(backend, 2)["weaver_grpo"] == 2
    backend.work("failed")
    backend.reconciler.round()
    assert backend.steps(2)["trigger_grpo"]["run"]["status"] == "skipped"
    assert "Weaver GRPO (run 7) failed" in backend.steps(2)["weaver_eval"]["reason"]
    assert backend.user("POST", "/pipelines/2/continue", json={}).status_code == 200
    assert finish_all(backend) == [7, 8, 9, 10, 11]
    third = backend.submit_pipeline(
        include=["trigger_grpo"], reuse={"base_eval": 1, "weaver_sft": 2, "weaver_grpo": 7, "weaver_eval": 8}
    )
    assert [step["run"]["id"] for step in third["steps"]] == [1, 2, 7, 8, 12]
    assert backend.run(12)["parent_id"] == 7


def test_evaluation_of_the_earlier_weaver_does_not_stand_for_that_of_the_rewarded_one(backend: Backend) -> None:
    backend.submit_pipeline()
    finish_all(backend)
    reuse = {"base_eval": 1, "weaver_sft": 2, "weaver_eval": 3}
    spec = backend.spec(include=["weaver_grpo"], reuse=reuse)
    body = check_problem(backend.user("POST", "/pipelines", json=spec), 422, "not_reusable")
    assert "made from checkpoint 2, and in this pipeline the step starts from Weaver GRPO" in body["title"]


@pytest.mark.parametrize(
    ("reuse", "said"),
    [
        ({"base_eval": 99}, "There is no such run"),
        ({"base_eval": 3}, "can't stand for Base evaluation"),
        ({"base_eval": 1, "weaver_eval": 3}, "was made from checkpoint 2"),
        ({"base_eval": 1, "weaver_sft": 7}, "Run 7 is queued"),
    ],
)
def test_run_that_does_not_fit_is_not_reused(backend: Backend, reuse: dict[str, int], said: str) -> None:
    backend.submit_pipeline()
    finish_all(backend)
    backend.submit_pipeline(reuse={"base_eval": 1}, include=["weaver_sft"])
    body = check_problem(backend.user("POST", "/pipelines", json=backend.spec(reuse=reuse)), 422, "not_reusable")
    assert said in body["title"]
    assert body["field"] == f"reuse.{list(reuse)[-1]}"


def test_base_with_another_prompt_is_neither_a_step_nor_stands_for_one(backend: Backend) -> None:
    style = {"prompt_style": "chain_of_thought"}
    spec = backend.spec(steps={"base_eval": style})
    body = check_problem(backend.user("POST", "/pipelines", json=spec), 422, "step_fixed")
    assert body["field"] == "steps.base_eval.prompt_style"
    assert body["title"] == "In the step base_eval of a pipeline this stays empty."
    run_id = backend.submit(**style)
    backend.work()
    body = check_problem(
        backend.user("POST", "/pipelines", json=backend.spec(reuse={"base_eval": run_id})), 422, "not_reusable"
    )
    assert "is evaluate base, chain of thought and can't stand for Base evaluation" in body["title"]


def test_evaluation_under_other_conditions_is_not_reused(backend: Backend) -> None:
    backend.submit_pipeline()
    finish_all(backend)
    spec = backend.spec(reuse={"base_eval": 1}, evaluations={"num_questions": 5})
    assert (
        "num_questions 6" in check_problem(backend.user("POST", "/pipelines", json=spec), 422, "not_reusable")["title"]
    )


def test_runs_of_other_weights_are_not_reused_together(backend: Backend) -> None:
    backend.submit_pipeline()
    finish_all(backend)
    with backend.context.database.write() as session:
        run = session.get_one(Run, 1)
        run.environment = run.environment | {"model": "wheel:weights"}
        session.add(run)
    spec = backend.spec(reuse={"base_eval": 1, "weaver_sft": 2})
    body = check_problem(backend.user("POST", "/pipelines", json=spec), 422, "not_reusable")
    assert "weights differ: folder:1, wheel:weights" in body["title"]


LIMIT, LENGTH = "max_completion_length", "prompt_latents_len"


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"shared": {"data": "wordproblems"}}, "no_base", "shared.preset"),
        ({"include": ["weaver_sft", "weaver_eval"]}, "no_base", "include"),
        ({"include": ["base_eval", "trigger_grpo"]}, "no_parent", "steps.trigger_grpo.checkpoint"),
        ({"steps": {"weaver_grpo": {"max_steps": 1}}}, "step_not_run", "steps.weaver_grpo"),
        (
            {"include": ["base_eval", "weaver_grpo", "trigger_grpo"], "steps": {"trigger_grpo": {LENGTH: 4}}},
            "other_latents", f"steps.trigger_grpo.{LENGTH}",
        ),
        ({"steps": {"ltpo_eval": {LIMIT: 9}}}, "steps_disagree", f"steps.ltpo_eval.{LIMIT}"),
        ({"steps": {"weaver_eval": {"num_questions": 5}}}, "steps_disagree", "steps.weaver_eval.num_questions"),
        ({"steps": {"trigger_grpo": {LENGTH: 4}}}, "other_latents", f"steps.trigger_grpo.{LENGTH}"),
        ({"steps": {"weaver_sft": {"learning_rates": 1}}}, "unknown_config_key", "steps.weaver_sft.learning_rates"),
        ({"steps": {"weaver_eval": {"checkpoint": "/etc"}}}, "step_fixed", "steps.weaver_eval.checkpoint"),
        ({"steps": {"weaver_sft": {"checkpoint": "/etc"}}}, "step_fixed", "steps.weaver_sft.checkpoint"),
        ({"evaluations": {"seed": 7}}, "steps_disagree", "evaluations.seed"),
        ({"include": []}, "no_base", "include"),
        ({"evaluations": {"num_questions": 10**6}}, "invalid_config", "evaluations.num_questions"),
        ({"evaluations": {"num_questions": 1001}}, "too_many_questions", "steps.base_eval.num_questions"),
        ({"steps": {"nothing": {}}}, "invalid_request", None),
    ],
)  # fmt: skip
def test_bad_pipeline_is_refused_by_field_before_anything_starts(
    backend: Backend, changes: dict[str, Any], code: str, field: str | None
) -> None:
    body = check_problem(backend.user("POST", "/pipelines", json=backend.spec(**changes)), 422, code)
    if field is not None:
        assert field in [item["field"] for item in body["errors"] or [body]]
        said = backend.user("POST", "/pipelines/preflight", json=backend.spec(**changes)).json()
        assert (said["ok"], said["steps"]) == (False, {})
        assert field in [item["field"] for item in said["problems"]]
    assert backend.get("/runs")["items"] == []
    assert backend.get("/pipelines")["items"] == []


def test_preflight_tells_what_each_step_takes(backend: Backend) -> None:
    backend.announce()
    said = backend.user("POST", "/pipelines/preflight", json=backend.spec()).json()
    assert said["ok"]
    assert list(said["steps"]) == NAMES
    assert all(step["memory_bytes"] > 0 and step["disk_bytes"] > 0 for step in said["steps"].values())


def test_same_key_makes_one_pipeline(backend: Backend) -> None:
    for _ in range(2):
        reply = backend.user("POST", "/pipelines", json=backend.spec(), headers={"Idempotency-Key": "k"})
        assert reply.json()["id"] == 1
    assert len(backend.get("/runs")["items"]) == 6


def test_pages_of_pipelines(backend: Backend) -> None:
    for number in range(3):
        backend.submit_pipeline(note=str(number))
    first = backend.get("/pipelines", limit=2)
    assert [one["note"] for one in first["items"]] == ["2", "1"]
    second = backend.get("/pipelines", limit=2, cursor=first["next_cursor"])
    assert ([one["note"] for one in second["items"]], second["next_cursor"]) == (["0"], None)
    for cursor in ("x", "9" * 3999):
        check_problem(backend.user("GET", "/pipelines", params={"cursor": cursor}), 400, "bad_cursor")
    check_problem(backend.user("GET", "/pipelines/9"), 404, "pipeline_not_found")


def test_deleted_runs_leave_their_places_empty_and_the_last_takes_the_pipeline_along(backend: Backend) -> None:
    backend.submit_pipeline()
    finish_all(backend)
    assert backend.user("DELETE", "/runs/1", params={"confirm": True}).status_code == 200
    pipeline = backend.get("/pipelines/1")
    assert [step["run"] and step["run"]["id"] for step in pipeline["steps"]] == [None, 2, 3, 4, 5, 6]
    assert (pipeline["status"], pipeline["steps"][0]["reason"]) == ("incomplete", "The run was deleted.")
    for run_id in range(2, 7):
        assert backend.user("DELETE", f"/runs/{run_id}", params={"confirm": True}).status_code == 200
    check_problem(backend.user("GET", "/pipelines/1"), 404, "pipeline_not_found")


def test_step_whose_parent_was_deleted_is_not_continued_and_keeps_no_other_from_it(backend: Backend) -> None:
    backend.submit_pipeline()
    backend.work("failed")
    backend.work()
    backend.reconciler.round()
    backend.work("failed")  # the weaver's evaluation
    backend.work("failed")  # and the trigger's training
    backend.reconciler.round()
    assert backend.user("DELETE", "/runs/2", params={"confirm": True}).status_code == 200
    pipeline = backend.get("/pipelines/1")
    assert "Base evaluation" in pipeline["continue_reason"]
    assert "Weaver evaluation" not in pipeline["continue_reason"]
    assert backend.user("POST", "/pipelines/1/continue", json={}).status_code == 200
    assert backend.run(1)["status"] == "queued"


def test_what_comes_from_a_step_that_can_not_go_on_is_not_offered_for_ever(backend: Backend) -> None:
    backend.submit_pipeline()
    backend.work()
    backend.work("failed")  # the weaver's training
    backend.reconciler.round()
    assert backend.user("DELETE", "/runs/2", params={"confirm": True}).status_code == 200
    assert not backend.get("/pipelines/1")["can_continue"]
    check_problem(backend.user("POST", "/pipelines/1/continue", json={}), 409, "nothing_to_continue")


def test_pipeline_that_is_still_stopping_is_not_continued(backend: Backend) -> None:
    backend.submit_pipeline()
    held = backend.held()
    backend.user("POST", "/pipelines/1/stop", json={"mode": "save"})
    check_problem(backend.user("POST", "/pipelines/1/continue", json={}), 409, "still_stopping")
    held.finish("stopped", "stopped")
    assert backend.user("POST", "/pipelines/1/continue", json={}).status_code == 200


def test_checkpoint_with_a_living_child_is_not_deleted(backend: Backend) -> None:
    backend.submit_pipeline()
    for _ in range(2):
        backend.work()
        backend.reconciler.round()
    body = check_problem(backend.user("DELETE", "/runs/2", params={"confirm": True}), 409, "run_has_children")
    assert "Run 3" in body["title"]


def test_checkpoint_that_does_not_fit_the_steps_after_it_is_not_reused(backend: Backend) -> None:
    backend.submit_pipeline()
    finish_all(backend)
    reuse, other_seed = {"weaver_sft": 2}, backend.spec()["shared"] | {"seed": 7}
    for changes, said in (
        ({"steps": {"weaver_eval": {LENGTH: 4}}}, f"has {LENGTH} 8"),
        (
            {"shared": other_seed, "evaluations": {"split": "validation"}},
            "trained with seed 42",
        ),
    ):
        spec = backend.spec(reuse=reuse, **changes)
        assert said in check_problem(backend.user("POST", "/pipelines", json=spec), 422, "not_reusable")["title"]


def test_deeply_nested_value_is_refused_and_no_error_of_the_server(backend: Backend) -> None:
    nested: object = 1
    for _ in range(300):
        nested = [nested]
    spec = backend.spec(steps={"weaver_sft": {"learning_rate": nested}})
    assert backend.user("POST", "/pipelines", json=spec).status_code == 422


def test_continue_starts_a_step_anew_that_could_not_be_resumed(backend: Backend) -> None:
    training_killed_behind_step_8(backend)
    backend.user("POST", "/pipelines/1/continue", json={})
    mismatch = {"code": "resume_mismatch", "message": "another model", "way_out": "Retry."}
    backend.held().finish("failed", "invalid_config", failure=mismatch)
    backend.user("POST", "/pipelines/1/continue", json={})
    assert backend.held().resumes is None
