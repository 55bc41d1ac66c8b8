"""The launch page: every step alone, and checkpoints."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from backend.api.client import ApiError, Client
from backend.api.schemas import ProblemReply
from backend.store.models import Run
from memgen.contract.config import parse_config
from memgen.contract.pipeline import STEPS
from memgen.contract.presets import DEMO_PRESET
from tests.dashboard.pages import open_page, said, shown
from tests.dashboard.studio import GRPO, QWEN, SFT, Studio

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def trained(studio: Studio) -> Studio:
    """A weaver, run 1, and a trigger from it, run 2."""
    studio.trained(GRPO, checkpoint=str(studio.trained()))
    return studio


def launched(app: AppTest, studio: Studio) -> dict[str, Any]:
    """Press *Launch* and return the config that was sent."""
    app.button(key="launch").click().run()
    assert not app.exception, app.exception
    config: dict[str, Any] = studio.wire.sent("/runs")[0]["config"]
    return config


def test_launch_sends_the_form_and_opens_the_run(studio: Studio) -> None:
    app = open_page("launch")
    app.number_input(key="config_num_questions").set_value(30)
    app.text_input(key="launch_note").set_value("by a test").run()
    app.button(key="launch").click().run()
    assert not app.exception
    body, key = studio.wire.sent("/runs")
    assert len(key) == 32
    assert body["config"]["num_questions"] == 30
    assert body["config"]["stage"] == "evaluate"
    assert body["note"] == studio.run(1)["note"] == "by a test"
    assert "Run 1" in shown(app)


def test_run_is_launched_with_its_tags_and_group(studio: Studio) -> None:
    studio.user("POST", "/runs/tags", json={"runs": [studio.submit()], "add": ["Paper"], "confirm": True})
    app = open_page("launch")
    first = app.session_state["launch_idempotency"][1]
    app.multiselect(key="launch_tags").select("Paper")
    app.selectbox(key="launch_group").select("Paper").run()
    assert app.session_state["launch_idempotency"][1] != first
    assert "--tag Paper" in app.code[0].value
    launched(app, studio)
    assert (studio.run(2)["tags"], studio.run(2)["group"]) == (["Paper"], "Paper")


def test_same_form_keeps_its_key_and_a_changed_form_gets_another(studio: Studio) -> None:
    app = open_page("launch")
    first = app.session_state["launch_idempotency"][1]
    app.run()
    assert app.session_state["launch_idempotency"][1] == first
    app.number_input(key="config_batch_size").set_value(4).run()
    assert app.session_state["launch_idempotency"][1] != first


@pytest.mark.parametrize(("status", "is_passing"), [(503, True), (500, True), (404, False)])
def test_settings_that_could_not_be_checked_are_checked_again_where_the_fault_is_not_theirs(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, status: int, is_passing: bool
) -> None:
    def fail(_client: Client, _config: object, **_: object) -> None:
        raise ApiError(ProblemReply(code="internal", message="no luck", status=status))

    drawn_again: list[float] = []
    with monkeypatch.context() as broken:
        broken.setattr(Client, "preflight", fail)
        broken.setattr("dashboard.parts.api._come_back", drawn_again.append)
        app = open_page("launch")
    assert app.button(key="launch").disabled
    assert "no luck" in said(app)
    assert "The settings could not be checked." in said(app)
    assert bool(drawn_again) is is_passing
    assert not app.run().button(key="launch").disabled


def test_problem_switches_the_button_off_and_says_why(studio: Studio) -> None:
    app = open_page("launch")
    app.number_input(key="config_num_questions").set_value(5000).run()
    assert app.button(key="launch").disabled
    assert "**num_questions** = 5000" in said(app)
    assert "Solve the problem" in shown(app)


def test_launch_again_starts_from_the_settings_of_the_run(studio: Studio) -> None:
    studio.submit(preset=QWEN, num_questions=7, seed=5, split="train", note="old words")
    app = open_page("launch", **{"from": "1"})
    assert app.selectbox(key="config_preset").value == QWEN
    assert app.number_input(key="config_num_questions").value == 7
    assert app.number_input(key="config_seed").value == 5
    assert app.text_input(key="launch_note").value == ""


@pytest.mark.parametrize("step", STEPS)
def test_untouched_form_of_each_step_sends_a_config_of_its_stage_and_setting(studio: Studio, step: str) -> None:
    parent = None if STEPS[step].starts_anew else STEPS[step].parents[-1]
    stage = SFT if parent != "lora_sft" else SFT | {"stage": "lora_sft"}
    checkpoint = None if parent is None else str(studio.trained(stage))
    if parent == "trigger_grpo":
        checkpoint = str(studio.trained(GRPO, checkpoint=checkpoint))
    config = launched(open_page("launch", what=step), studio)
    parsed = parse_config(config)
    assert (parsed.stage, getattr(parsed, "setting", None)) == (STEPS[step].stage, STEPS[step].setting)
    assert parsed.checkpoint == checkpoint


def test_choice_of_a_step_stays_in_the_address_and_shows_its_own_defaults(studio: Studio) -> None:
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


def test_evaluation_of_a_plain_lora_stands_after_the_training_that_makes_it(studio: Studio) -> None:
    shown_forms = open_page("launch").segmented_control(key="what").options
    assert shown_forms[:2] == ["Run all", STEPS["base_eval"].label]
    assert shown_forms[-4:] == ["LoRA SFT", "LoRA evaluation", "LoRA GRPO", "LoRA GRPO evaluation"]


def test_address_without_a_known_step_shows_the_base_evaluation(studio: Studio) -> None:
    assert open_page("launch", what="nothing").segmented_control(key="what").value == "base_eval"


def test_checkpoints_that_fit_can_be_chosen_and_the_others_say_why_not(studio: Studio) -> None:
    studio.trained(note="first")
    studio.trained(SFT | {"stage": "lora_sft"})
    studio.trained(preset=QWEN)
    app = open_page("launch", what="trigger_grpo")
    box = app.selectbox(key="config_checkpoint")
    assert box.options == [
        f"3 · weaver_sft · Qwen3-14B · step 16 · weaver · {studio.short_hash(3)}",
        f"1 · weaver_sft · SmolLM2-135M-Instruct · first · step 16 · weaver · {studio.short_hash(1)}",
    ]
    assert box.value is None
    assert app.button(key="launch").disabled
    assert "Choose a checkpoint first" in shown(app)
    assert "it holds a LoRA on the base, and the run starts from" in said(app)
    box.select("3").run()
    assert f"Model **{QWEN}**" in said(app)
    assert "Latents at the prompt: 8" in said(app)
    config = launched(app, studio)
    assert (config["checkpoint"], config["preset"]) == ("3", QWEN)


def test_checkpoints_are_asked_for_by_what_the_run_is_to_be(studio: Studio) -> None:
    app = open_page("launch", what="ltpo_eval")
    app.segmented_control(key="config_setting").select("weaver+ltpo")
    app.number_input(key="config_prompt_latents_len").set_value(4).run()
    assert studio.wire.query("/checkpoints") == {
        "stage": "ltpo_evaluate",
        "setting": "weaver+ltpo",
        "prompt_latents_len": "4",
        "limit": "50",
    }


def test_checkpoint_older_than_all_that_are_offered_can_be_gone_on_from(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.launch.checkpoint_choice.OFFERED", 2)
    old = studio.trained(data="gsm8k")
    for _ in range(3):
        studio.trained(data="gsm8k")
    app = open_page("launch", what="trigger_grpo", checkpoint=str(old))
    assert app.selectbox(key="config_checkpoint").value == str(old)
    assert "The newest 2 that fit" in said(app)
    assert "can't be used here" not in said(app)
    open_page("launch", what="weaver_sft")  # which can do without one: its model is chosen first
    assert studio.wire.query("/checkpoints")["preset"] == DEMO_PRESET


def test_no_checkpoint_that_fits_says_how_to_get_one(studio: Studio) -> None:
    app = open_page("launch", what="trigger_eval")
    assert "No checkpoint fits" in shown(app)
    assert [link.label for link in app.page_link if link.label.startswith("Train")] == [
        "Train a weaver",
        "Train a trigger",
    ]
    assert app.button(key="launch").disabled


def test_ltpo_without_a_trigger_asks_for_a_weaver_alone(studio: Studio) -> None:
    app = open_page("launch", what="ltpo_eval")
    app.segmented_control(key="config_setting").select("weaver+ltpo").run()
    assert [link.label for link in app.page_link if link.label.startswith("Train")] == ["Train a weaver"]


def test_checkpoint_of_the_address_is_chosen_with_its_model(studio: Studio) -> None:
    studio.trained()
    studio.trained(preset=QWEN, revision=COMMIT)
    config = launched(open_page("launch", what="weaver_eval", checkpoint="2"), studio)
    assert config["checkpoint"] == "2"
    assert (config["preset"], config["data"], config["revision"]) == (QWEN, "wordproblems", COMMIT)


def test_same_checkpoint_asked_for_again_is_chosen_again(studio: Studio) -> None:
    for _ in range(2):
        studio.trained()
    app = open_page("launch", what="weaver_eval", checkpoint="1")
    app.selectbox(key="config_checkpoint").select("2").run()
    assert app.selectbox(key="config_checkpoint").value == "2"
    app.switch_page("app_pages/runs.py").run()
    app.switch_page("app_pages/launch.py")
    app.query_params["what"], app.query_params["checkpoint"] = "weaver_eval", "1"
    app.run()
    assert app.selectbox(key="config_checkpoint").value == "1"


def test_checkpoint_of_the_address_alone_chooses_the_step(trained: Studio) -> None:
    assert open_page("launch", checkpoint="2").segmented_control(key="what").value == "trigger_eval"


def test_checkpoint_of_the_address_that_does_not_fit_is_said(studio: Studio) -> None:
    studio.trained()
    app = open_page("launch", what="trigger_eval", checkpoint="1")
    assert "Checkpoint 1 can't be used here: it has no trigger that was trained" in said(app)
    assert not [box for box in app.selectbox if box.key == "config_checkpoint"]


def test_only_checkpoint_that_fits_is_taken_and_comes_first_with_its_model(studio: Studio) -> None:
    app = open_page("launch", what="weaver_eval")
    assert "The model is that of the checkpoint." in shown(app)
    studio.trained(preset=QWEN, revision=COMMIT)
    app.run()
    boxes = [box.key for box in app.selectbox]
    assert boxes.index("config_checkpoint") == 0
    assert "config_preset" not in boxes
    config = launched(app, studio)
    assert (config["checkpoint"], config["preset"], config["revision"]) == ("1", QWEN, None)
    assert studio.run(2)["config"]["revision"] == COMMIT


def test_weaver_can_start_anew_or_from_a_checkpoint(studio: Studio) -> None:
    studio.trained()
    app = open_page("launch", what="weaver_sft")
    assert app.selectbox(key="config_checkpoint").value is None
    assert app.selectbox(key="config_checkpoint").placeholder == "none: starts anew"
    app.selectbox(key="config_checkpoint").select("1").run()
    assert launched(app, studio)["checkpoint"] == "1"


@pytest.mark.parametrize(
    ("config", "step"),
    [
        ({"stage": "weaver_sft", "learning_rate": 0.002, "lora_r": 4}, "weaver_sft"),
        ({"stage": "trigger_grpo", "checkpoint": "1", "num_generations": 4, "beta": 0.5}, "trigger_grpo"),
        ({"stage": "evaluate", "setting": "weaver+trigger", "checkpoint": "2", "batch_size": 3}, "trigger_eval"),
        (
            {"stage": "evaluate", "setting": "weaver+random", "insert_probability": 0.4, "checkpoint": "1"},
            "weaver_eval",
        ),
        ({"stage": "ltpo_evaluate", "setting": "weaver+ltpo", "checkpoint": "1", "update": "reinforce"}, "ltpo_eval"),
        ({"stage": "evaluate", "prompt_style": "worked_examples", "num_examples": 3}, "base_eval"),
        (
            {
                "stage": "evaluate",
                "setting": "weaver+trigger",
                "checkpoint": "2",
                "causal_check": "scaled",
                "latents_factor": 0.5,
            },
            "trigger_eval",
        ),
    ],
)
def test_launch_again_brings_back_the_config_of_every_stage(trained: Studio, config: dict[str, Any], step: str) -> None:
    trained.submit(**config)
    app = open_page("launch", **{"from": "3"})
    assert app.segmented_control(key="what").value == step
    assert launched(app, trained) == trained.run(3)["config"]


def test_launch_again_of_a_run_of_the_version_before_keeps_what_its_config_meant(trained: Studio) -> None:
    run_id = trained.submit(stage="trigger_grpo", checkpoint="1", insertion_penalty=0.5)
    with trained.context.database.write() as session:
        run = session.get_one(Run, run_id)
        run.config = {name: value for name, value in run.config.items() if name != "insertion_penalty_form"}
        session.add(run)
    app = open_page("launch", **{"from": str(run_id)})
    assert launched(app, trained)["insertion_penalty_form"] == "rate"


def test_probability_makes_a_weaver_evaluation_one_by_chance_and_no_other_form_has_it(studio: Studio) -> None:
    studio.trained()
    app = open_page("launch", what="weaver_eval")
    app.number_input(key="config_insert_probability").set_value(0.25).run()
    assert "weaver+random" in said(app)
    config = launched(app, studio)
    assert (config["setting"], config["insert_probability"]) == ("weaver+random", 0.25)
    for other in ("base_eval", "trigger_eval"):
        form = open_page("launch", what=other)
        assert not [one for one in form.number_input if one.key == "config_insert_probability"]


def test_model_that_is_changed_leaves_the_other_models_revision_behind(studio: Studio) -> None:
    studio.submit(revision=COMMIT)
    app = open_page("launch", **{"from": "1"})
    app.selectbox(key="config_preset").select(QWEN).run()
    assert launched(app, studio)["revision"] is None


def test_another_update_of_ltpo_shows_its_own_defaults(studio: Studio) -> None:
    app = open_page("launch", what="ltpo_eval")
    app.segmented_control(key="config_update").select("reinforce").run()
    assert app.number_input(key="config_sigma").value == 4.0
    app.segmented_control(key="config_update").select("autograd").run()
    assert app.number_input(key="config_sigma").value == 0.1


def test_style_of_the_prompt_is_chosen_in_words_and_brings_its_defaults(studio: Studio) -> None:
    app = open_page("launch", what="base_eval")
    box = app.selectbox(key="config_prompt_style")
    assert box.proto.placeholder == "zero-shot"
    assert (box.label, box.options) == ("Prompt", ["zero-shot", "chain of thought", "worked examples"])
    box.select("worked_examples").run()
    assert app.number_input(key="config_num_examples").value == 4
    assert app.number_input(key="config_max_prompt_length").value == 4096
    config = launched(app, studio)
    assert (config["prompt_style"], config["num_examples"]) == ("worked_examples", 4)
    assert studio.run(1)["setting"] == "base, 4 examples"
    app = open_page("launch", what="base_eval")
    app.selectbox(key="config_prompt_style").select("worked_examples").run()
    app.selectbox(key="config_prompt_style").select("chain_of_thought").run()
    assert app.number_input(key="config_num_examples").value is None
    assert launched(app, studio)["prompt_style"] == "chain_of_thought"
    assert not [one for one in open_page("launch", what="weaver_eval").selectbox if one.key == "config_prompt_style"]


def test_longest_prompt_that_came_with_worked_examples_stays_with_their_form(studio: Studio) -> None:
    app = open_page("launch", what="base_eval")
    app.number_input(key="config_seed").set_value(7).run()
    app.selectbox(key="config_prompt_style").select("worked_examples").run()
    for what in ("weaver_sft", "all"):
        app.segmented_control(key="what").select(what).run()
        assert app.number_input(key="config_max_prompt_length").value == 1024
        assert app.number_input(key="config_seed").value == 7
    app.segmented_control(key="what").select("base_eval").run()
    assert app.selectbox(key="config_prompt_style").value == "worked_examples"
    assert app.number_input(key="config_max_prompt_length").value == 4096
    assert launched(app, studio)["max_prompt_length"] == 4096


def test_causal_check_is_chosen_in_words_for_a_weaver_alone(studio: Studio) -> None:
    studio.trained()
    app = open_page("launch", what="weaver_eval")
    box = app.selectbox(key="config_causal_check")
    assert (box.label, box.options) == (
        "In place of the latents",
        ["the weaver's own latents", "latents of another question", "mean latents", "noise of the same norm",
         "no latents", "scaled latents"],
    )  # fmt: skip
    box.select("scaled").run()
    assert "needs a factor" in said(app)
    assert app.button(key="launch").disabled
    app.number_input(key="config_latents_factor").set_value(0.5).run()
    config = launched(app, studio)
    assert (config["causal_check"], config["latents_factor"]) == ("scaled", 0.5)
    assert studio.run(2)["setting"] == "weaver, latents times 0.5"
    for other in ("base_eval", "ltpo_eval"):
        assert not [one for one in open_page("launch", what=other).selectbox if one.key == "config_causal_check"]
