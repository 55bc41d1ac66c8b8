from pathlib import Path

import pytest

from memgen.contract.config import stage_class
from memgen.contract.config_text import field_value
from memgen.contract.errors import BadInput
from memgen.planner_cli import config_of
from tests.conftest import TINY

EVALUATE = [stage_class("evaluate")]


@pytest.mark.parametrize("text", ["3", "77950e8", "1e5", "true", "null", "NaN", "[1]", '{"a": 1}', '"quoted"', " 3 "])
@pytest.mark.parametrize("field", ["checkpoint", "revision", "preset", "data", "dtype", "setting", "stage"])
def test_field_that_takes_text_gets_the_word_as_it_stands(field: str, text: str) -> None:
    assert field_value(EVALUATE, field, text) == text


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("batch_size", "16", 16),
        ("batch_size", "auto", "auto"),
        ("num_questions", "null", None),
        ("num_questions", "", None),
        ("checkpoint", "", None),
        ("seed", "", ""),
        ("insert_probability", "0.25", 0.25),
        ("insert_probability", "1e-3", 1e-3),
        ("batch_size", "sixteen", "sixteen"),
        ("batch_size", "NaN", "NaN"),
        ("batch_size", "-Infinity", "-Infinity"),
        ("insert_probability", "1e999", "1e999"),
        ("batch_size", '"16"', '"16"'),
        ("batch_size", "[" * 100_000, "[" * 100_000),
        ("batch_size", "9" * 5000, "9" * 5000),
        ("no_such_field", "3", "3"),
    ],
)
def test_other_fields_get_json_and_what_is_none_is_left_to_the_schema(field: str, text: str, value: object) -> None:
    assert field_value(EVALUATE, field, text) == value


def test_flag_of_a_training_is_true_or_false() -> None:
    sft = [stage_class("evaluate"), stage_class("weaver_sft")]
    assert field_value(sft, "gradient_checkpointing", "true") is True
    assert field_value(sft, "gradient_checkpointing", "True") == "True"


def test_planner_reads_settings_by_the_schema_as_well(home: Path) -> None:
    config = config_of(
        "evaluate", {"preset": "Qwen/Qwen2.5-1.5B-Instruct"}, ["revision=77950e8", "num_questions=null", "batch_size=4"]
    )
    assert (config.revision, config.num_questions, config.batch_size) == ("77950e8", None, 4)
    with pytest.raises(BadInput) as caught:
        config_of("evaluate", {"preset": TINY}, ["batch_size=four"])
    assert (caught.value.field, caught.value.value) == ("batch_size", "four")
