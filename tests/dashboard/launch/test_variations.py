"""A form can start from an ablation: its fields are set, and those of others are as usual again."""

from dashboard.launch.config_form import form_fields
from dashboard.launch.variation_choice import OWN, USUAL, touched_fields, variation_of
from memgen.contract.stages import stage_named
from tests.dashboard.launch.test_launch import launched
from tests.dashboard.pages import open_page
from tests.dashboard.studio import Studio

START = "config_start_from"
STATIC, NO_INSERTIONS = "Static latents: learned vectors, no weaver", "No insertions in the answer"


def test_ablation_is_launched_in_one_click_and_the_next_one_takes_its_place(studio: Studio) -> None:
    app = open_page("launch", what="weaver_sft")
    assert app.selectbox(key=START).value == USUAL
    app.selectbox(key=START).select(NO_INSERTIONS).run()
    assert app.number_input(key="config_max_inference_aug_num").value == 0
    app.selectbox(key=START).select(STATIC).run()
    assert app.selectbox(key=START).value == STATIC
    config = launched(app, studio)
    assert (config["weaver_variant"], config["max_inference_aug_num"]) == ("static", 5)


def test_choice_follows_fields_that_are_set_by_hand_and_leads_back_to_the_usual_ones(studio: Studio) -> None:
    app = open_page("launch", what="weaver_sft")
    app.number_input(key="config_max_inference_aug_num").set_value(0).run()
    assert app.selectbox(key=START).value == NO_INSERTIONS
    app.number_input(key="config_max_inference_aug_num").set_value(3).run()
    assert app.selectbox(key=START).value == OWN
    app.selectbox(key=START).select(USUAL).run()
    assert app.number_input(key="config_max_inference_aug_num").value == 5


def test_step_of_run_all_starts_from_an_ablation_too(studio: Studio) -> None:
    app = open_page("launch", what="all")
    app.selectbox(key="weaver_sft_start_from").select(STATIC).run()
    app.button(key="run_all").click().run()
    assert not app.exception, app.exception
    assert studio.wire.sent("/pipelines")[0]["steps"] == {"weaver_sft": {"weaver_variant": "static"}}


def test_stage_without_variations_has_no_such_choice(studio: Studio) -> None:
    app = open_page("launch")
    assert START not in {box.key for box in app.selectbox}


def test_every_variation_is_told_from_the_others_by_its_fields() -> None:
    stage = stage_named("weaver_sft")
    variations = stage.launch.variations
    fields = touched_fields(form_fields(stage.config.model_json_schema()), variations)
    usual = {field.name: field.default for field in fields}
    for one in variations:
        assert variation_of(fields, variations, usual | dict(one.values)) == one.label
    assert variation_of(fields, variations, usual) == USUAL
