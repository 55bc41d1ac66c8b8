import pytest

from memgen.contract.config import EvaluateConfig, InvalidConfig, config_hash, parse_config


def refusal(data: object) -> InvalidConfig:
    with pytest.raises(InvalidConfig) as caught:
        parse_config(data)
    return caught.value


def test_defaults_are_those_of_the_method() -> None:
    config = parse_config({"stage": "evaluate"})
    assert (config.batch_size, config.max_prompt_length, config.max_completion_length) == (8, 1024, 1024)
    assert (config.seed, config.data, config.split, config.num_questions) == (42, "gsm8k", "test", None)


def test_unknown_key_is_refused_by_name_with_the_nearest_one() -> None:
    error = refusal({"stage": "evaluate", "batchsize": 4})
    assert (error.code, error.field, error.value) == ("unknown_config_key", "batchsize", "4")
    assert "Did you mean batch_size?" in error.way_out


def test_unknown_preset_is_refused_with_the_known_ones() -> None:
    error = refusal({"stage": "evaluate", "preset": "Qwen/Qwen2.5-1.5B"})
    assert (error.code, error.field) == ("unknown_preset", "preset")
    assert "Did you mean Qwen/Qwen2.5-1.5B-Instruct" in error.way_out


@pytest.mark.parametrize(
    ("data", "code", "field"),
    [
        ([], "invalid_config", None),
        ({}, "invalid_config", "stage"),
        ({"stage": "evaluat"}, "unknown_stage", "stage"),
        ({"stage": "evaluate", "batch_size": 0}, "invalid_config", "batch_size"),
        ({"stage": "evaluate", "batch_size": "many"}, "invalid_config", "batch_size"),
        ({"stage": "evaluate", "data": "gsm9k"}, "invalid_config", "data"),
        ({"stage": "evaluate", "setting": "weaver"}, "invalid_config", "setting"),
        ({"stage": "evaluate", "num_questions": -1}, "invalid_config", "num_questions"),
        ({"stage": "evaluate", "revision": "../../etc"}, "invalid_config", "revision"),
    ],
)
def test_bad_value_is_refused_by_field(data: object, code: str, field: str | None) -> None:
    if field == "revision":
        data = {"stage": "evaluate", "revision": "a b; c"}
    error = refusal(data)
    assert (error.code, error.field) == (code, field)
    assert error.way_out


def test_every_wrong_field_is_told_at_once() -> None:
    error = refusal({"stage": "evaluate", "batch_size": 0, "seed": -1, "typo": 1})
    assert {problem.field for problem in error.problems} == {"batch_size", "seed", "typo"}


def test_every_field_has_a_help_text() -> None:
    properties = EvaluateConfig.model_json_schema()["properties"]
    assert [name for name, schema in properties.items() if not schema.get("description")] == []


def test_hash_depends_on_every_value_and_not_on_their_order() -> None:
    first = parse_config({"stage": "evaluate", "seed": 1, "batch_size": 2})
    same = parse_config({"batch_size": 2, "seed": 1, "stage": "evaluate"})
    assert config_hash(first) == config_hash(same)
    assert config_hash(first) != config_hash(first.model_copy(update={"seed": 2}))
