"""The form that is made from a JSON schema."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.launch.config_form import form_fields, starting_value
from memgen.contract.stages.evaluate import EvaluateConfig
from memgen.contract.stages.weaver_sft import WeaverSftConfig

SCHEMA = EvaluateConfig.model_json_schema()
FIELDS = {field.name: field for field in form_fields(SCHEMA)}


def form_script() -> None:
    """What AppTest runs: every field of the schema, values to the session."""
    import streamlit as st

    from dashboard.launch.config_form import config_widget, form_fields
    from memgen.contract.stages.evaluate import EvaluateConfig

    fields = form_fields(EvaluateConfig.model_json_schema())
    st.session_state["result"] = {field.name: config_widget(field, field.default, empty="all") for field in fields}


def run_form() -> AppTest:
    """The form, drawn once."""
    app = AppTest.from_function(form_script, default_timeout=20).run()
    assert not app.exception
    return app


def test_every_field_of_the_config_is_read() -> None:
    assert list(FIELDS) == list(EvaluateConfig.model_fields)


def test_kinds_bounds_and_choices_come_from_the_schema() -> None:
    assert (FIELDS["stage"].kind, FIELDS["setting"].kind) == ("const", "enum")
    assert FIELDS["split"].choices == ("test", "validation", "train")
    questions = FIELDS["num_questions"]
    assert (questions.kind, questions.nullable, questions.minimum, questions.maximum) == (
        "integer", True, 1, 100_000,
    )  # fmt: skip
    assert (FIELDS["revision"].kind, FIELDS["revision"].nullable, FIELDS["revision"].max_length) == (
        "text",
        True,
        100,
    )


def test_number_whose_values_have_words_is_a_choice() -> None:
    guard = FIELDS["guard_numbers"]
    assert (guard.kind, guard.nullable, guard.choices) == ("enum", True, (0, 1))
    assert "at most" not in guard.help
    box = run_form().selectbox(key="config_guard_numbers")
    assert (box.options, box.value) == (["all", "off", "on"], None)
    app = box.select(1).run()
    assert app.session_state["result"]["guard_numbers"] == 1
    of_training = next(one for one in form_fields(WeaverSftConfig.model_json_schema()) if one.name == "guard_numbers")
    assert (of_training.kind, of_training.nullable, of_training.default) == ("enum", False, 0)


def test_help_is_the_description_on_one_line() -> None:
    assert "\n" not in FIELDS["num_questions"].help
    assert FIELDS["num_questions"].help.startswith("How many questions")


def test_label_is_the_title_with_its_unit_and_help_ends_with_range_and_name_in_the_config() -> None:
    labels = (FIELDS["num_questions"].label, FIELDS["max_completion_length"].label)
    assert labels == ("Questions", "Longest answer (tokens)")
    assert FIELDS["insert_probability"].help.endswith("At least 0, at most 1. In the config: `insert_probability`.")
    skipped = next(one for one in form_fields(WeaverSftConfig.model_json_schema()) if one.name == "skip_probability")
    assert skipped.help.endswith("At least 0, below 1. In the config: `skip_probability`.")
    assert "At least" not in FIELDS["split"].help


def test_field_without_a_title_has_its_name_as_words() -> None:
    [only] = form_fields({"properties": {"some_number": {"type": "integer", "exclusiveMinimum": 0}}})
    assert (only.label, only.help) == ("Some number", "Above 0. In the config: `some_number`.")


def test_refs_and_exclusive_bounds_are_understood() -> None:
    schema: dict[str, Any] = {
        "$defs": {"Mode": {"enum": ["a", "b"], "type": "string"}},
        "properties": {
            "mode": {"$ref": "#/$defs/Mode", "default": "a"},
            "count": {"type": "integer", "exclusiveMinimum": 0, "default": 1},
            "rate": {"type": "number", "default": 0.5},
            "on": {"type": "boolean", "default": False},
        },
    }
    mode, count, rate, switch = form_fields(schema)
    assert (mode.kind, mode.choices) == ("enum", ("a", "b"))
    assert count.minimum == 1
    assert (rate.kind, switch.kind) == ("number", "boolean")


def test_field_of_a_strange_type_is_an_error() -> None:
    with pytest.raises(ValueError, match="'odd'"):
        form_fields({"properties": {"odd": {"type": "array"}}})


@pytest.mark.parametrize(
    ("name", "given", "start"),
    [("split", "train", "train"), ("split", "gone", "test"), ("batch_size", 4, 4), ("batch_size", 0, "auto"),
     ("num_questions", None, None), ("num_questions", 200_000, None)],
)  # fmt: skip
def test_given_value_counts_only_where_the_field_can_take_it(name: str, given: object, start: object) -> None:
    assert starting_value(FIELDS[name], {name: given}) == start


def test_untouched_form_gives_the_default_config() -> None:
    app = run_form()
    assert EvaluateConfig.model_validate(app.session_state["result"]) == EvaluateConfig()


def test_constants_are_text_and_the_rest_are_widgets() -> None:
    app = run_form()
    keys = {widget.key for widget in [*app.number_input, *app.text_input, *app.selectbox]}
    assert "config_stage" not in keys
    assert {"config_batch_size", "config_num_questions", "config_revision"} <= keys


def test_number_can_be_set_and_emptied_again() -> None:
    app = run_form()
    app.number_input(key="config_num_questions").set_value(50).run()
    assert app.session_state["result"]["num_questions"] == 50
    app.number_input(key="config_num_questions").set_value(None).run()
    assert app.session_state["result"]["num_questions"] is None
    assert app.number_input(key="config_num_questions").placeholder == "all"


def test_number_that_may_be_left_to_the_machine_is_automatic_where_it_is_empty() -> None:
    app = run_form()
    widget = app.number_input(key="config_batch_size")
    assert widget.value is None
    assert app.session_state["result"]["batch_size"] == "auto"
    app.number_input(key="config_batch_size").set_value(16).run()
    assert app.session_state["result"]["batch_size"] == 16
    app.number_input(key="config_batch_size").set_value(None).run()
    assert app.session_state["result"]["batch_size"] == "auto"


def test_bounds_and_label_reach_the_widget() -> None:
    widget = run_form().number_input(key="config_num_questions")
    assert widget.label == "Questions"
    widget = run_form().number_input(key="config_batch_size")
    assert (widget.min, widget.max) == (1, 512)
