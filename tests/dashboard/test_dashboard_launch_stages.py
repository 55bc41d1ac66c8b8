"""The launch page over canned replies: every step alone, checkpoints, and *Run all*."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from memgen.contract.config import parse_config
from memgen.contract.pipeline import STEPS, PipelineSpec, demo_spec, plan_pipeline
from memgen.contract.presets import BUILT_IN
from tests.dashboard.test_dashboard_pages import open_page, shown


def launched(app: AppTest, backend: Any) -> dict[str, Any]:
    """Press *Launch* and return the config that was sent."""
    app.button(key="launch").click().run()
    assert not app.exception, app.exception
    config: dict[str, Any] = backend.submitted[-1][1]["config"]
    return config


def run_all(app: AppTest, backend: Any) -> PipelineSpec:
    """Press *Run all* and return the spec that was sent."""
    app.button(key="run_all").click().run()
    assert not app.exception, app.exception
    return PipelineSpec.model_validate(backend.submitted_pipelines[-1][1])


@pytest.mark.parametrize("step", STEPS)
def test_untouched_form_of_each_step_sends_a_config_of_its_stage_and_setting(backend: Any, step: str) -> None:
    backend.add_checkpoint(7)
    config = launched(open_page("launch", what=step), backend)
    parsed = parse_config(config)
    assert (parsed.stage, getattr(parsed, "setting", None)) == (STEPS[step].stage, STEPS[step].setting)
    assert parsed.checkpoint == (None if STEPS[step].parent is None else "7")


def test_choice_of_a_step_stays_in_the_address_and_shows_its_own_defaults(backend: Any) -> None:
    app = open_page("launch")
    app.number_input(key="config_batch_size").set_value(2)
    app.number_input(key="config_seed").set_value(7).run()
    app.segmented_control(key="what").select("weaver_sft").run()
    assert not app.exception
    assert app.query_params["what"] in ("weaver_sft", ["weaver_sft"])
    assert app.number_input(key="config_batch_size").value == 4
    assert app.number_input(key="config_seed").value == 7
    app.segmented_control(key="what").select("base_eval").run()
    assert app.number_input(key="config_batch_size").value == 2


def test_address_without_a_known_step_shows_the_base_evaluation(backend: Any) -> None:
    assert open_page("launch", what="nothing").segmented_control(key="what").value == "base_eval"


def test_checkpoints_that_fit_can_be_chosen_and_the_others_say_why_not(backend: Any) -> None:
    backend.add_checkpoint(7, note="first")
    backend.add_checkpoint(8)
    backend.add_checkpoint(9, reason="it was made for *another* model")
    app = open_page("launch", what="trigger_grpo")
    box = app.selectbox(key="config_checkpoint")
    assert box.options == [
        "7 · weaver_sft · first · step 16 · weaver · 01234567",
        "8 · weaver_sft · step 16 · weaver · 01234567",
    ]
    assert box.value is None
    assert app.button(key="launch").disabled
    assert "Choose a checkpoint first" in shown(app)
    assert "made for \\*another\\* model" in shown(app)
    box.select("8").run()
    assert launched(app, backend)["checkpoint"] == "8"


def test_checkpoints_are_asked_for_by_what_the_run_is_to_be(backend: Any) -> None:
    app = open_page("launch", what="ltpo_eval")
    app.segmented_control(key="config_setting").select("weaver+ltpo")
    app.number_input(key="config_prompt_latents_len").set_value(4).run()
    asked = [request.url.params for request in backend.asked if request.url.path.endswith("/checkpoints")][-1]
    assert dict(asked) == {
        "stage": "ltpo_evaluate", "setting": "weaver+ltpo", "preset": BUILT_IN[0].name, "prompt_latents_len": "4",
    }  # fmt: skip


def test_no_checkpoint_that_fits_says_how_to_get_one(backend: Any) -> None:
    app = open_page("launch", what="trigger_eval")
    assert "No checkpoint fits" in shown(app)
    assert [link.label for link in app.page_link if link.label.startswith("Train")] == [
        "Train a weaver",
        "Train a trigger",
    ]
    assert app.button(key="launch").disabled


def test_checkpoint_of_the_address_is_chosen_with_its_model(backend: Any) -> None:
    backend.add_checkpoint(7)
    backend.add_checkpoint(8)
    backend.runs[8]["config"] |= {"preset": "Qwen/Qwen3-14B", "data": "wordproblems", "revision": "abc"}
    config = launched(open_page("launch", what="weaver_eval", checkpoint="8"), backend)
    assert config["checkpoint"] == "8"
    assert (config["preset"], config["data"], config["revision"]) == ("Qwen/Qwen3-14B", "wordproblems", "abc")


def test_same_checkpoint_asked_for_again_is_chosen_again(backend: Any) -> None:
    backend.add_checkpoint(7)
    backend.add_checkpoint(8)
    app = open_page("launch", what="weaver_eval", checkpoint="7")
    app.selectbox(key="config_checkpoint").select("8").run()
    assert app.selectbox(key="config_checkpoint").value == "8"
    app.switch_page("app_pages/runs.py").run()
    app.switch_page("app_pages/launch.py")
    app.query_params["what"], app.query_params["checkpoint"] = "weaver_eval", "7"
    app.run()
    assert app.selectbox(key="config_checkpoint").value == "7"


def test_checkpoint_of_the_address_alone_chooses_the_step(backend: Any) -> None:
    backend.add_checkpoint(8, "trigger_grpo")
    assert open_page("launch", checkpoint="8").segmented_control(key="what").value == "trigger_eval"


def test_checkpoint_of_the_address_that_does_not_fit_is_said(backend: Any) -> None:
    backend.add_checkpoint(7)
    backend.add_checkpoint(8, reason="it has no trigger")
    app = open_page("launch", what="trigger_eval", checkpoint="8")
    assert "Checkpoint 8 can't be used here: it has no trigger" in shown(app)
    assert app.selectbox(key="config_checkpoint").value is None


def test_only_checkpoint_of_a_model_is_taken_when_the_model_is_chosen(backend: Any) -> None:
    app = open_page("launch", what="weaver_eval")
    backend.add_checkpoint(7)
    app.selectbox(key="config_preset").select("Qwen/Qwen3-14B").run()
    assert app.selectbox(key="config_checkpoint").value == "7"


def test_weaver_can_start_anew_or_from_a_checkpoint(backend: Any) -> None:
    backend.add_checkpoint(7)
    app = open_page("launch", what="weaver_sft")
    assert app.selectbox(key="config_checkpoint").value is None
    assert app.selectbox(key="config_checkpoint").placeholder == "none: starts anew"
    app.selectbox(key="config_checkpoint").select("7").run()
    assert launched(app, backend)["checkpoint"] == "7"


@pytest.mark.parametrize(
    ("config", "step"),
    [
        ({"stage": "weaver_sft", "learning_rate": 0.002, "lora_r": 4}, "weaver_sft"),
        ({"stage": "trigger_grpo", "checkpoint": "7", "num_generations": 4, "beta": 0.5}, "trigger_grpo"),
        ({"stage": "evaluate", "setting": "weaver+trigger", "checkpoint": "7", "batch_size": 3}, "trigger_eval"),
        (
            {"stage": "evaluate", "setting": "weaver+random", "insert_probability": 0.4, "checkpoint": "7"},
            "weaver_eval",
        ),
        ({"stage": "ltpo_evaluate", "setting": "weaver+ltpo", "checkpoint": "7", "update": "reinforce"}, "ltpo_eval"),
    ],
)
def test_launch_again_brings_back_the_config_of_every_stage(backend: Any, config: dict[str, Any], step: str) -> None:
    backend.add_checkpoint(7)
    backend.add_run(3, config=config)
    app = open_page("launch", **{"from": "3"})
    assert app.segmented_control(key="what").value == step
    assert launched(app, backend) == backend.runs[3]["config"]


def test_probability_makes_a_weaver_evaluation_one_by_chance_and_no_other_form_has_it(backend: Any) -> None:
    backend.add_checkpoint(7)
    app = open_page("launch", what="weaver_eval")
    app.number_input(key="config_insert_probability").set_value(0.25).run()
    assert "weaver+random" in shown(app).replace("\\", "")
    config = launched(app, backend)
    assert (config["setting"], config["insert_probability"]) == ("weaver+random", 0.25)
    for other in ("base_eval", "trigger_eval"):
        form = open_page("launch", what=other)
        assert not [one for one in form.number_input if one.key == "config_insert_probability"]


def test_model_that_is_changed_leaves_the_other_models_revision_behind(backend: Any) -> None:
    backend.add_run(3, config={"stage": "evaluate", "revision": "abc"})
    app = open_page("launch", **{"from": "3"})
    app.selectbox(key="config_preset").select("Qwen/Qwen3-14B").run()
    assert launched(app, backend)["revision"] is None


def test_another_update_of_ltpo_shows_its_own_defaults(backend: Any) -> None:
    app = open_page("launch", what="ltpo_eval")
    app.segmented_control(key="config_update").select("reinforce").run()
    assert app.number_input(key="config_sigma").value == 4.0
    app.segmented_control(key="config_update").select("autograd").run()
    assert app.number_input(key="config_sigma").value == 0.1


def test_run_all_sends_the_model_and_what_differs_from_the_defaults(backend: Any) -> None:
    app = open_page("launch", what="all")
    app.number_input(key="weaver_sft_max_steps").set_value(20)
    app.number_input(key="ltpo_eval_batch_size").set_value(2)
    app.number_input(key="evaluations_num_questions").set_value(50)
    app.text_input(key="launch_note").set_value("whole").run()
    spec = run_all(app, backend)
    assert spec == PipelineSpec(
        note="whole",
        shared={"preset": BUILT_IN[0].name},
        evaluations={"num_questions": 50},
        steps={"weaver_sft": {"max_steps": 20}, "ltpo_eval": {"batch_size": 2}},
    )
    assert len(backend.submitted_pipelines[0][0]) == 32
    assert "Pipeline 201" in shown(app)


def test_lengths_and_limits_of_latents_are_set_in_the_weaver_alone(backend: Any) -> None:
    app = open_page("launch", what="all")
    keys = {str(widget.key) for widget in app.number_input}
    assert {key for key in keys if "latents_len" in key or "_aug_num" in key} == {
        "weaver_sft_prompt_latents_len", "weaver_sft_inference_latents_len",
        "weaver_sft_max_prompt_aug_num", "weaver_sft_max_inference_aug_num",
    }  # fmt: skip


def test_preflight_of_run_all_names_each_step_and_the_sums(backend: Any) -> None:
    app = open_page("launch", what="all")
    table = app.table[0].value
    assert table["Step"].tolist() == [*[step.label for step in STEPS.values()], "**Together**"]
    assert table["Questions"].tolist()[-1] == "**7,914**"
    assert table["Expected time"].tolist()[-1] == "**13 min**"


def test_problem_of_a_pipeline_switches_run_all_off_and_names_the_field(backend: Any) -> None:
    backend.problems = [{"code": "x", "message": "too large", "field": "steps.weaver_sft.lora_r", "value": "9"}]
    app = open_page("launch", what="all")
    assert app.button(key="run_all").disabled
    assert "steps\\.weaver\\_sft\\.lora\\_r" in shown(app)


def test_demo_fills_the_form_with_the_demo_pipeline(backend: Any) -> None:
    app = open_page("launch", what="all")
    app.button(key="fill_demo").click().run()
    assert app.number_input(key="weaver_sft_learning_rate").value == 1e-3
    spec = run_all(app, backend)
    assert plan_pipeline(spec) == plan_pipeline(demo_spec())
    assert spec.note == "Demo"


def test_reused_run_of_the_address_stands_for_its_step_and_hides_the_settings(backend: Any) -> None:
    backend.add_checkpoint(12)
    app = open_page("launch", reuse_weaver_sft="12")
    assert app.segmented_control(key="what").value == "all"
    assert app.selectbox(key="weaver_sft_run").value == "12"
    assert "weaver_sft_max_steps" not in {widget.key for widget in app.number_input}
    assert "Weaver SFT, run 12" in app.table[0].value["Step"].tolist()
    spec = run_all(app, backend)
    assert (spec.reuse, spec.include) == ({"weaver_sft": 12}, None)


def test_reused_evaluation_of_the_address_brings_its_questions_and_lengths(backend: Any) -> None:
    config = {"stage": "evaluate", "num_questions": 9, "split": "validation", "max_completion_length": 50, "seed": 1}
    backend.add_run(3, config=config)
    spec = run_all(open_page("launch", reuse_base_eval="3"), backend)
    assert spec.reuse == {"base_eval": 3}
    assert spec.shared == {"preset": BUILT_IN[0].name, "max_completion_length": 50, "seed": 1}
    assert spec.evaluations == {"num_questions": 9, "split": "validation"}


def test_reused_trigger_brings_the_weaver_that_it_was_trained_on(backend: Any) -> None:
    backend.add_checkpoint(12)
    backend.add_checkpoint(13, "trigger_grpo")
    backend.runs[13]["parent_id"] = 12
    app = open_page("launch", what="all")
    app.selectbox(key="trigger_grpo_run").select("13").run()
    assert run_all(app, backend).reuse == {"trigger_grpo": 13, "weaver_sft": 12}


def test_reused_run_of_another_model_is_refused_with_a_reason(backend: Any) -> None:
    backend.add_checkpoint(12)
    app = open_page("launch", reuse_weaver_sft="12")
    app.selectbox(key="config_preset").select("Qwen/Qwen3-14B").run()
    assert "Run 12 can't stand for Weaver SFT" in shown(app)
    assert app.selectbox(key="weaver_sft_run").value == "new"


def test_step_that_is_left_out_is_not_included(backend: Any) -> None:
    app = open_page("launch", what="all")
    app.selectbox(key="ltpo_eval_run").select("out").run()
    assert run_all(app, backend).include == [name for name in STEPS if name != "ltpo_eval"]


def test_run_all_again_brings_back_a_pipelines_settings(backend: Any) -> None:
    backend.add_checkpoint(12)
    spec = PipelineSpec(
        note="old",
        shared={"preset": BUILT_IN[0].name, "seed": 3},
        evaluations={"split": "validation"},
        steps={"trigger_grpo": {"beta": 0.1}, "ltpo_eval": {"update": "reinforce"}},
        reuse={"weaver_sft": 12},
    )
    backend.add_pipeline(4, "succeeded", {}, spec=spec.model_dump(mode="json"))
    app = open_page("launch", from_pipeline="4")
    assert app.number_input(key="ltpo_eval_lr").value == 0.04
    assert run_all(app, backend) == spec


def test_what_was_typed_for_run_all_is_there_after_a_look_at_another_step(backend: Any) -> None:
    app = open_page("launch", what="all")
    app.number_input(key="trigger_grpo_max_steps").set_value(9).run()
    app.segmented_control(key="what").select("base_eval").run()
    app.segmented_control(key="what").select("all").run()
    assert app.number_input(key="trigger_grpo_max_steps").value == 9
