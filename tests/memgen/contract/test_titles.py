"""Every field of a config has words for people."""

import pytest
from pydantic import Field

from memgen.contract.stage_configs import StageConfig
from memgen.contract.stages import STAGES
from memgen.contract.titles import title_of, words_of

NO_WORDS = {"num", "len", "max", "min", "aug", "lr", "lora_r", "eval", "prob", "type", "dtype"}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_titles_of_a_stages_fields_are_words_and_differ(stage) -> None:
    titles = [part["title"] for part in stage.config.model_json_schema()["properties"].values()]
    assert len(set(titles)) == len(titles)
    for title in titles:
        assert title[0].isupper()
        assert "_" not in title
        assert not NO_WORDS & set(title.lower().split())


def test_field_may_say_its_title_itself_and_else_has_its_name_as_words() -> None:
    class Own(StageConfig):
        num_questions: int = Field(default=1, title="Riddles")
        lucky_number: int = 7

    properties = Own.model_json_schema()["properties"]
    assert [properties[name]["title"] for name in ("num_questions", "lucky_number")] == ["Riddles", "Lucky number"]
    assert title_of("num_questions") == "Questions"


def test_value_is_told_in_words_where_it_has_some() -> None:
    assert (words_of("guard_numbers", 0), words_of("guard_numbers", 1)) == ("off", "on")
    assert words_of("prompt_latents_len", 1) == "1"
