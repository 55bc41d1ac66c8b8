import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from memgen.contract.config import InvalidConfig, config_hash, parse_config, stored_config
from memgen.contract.planner.parts import parts_of
from memgen.contract.planner.shapes import batch_of_answers
from memgen.contract.rows import num_rows, num_steps
from memgen.contract.stages import STAGES
from memgen.contract.stages.ltpo_evaluate import LtpoEvaluateConfig
from memgen.contract.stages.trigger_grpo import TriggerGrpoConfig
from memgen.contract.stages.weaver_sft import WeaverSftConfig


def refusal(data: object) -> InvalidConfig:
    with pytest.raises(InvalidConfig) as caught:
        parse_config(data)
    return caught.value


def test_defaults_are_those_of_the_method() -> None:
    config = parse_config({"stage": "evaluate"})
    assert (config.batch_size, config.max_prompt_length, config.max_completion_length) == ("auto", 1024, 1024)
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
        ({"stage": "evaluate", "setting": "wever"}, "invalid_config", "setting"),
        ({"stage": "evaluate", "setting": "weaver"}, "invalid_config", "checkpoint"),
        ({"stage": "evaluate", "checkpoint": "12"}, "invalid_config", "checkpoint"),
        ({"stage": "evaluate", "prompt_latents_len": 8}, "invalid_config", "prompt_latents_len"),
        ({"stage": "trigger_grpo"}, "invalid_config", "checkpoint"),
        ({"stage": "trigger_grpo", "checkpoint": "1", "batch_size": 6}, "invalid_config", "num_generations"),
        ({"stage": "weaver_sft", "max_prompt_aug_num": 2}, "invalid_config", "max_prompt_aug_num"),
        ({"stage": "weaver_sft", "learning_rate": float("nan")}, "invalid_config", "learning_rate"),
        ({"stage": "ltpo_evaluate"}, "invalid_config", "checkpoint"),
        (
            {"stage": "ltpo_evaluate", "checkpoint": "1", "update": "reinforce", "sigma": 0},
            "invalid_config",
            "sigma",
        ),
        ({"stage": "evaluate", "num_questions": -1}, "invalid_config", "num_questions"),
        ({"stage": "evaluate", "num_examples": 4}, "invalid_config", "num_examples"),
        ({"stage": "evaluate", "prompt_style": "few_shot"}, "invalid_config", "prompt_style"),
        (
            {"stage": "evaluate", "prompt_style": "worked_examples", "num_examples": None},
            "invalid_config",
            "num_examples",
        ),
        (
            {"stage": "evaluate", "setting": "weaver", "checkpoint": "1", "prompt_style": "chain_of_thought"},
            "invalid_config",
            "prompt_style",
        ),
        *(
            ({"stage": "evaluate", "preset": "Qwen/Qwen3-14B", "revision": revision}, "invalid_config", "revision")
            for revision in ("../../etc", "refs/../../etc", "/etc", "..", "main/", ".hidden", "a b; c", "main\n", "")
        ),
    ],
)
def test_bad_value_is_refused_by_field(data: object, code: str, field: str | None) -> None:
    error = refusal(data)
    assert (error.code, error.field) == (code, field)
    assert error.way_out


def test_every_wrong_field_is_told_at_once() -> None:
    error = refusal({"stage": "evaluate", "batch_size": 0, "seed": -1, "typo": 1})
    assert {problem.field for problem in error.problems} == {"batch_size", "seed", "typo"}


def test_latents_steps_and_rates_have_the_defaults_of_the_method() -> None:
    sft = parse_config({"stage": "weaver_sft"})
    assert isinstance(sft, WeaverSftConfig)
    assert (sft.max_prompt_aug_num, sft.max_inference_aug_num) == (1, 5)
    assert (sft.prompt_latents_len, sft.inference_latents_len) == (8, 8)
    assert (sft.learning_rate, sft.batch_size, sft.num_train_epochs, sft.warmup_ratio) == (1e-5, 4, 2, 0.1)
    assert (sft.lr_scheduler_type, sft.weight_decay, sft.lora_r, sft.lora_alpha) == ("cosine", 0.0, 16, 32)
    grpo = parse_config({"stage": "trigger_grpo", "checkpoint": "1"})
    assert isinstance(grpo, TriggerGrpoConfig)
    assert (grpo.num_generations, grpo.batch_size, grpo.gradient_accumulation_steps) == (8, 8, 4)
    assert (grpo.learning_rate, grpo.warmup_ratio, grpo.lr_scheduler_type) == (1e-6, 0.1, "cosine")
    assert (grpo.scale_rewards, grpo.insertion_penalty_form) == ("group", "decision")
    assert num_steps(grpo, 2241) == 561  # four questions each
    assert (grpo.num_train_epochs, grpo.temperature, grpo.beta, num_rows(grpo)) == (1, 1.0, 0.0, 6725 // 3)
    ltpo = parse_config({"stage": "ltpo_evaluate", "checkpoint": "1"})
    assert isinstance(ltpo, LtpoEvaluateConfig)
    assert (ltpo.lr, ltpo.sigma, ltpo.sigma_decay, ltpo.max_steps, ltpo.top_k) == (0.03, 0.1, 0.99, 10, 10)
    assert (ltpo.update, ltpo.threshold) == ("autograd", None)


def test_reinforce_has_defaults_of_its_own_that_a_given_value_replaces() -> None:
    given = {"stage": "ltpo_evaluate", "checkpoint": "1", "update": "reinforce"}
    config = parse_config({**given, "sigma": 2.0})
    assert isinstance(config, LtpoEvaluateConfig)
    assert (config.lr, config.sigma, config.sigma_decay) == (0.04, 2.0, 0.9)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_field_has_a_help_text(stage: str) -> None:
    properties = stage.config.model_json_schema()["properties"]
    assert [name for name, schema in properties.items() if not schema.get("description")] == []


def test_hash_depends_on_every_value_and_not_on_their_order() -> None:
    first = parse_config({"stage": "evaluate", "seed": 1, "batch_size": 2})
    same = parse_config({"batch_size": 2, "seed": 1, "stage": "evaluate"})
    assert config_hash(first) == config_hash(same)
    assert config_hash(first) != config_hash(first.model_copy(update={"seed": 2}))


@pytest.fixture(scope="module")
def stored_before() -> dict[str, dict]:
    """A config of each stage as the version before has stored it."""
    with tarfile.open(Path(__file__).parents[2] / "homes" / "schema-3.tar.gz") as archive:
        files = [archive.extractfile(one) for one in archive if one.name.endswith("attempts/1/config.json")]
        return {config["stage"]: config for config in (json.load(file) for file in files if file is not None)}


@pytest.mark.parametrize("stage", ["evaluate", "weaver_sft", "trigger_grpo", "ltpo_evaluate"])
@pytest.mark.usefixtures("home")
def test_config_of_the_version_before_keeps_its_hash_and_every_value(stored_before: dict, stage: str) -> None:
    stored = stored_before[stage]
    values = {name: value for name, value in stored.items() if value is not None}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    for config in (parse_config(stored), stored_config(stored)):
        assert config_hash(config) == hashlib.sha256(text.encode()).hexdigest()[:16]
        assert {name: config.model_dump(mode="json")[name] for name in stored} == stored
        # and stored again, as by this version
        assert config_hash(parse_config(config.model_dump(mode="json"))) == config_hash(config)


@pytest.mark.usefixtures("home")
def test_trigger_config_of_the_version_before_means_what_it_meant(stored_before: dict) -> None:
    config = parse_config(stored_before["trigger_grpo"])
    assert isinstance(config, TriggerGrpoConfig)
    assert (config.insertion_penalty_form, config.gradient_accumulation_steps) == ("rate", 1)
    assert (config.scale_rewards, config.lr_scheduler_type, config.warmup_ratio) == ("none", "linear", 0.0)
    assert num_steps(config.model_copy(update={"max_steps": None}), 40) == 40  # one question each
    assert config_hash(config) != config_hash(config.model_copy(update={"insertion_penalty_form": "decision"}))


@pytest.mark.usefixtures("home")
def test_weaver_config_of_the_version_before_means_what_it_meant(stored_before: dict) -> None:
    config = parse_config(stored_before["weaver_sft"])
    assert isinstance(config, WeaverSftConfig)
    assert config.skip_among == "first"


@pytest.mark.usefixtures("home")
def test_ltpo_config_of_the_version_before_means_what_it_meant(stored_before: dict) -> None:
    config = parse_config(stored_before["ltpo_evaluate"])
    assert isinstance(config, LtpoEvaluateConfig)
    assert (config.positions, config.relative, config.guard_numbers) == ("all", False, None)


def test_config_that_somebody_types_has_the_defaults_of_today() -> None:
    config = parse_config({"stage": "trigger_grpo", "checkpoint": "1", "insertion_penalty": 0.5})
    assert isinstance(config, TriggerGrpoConfig)
    assert config.insertion_penalty_form == "decision"
    weaver = parse_config({"stage": "weaver_sft", "skip_probability": 0.5})
    assert isinstance(weaver, WeaverSftConfig)
    assert weaver.skip_among == "all"


@pytest.mark.parametrize(
    ("fields", "label", "longest"),
    [
        ({}, "base", 1024),
        ({"prompt_style": "chain_of_thought"}, "base, chain of thought", 1024),
        ({"prompt_style": "worked_examples"}, "base, 4 examples", 4096),
        ({"prompt_style": "worked_examples", "num_examples": 1, "max_prompt_length": 900}, "base, 1 example", 900),
    ],
)
def test_style_of_the_prompt_is_part_of_the_label(fields: dict[str, object], label: str, longest: int) -> None:
    config = parse_config({"stage": "evaluate", "batch_size": 8, **fields})
    assert (config.measured, config.max_prompt_length) == (label, longest)
    assert (config_hash(config) == "c538ea88a5f83798") == (not fields)


def test_planner_counts_worked_examples_up_to_the_longest_prompt_allowed() -> None:
    def prompt(**fields: object) -> int:
        config = parse_config({"stage": "evaluate", **fields})
        return batch_of_answers(config, parts_of(config)).prompt

    examples = {"prompt_style": "worked_examples"}
    assert prompt() == 300
    assert prompt(prompt_style="chain_of_thought") == 310
    assert prompt(**examples) == 300 + 4 * (170 + 300)
    assert prompt(**examples, num_examples=1) == 300 + 300 + 512
    assert prompt(**examples, max_prompt_length=1024) == 1024
