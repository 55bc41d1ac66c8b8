"""A run that failed for a reason in its config is mended by a new one, and its pipeline goes on."""

from typing import Any

from memgen.contract import ways_out
from memgen.contract.fixing import blamed_fields, fixing_spec, place_of
from memgen.contract.pipeline import PipelineSpec
from memgen.contract.problem import Problem
from tests.backend.conftest import Backend, check_problem

TOO_LONG = {
    "code": "examples_too_long",
    "message": "every example is longer than the config allows",
    "field": "max_completion_length",
    "value": "24",
    "way_out": "Raise max_completion_length or max_prompt_length.",
}
SFT = {"stage": "weaver_sft", "preset": "tiny/qwen2-242k"}


def failed(backend: Backend, **config: Any) -> int:
    held = backend.started(**config)
    held.finish("failed", "invalid_config", failure=TOO_LONG)
    return held.run_id


def submit(backend: Backend, fixes: int, **config: object) -> Any:
    return backend.user("POST", "/runs", json={"config": backend.config | config, "fixes": fixes})


def test_failure_names_its_field_first_then_those_of_its_way_out() -> None:
    assert blamed_fields(SFT, Problem(**TOO_LONG)) == ["max_completion_length", "max_prompt_length"]
    memory = Problem(code="out_of_memory", message="no room", way_out=ways_out.OUT_OF_MEMORY)
    assert blamed_fields(SFT, memory) == ["micro_batch_size", "batch_size"]
    assert blamed_fields({"stage": "evaluate"}, memory) == ["batch_size"]


def test_failure_that_no_setting_mends_names_none() -> None:
    disk = Problem(code="disk_full", message="full", way_out="Make room, e.g. delete runs, then resume.")
    mismatch = Problem(code="resume_mismatch", message="other", field="resume", way_out="Start again without --resume.")
    for failure in (disk, mismatch, None):
        assert blamed_fields(SFT, failure) == []
    assert blamed_fields({"stage": "gone"}, Problem(**TOO_LONG)) == []


def test_new_run_remembers_which_it_mends_and_the_old_one_by_which_it_was_mended(backend: Backend) -> None:
    old = failed(backend)
    first, second = (submit(backend, old, max_completion_length=length).json()["id"] for length in (48, 96))
    assert (backend.run(second)["fixes_id"], backend.run(old)["fixed_by"]) == (old, second)
    assert backend.run(first)["fixed_by"] is None
    assert backend.history(second)[0]["detail"] == f"submitted to mend run {old}"
    assert backend.user("DELETE", f"/runs/{old}", params={"confirm": "true"}).status_code == 200
    assert backend.run(second)["fixes_id"] == old


def test_what_has_not_failed_is_not_mended(backend: Backend) -> None:
    old = backend.submit()
    check_problem(submit(backend, old), 409, "not_failed")
    check_problem(submit(backend, 99), 404, "run_not_found")
    broken = failed(backend)
    check_problem(submit(backend, broken, stage="weaver_sft"), 409, "other_stage")
    check_problem(backend.user("POST", "/pipelines", json=backend.spec(fixes=7)), 404, "pipeline_not_found")
    number = backend.submit_pipeline()["id"]
    check_problem(backend.user("POST", "/pipelines", json=backend.spec(fixes=number)), 409, "not_failed")


def broken_pipeline(backend: Backend) -> dict[str, Any]:
    """A pipeline whose base is evaluated and whose weaver found every example too long."""
    pipeline: dict[str, Any] = backend.submit_pipeline(
        steps={"weaver_sft": {"max_steps": 2}, "ltpo_eval": {"max_steps": 1}}
    )
    backend.work()
    backend.work("failed", failure=TOO_LONG)
    backend.reconciler.round()
    found: dict[str, Any] = backend.get(f"/pipelines/{pipeline['id']}")
    assert found["status"] == "failed"
    return found


def test_pipeline_that_mends_another_reuses_what_is_done_and_runs_the_rest(backend: Backend) -> None:
    old = broken_pipeline(backend)
    assert [step["step"] for step in old["steps"] if step["can_be_fixed"]] == ["weaver_sft"]
    finished = {step["step"]: step["run"]["id"] for step in old["steps"] if step["run"]["status"] == "succeeded"}
    spec = fixing_spec(PipelineSpec.model_validate(old["spec"]), old["id"], finished)  # type: ignore[arg-type]
    spec = spec.model_copy(update={"steps": {**spec.steps, "weaver_sft": {"max_steps": 3}}})
    reply = backend.user("POST", "/pipelines", json=spec.model_dump(mode="json"))
    assert reply.status_code == 201, reply.text
    steps = backend.steps(reply.json()["id"])
    assert (steps["base_eval"]["reused"], steps["base_eval"]["run"]["id"]) == (True, 1)
    assert {name for name, step in steps.items() if not step["reused"]} == {*steps} - {"base_eval"}
    weaver = backend.run(steps["weaver_sft"]["run"]["id"])
    assert (weaver["fixes_id"], weaver["config"]["max_steps"]) == (2, 3)
    assert backend.get(f"/pipelines/{old['id']}")["fixed_by"] == reply.json()["id"]
    for _ in range(5):  # the rest follows
        backend.work()
        backend.reconciler.round()
    assert backend.get(f"/pipelines/{reply.json()['id']}")["status"] == "succeeded"


def test_fields_of_a_step_have_their_place_in_the_pipeline() -> None:
    assert place_of("weaver_sft", "max_completion_length") == "shared"
    assert place_of("weaver_sft", "num_questions") == "weaver_sft"
    assert place_of("base_eval", "num_questions") == "evaluations"
    assert place_of("base_eval", "batch_size") == "base_eval"


def test_key_of_a_body_without_fixes_stays_the_key_of_that_body(backend: Backend) -> None:
    for path, body in (("/runs", {"config": backend.config, "note": ""}), ("/pipelines", backend.spec())):
        first, again = (
            backend.user("POST", path, json=body | more, headers={"Idempotency-Key": "k"}).json()["id"]
            for more in ({}, {"fixes": None})
        )
        assert first == again
