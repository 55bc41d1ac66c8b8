"""The launch page's *Run all*: settings of steps, runs that are reused, and the check before the launch."""

import pytest
from streamlit.testing.v1 import AppTest

from backend.api.schemas import PipelineCreate
from memgen.contract.demo import small_spec
from memgen.contract.pipeline import STEPS, USUAL, PipelineSpec, plan_pipeline
from memgen.contract.presets import DEMO_PRESET
from tests.dashboard.pages import open_page, said, shown
from tests.dashboard.studio import GRPO, QWEN, SFT, Studio

REWARDED = {**SFT, "stage": "weaver_grpo"}


def run_all(app: AppTest, studio: Studio) -> PipelineSpec:
    """Press *Run all* and return the spec that was sent."""
    app.button(key="run_all").click().run()
    assert not app.exception, app.exception
    return PipelineCreate.model_validate(studio.wire.sent("/pipelines")[0]).spec


@pytest.fixture
def weaver(studio: Studio) -> int:
    """A weaver of the model and the data that the form starts from."""
    return studio.trained(SFT, data="gsm8k")


def test_run_all_sends_the_model_and_what_differs_from_the_defaults(studio: Studio) -> None:
    app = open_page("launch", what="all")
    app.number_input(key="weaver_sft_max_steps").set_value(20)
    app.number_input(key="ltpo_eval_batch_size").set_value(2)
    app.number_input(key="evaluations_num_questions").set_value(50)
    app.text_input(key="launch_note").set_value("whole").run()
    spec = run_all(app, studio)
    assert spec == PipelineSpec(
        note="whole",
        shared={"preset": DEMO_PRESET},
        evaluations={"num_questions": 50},
        steps={"weaver_sft": {"max_steps": 20}, "ltpo_eval": {"batch_size": 2}},
    )
    assert len(studio.wire.sent("/pipelines")[1]) == 32
    assert "Pipeline 1" in shown(app)


def test_lengths_and_limits_of_latents_are_set_in_the_weaver_alone(studio: Studio) -> None:
    app = open_page("launch", what="all")
    keys = {str(widget.key) for widget in app.number_input}
    assert {key for key in keys if "latents_len" in key or "_aug_num" in key} == {
        "weaver_sft_prompt_latents_len", "weaver_sft_inference_latents_len",
        "weaver_sft_max_prompt_aug_num", "weaver_sft_max_inference_aug_num",
    }  # fmt: skip


def test_preflight_of_run_all_names_each_step_and_the_sums(studio: Studio) -> None:
    table = open_page("launch", what="all").table[0].value
    assert table["Pipeline step"].tolist() == [*[STEPS[name].label for name in USUAL], "**Together**"]
    steps = studio.client.preflight_pipeline(PipelineSpec(shared={"preset": DEMO_PRESET})).steps.values()
    together = sum(one.num_questions or 0 for one in steps)
    assert together > 4 * 1319
    assert table["Questions"].tolist()[-1] == f"**{together:,}**"


def test_expected_times_of_steps_that_were_run_before_are_summed(studio: Studio) -> None:
    studio.work_through(studio.submit_pipeline()["id"], seconds=13.0)
    time = open_page("launch", what="all").table[0].value["Expected time"].tolist()
    assert "not known yet" not in time
    assert time[-1].startswith("**")


def test_problem_of_a_pipeline_switches_run_all_off_and_names_the_field(studio: Studio) -> None:
    app = open_page("launch", what="all")
    app.number_input(key="trigger_grpo_batch_size").set_value(5).run()
    assert app.button(key="run_all").disabled
    assert "steps.trigger_grpo.num_generations" in said(app)


def test_small_example_fills_the_form(studio: Studio) -> None:
    app = open_page("launch", what="all")
    app.button(key="fill_small").click().run()
    assert app.number_input(key="weaver_sft_learning_rate").value == 1e-3
    spec = run_all(app, studio)
    assert plan_pipeline(spec) == plan_pipeline(small_spec())
    assert spec.note == "Small"


def test_reused_run_of_the_address_stands_for_its_step_and_hides_the_settings(studio: Studio, weaver: int) -> None:
    app = open_page("launch", reuse_weaver_sft=str(weaver))
    assert app.segmented_control(key="what").value == "all"
    assert app.selectbox(key="weaver_sft_run").value == str(weaver)
    assert "weaver_sft_max_steps" not in {widget.key for widget in app.number_input}
    assert f"Weaver SFT, run {weaver}" in app.table[0].value["Pipeline step"].tolist()
    spec = run_all(app, studio)
    assert (spec.reuse, spec.include) == ({"weaver_sft": weaver}, None)


def test_reused_evaluation_of_the_address_brings_its_questions_and_lengths(studio: Studio) -> None:
    run_id = studio.evaluated(True, num_questions=9, split="validation", max_completion_length=50, seed=1)
    spec = run_all(open_page("launch", reuse_base_eval=str(run_id)), studio)
    assert spec.reuse == {"base_eval": run_id}
    assert spec.shared == {"preset": DEMO_PRESET, "max_completion_length": 50, "seed": 1}
    assert spec.evaluations == {"num_questions": 9, "split": "validation"}


def test_reused_trigger_brings_the_weaver_that_it_was_trained_on(studio: Studio, weaver: int) -> None:
    trigger = studio.trained(GRPO, data="gsm8k", checkpoint=str(weaver))
    app = open_page("launch", what="all")
    app.selectbox(key="trigger_grpo_run").select(str(trigger)).run()
    assert run_all(app, studio).reuse == {"trigger_grpo": trigger, "weaver_sft": weaver}


def test_reused_run_of_another_model_is_refused_with_a_reason(studio: Studio, weaver: int) -> None:
    app = open_page("launch", reuse_weaver_sft=str(weaver))
    app.selectbox(key="config_preset").select(QWEN).run()
    assert f"Run {weaver} can't stand for Weaver SFT" in shown(app)
    assert app.selectbox(key="weaver_sft_run").value == "new"


def test_step_that_is_left_out_is_not_included(studio: Studio) -> None:
    app = open_page("launch", what="all")
    app.selectbox(key="ltpo_eval_run").select("out").run()
    assert run_all(app, studio).include == [name for name in USUAL if name != "ltpo_eval"]


def test_optional_training_runs_where_it_is_asked_for_and_is_set_in_its_place(studio: Studio) -> None:
    app = open_page("launch", what="all")
    assert app.selectbox(key="weaver_grpo_run").value == "out"
    app.selectbox(key="weaver_grpo_run").select("new").run()
    app.number_input(key="weaver_grpo_max_steps").set_value(3).run()
    spec = run_all(app, studio)
    assert (spec.include, spec.steps) == (
        [name for name in STEPS if name in {*USUAL, "weaver_grpo"}],
        {"weaver_grpo": {"max_steps": 3}},
    )
    assert plan_pipeline(spec)["weaver_grpo"].checkpoint is not None


def test_reused_trigger_brings_all_trainings_that_it_comes_from(studio: Studio, weaver: int) -> None:
    rewarded = studio.trained(REWARDED, data="gsm8k", checkpoint=str(weaver))
    trigger = studio.trained(GRPO, data="gsm8k", checkpoint=str(rewarded))
    brought = {"weaver_sft": weaver, "weaver_grpo": rewarded, "trigger_grpo": trigger}
    app = open_page("launch", what="all")
    app.selectbox(key="trigger_grpo_run").select(str(trigger)).run()
    assert run_all(app, studio).reuse == brought
    assert run_all(open_page("launch", reuse_trigger_grpo=str(trigger)), studio).reuse == brought


def test_reused_trigger_whose_weaver_was_deleted_is_all_that_is_chosen(studio: Studio, weaver: int) -> None:
    trigger = studio.trained(GRPO, data="gsm8k", checkpoint=str(weaver))
    studio.client.delete(weaver, confirm=True)
    app = open_page("launch", reuse_trigger_grpo=str(trigger))
    assert not app.exception
    assert (app.selectbox(key="trigger_grpo_run").value, app.selectbox(key="weaver_sft_run").value) == (
        str(trigger),
        "new",
    )


def test_weaver_by_rewards_that_started_from_the_base_leaves_the_other_training_out(studio: Studio) -> None:
    rewarded = studio.trained(REWARDED, data="gsm8k")
    app = open_page("launch", what="all")
    app.selectbox(key="weaver_grpo_run").select(str(rewarded)).run()
    for one in (app, open_page("launch", reuse_weaver_grpo=str(rewarded))):
        spec = run_all(one, studio)
        assert (spec.reuse, "weaver_sft" in spec.to_run) == ({"weaver_grpo": rewarded}, False)


def test_run_all_again_brings_back_a_pipelines_settings(studio: Studio) -> None:
    weaver = studio.trained(SFT, data="gsm8k", seed=3)
    spec = PipelineSpec(
        note="old",
        shared={"preset": DEMO_PRESET, "seed": 3},
        evaluations={"split": "validation"},
        steps={"trigger_grpo": {"beta": 0.1}, "ltpo_eval": {"update": "reinforce"}},
        reuse={"weaver_sft": weaver},
    )
    pipeline = studio.client.submit_pipeline(spec)
    app = open_page("launch", from_pipeline=str(pipeline.id))
    assert app.number_input(key="ltpo_eval_lr").value == 0.04
    assert run_all(app, studio) == spec


def test_pipeline_is_launched_with_tags_that_its_runs_get(studio: Studio) -> None:
    studio.user("POST", "/runs/tags", json={"runs": [studio.submit()], "add": ["Paper"], "confirm": True})
    app = open_page("launch", what="all")
    app.multiselect(key="launch_tags").select("Paper").run()
    run_all(app, studio)
    pipeline = studio.get("/pipelines/1")
    assert pipeline["tags"] == ["Paper"]
    assert {tuple(step["run"]["tags"]) for step in pipeline["steps"]} == {("Paper",)}


def test_what_was_typed_for_run_all_is_there_after_a_look_at_another_step(studio: Studio) -> None:
    app = open_page("launch", what="all")
    app.number_input(key="trigger_grpo_max_steps").set_value(9).run()
    app.segmented_control(key="what").select("base_eval").run()
    app.segmented_control(key="what").select("all").run()
    assert app.number_input(key="trigger_grpo_max_steps").value == 9
