"""The width that a run takes by itself, on stand-in cards."""

import pytest

from memgen.contract.config import InvalidConfig, RunConfig, config_hash, parse_config, stored_config
from memgen.contract.planner.memory import plan
from memgen.contract.planner.width import SPARE, rows_of_a_process, rows_that_fit
from memgen.contract.presets import Preset, get_preset
from memgen.contract.rows import rows_to_share
from memgen.contract.stages.evaluate import EvaluateConfig
from memgen.contract.stages.lora_grpo import LoraGrpoConfig
from memgen.contract.stages.lora_sft import LoraSftConfig
from memgen.contract.stages.ltpo_evaluate import LtpoEvaluateConfig
from memgen.contract.width import MOST_ROWS

GIB = 2**30
SMALL, MIDDLE, LARGE = (
    get_preset(name) for name in ("Qwen/Qwen2.5-1.5B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen3-14B")
)
BASE, WOVEN = EvaluateConfig(), EvaluateConfig(setting="weaver", checkpoint="x")


def exceeds(config: RunConfig, preset: Preset, rows: int, card: int) -> bool:
    return plan(config.with_width(rows), preset, "cuda").total > (1 - SPARE) * card * GIB


@pytest.mark.parametrize("config", [BASE, WOVEN, LtpoEvaluateConfig(checkpoint="x")], ids=["base", "weaver", "ltpo"])
@pytest.mark.parametrize(
    ("card", "preset"), [(16, SMALL), (24, SMALL), (24, MIDDLE), (80, SMALL), (80, MIDDLE), (80, LARGE)]
)
def test_one_row_more_than_chosen_exceeds_the_card(card: int, preset: Preset, config: RunConfig) -> None:
    rows = rows_that_fit(config, preset, [card * GIB], 10_000)
    assert 1 < rows <= MOST_ROWS
    assert not exceeds(config, preset, rows, card)
    assert rows == MOST_ROWS or exceeds(config, preset, rows + 1, card)


def test_width_is_no_more_than_there_are_rows_and_nothing_where_one_is_too_much() -> None:
    assert rows_that_fit(BASE, SMALL, [80 * GIB], 6) == 6
    assert rows_that_fit(BASE, LARGE, [24 * GIB], 6) == 0
    assert rows_that_fit(BASE, LARGE, [24 * GIB] * 2, 6) == 6, "its layers are spread"
    assert rows_of_a_process(BASE, 1319) == 1319
    assert rows_of_a_process(BASE, 1319, processes=2) == 660


def test_plan_of_an_open_width_is_what_the_run_can_not_do_without() -> None:
    assert BASE.width is None
    assert plan(BASE, SMALL, "cuda") == plan(EvaluateConfig(batch_size=1), SMALL, "cuda")
    assert plan(BASE, SMALL, "cpu") == plan(EvaluateConfig(batch_size=8), SMALL, "cpu")


@pytest.mark.parametrize(
    ("stage", "hash_before"), [(LoraSftConfig, "9476665d3041e23a"), (LoraGrpoConfig, "2d3274e0e5af7b90")]
)
def test_plain_lora_takes_a_batch_at_most_and_what_was_stored_takes_it_whole(
    stage: type[LoraSftConfig | LoraGrpoConfig], hash_before: str
) -> None:
    config = stage(batch_size=16, gradient_accumulation_steps=2)
    most = rows_of_a_process(config, 7473, processes=4)
    assert (config.width, most, rows_to_share(config)) == (None, 16, 1)
    assert rows_that_fit(config, SMALL, [10_000 * GIB], most) == 16
    assert 0 < rows_that_fit(config, SMALL, [24 * GIB], most) < 16
    stored = {name: value for name, value in stage().model_dump().items() if name != "micro_batch_size"}
    before = stored_config(stored)
    assert before.width == before.batch_size
    assert config_hash(before) == hash_before  # as a version without the field has computed it


@pytest.mark.parametrize("value", [0, 513, True, 1.5, "many", None])
def test_width_that_is_none_is_refused_once_and_says_what_may_stand_there(value: object) -> None:
    with pytest.raises(InvalidConfig) as refusal:
        parse_config({"stage": "evaluate", "batch_size": value})
    (problem,) = refusal.value.problems
    assert problem.field == "batch_size"
    assert "512" in problem.message
    assert "auto" in problem.message
