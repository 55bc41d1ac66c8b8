"""The launch forms of the LoRA stages and of their evaluations."""

from typing import Any

import pytest

from memgen.contract.config import parse_config
from tests.dashboard.pages import open_page, said
from tests.dashboard.studio import Studio


def launched(app: Any, studio: Studio) -> dict[str, Any]:
    app.button(key="launch").click().run()
    assert not app.exception, app.exception
    config: dict[str, Any] = studio.wire.sent("/runs")[0]["config"]
    return config


@pytest.mark.parametrize("stage", ["lora_sft", "lora_grpo"])
def test_untouched_form_of_a_training_sends_a_config_of_its_stage(studio: Studio, stage: str) -> None:
    config = parse_config(launched(open_page("launch", what=stage), studio))
    assert (config.stage, config.checkpoint, config.has_lora) == (stage, None, True)


def test_form_says_what_a_training_is_matched_by_and_sends_it(studio: Studio) -> None:
    app = open_page("launch", what="lora_sft")
    app.segmented_control(key="config_budget").select("numbers").run()
    assert "needs a number here" in said(app)
    app.number_input(key="config_trained_numbers").set_value(1_000_000).run()
    config = launched(app, studio)
    assert (config["budget"], config["trained_numbers"]) == ("numbers", 1_000_000)


def test_evaluations_offer_the_checkpoints_of_their_own_stage_and_say_why_not_the_others(studio: Studio) -> None:
    weaver = studio.trained()
    sft, grpo = (studio.trained({"stage": stage}) for stage in ("lora_sft", "lora_grpo"))
    for form, setting, checkpoint in (("lora_eval", "lora", sft), ("lora_grpo_eval", "lora+grpo", grpo)):
        app = open_page("launch", what=form)
        assert "Not suitable (2)" in [one.label for one in app.expander]
        config = launched(app, studio)
        assert (config["stage"], config["setting"], config["checkpoint"]) == ("evaluate", setting, str(checkpoint))
    assert weaver not in (sft, grpo)
