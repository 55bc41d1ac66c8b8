"""Every stage and setting, on a tiny model of each family that a built-in preset belongs to."""

from pathlib import Path
from typing import Any

import pytest

from memgen.contract.config import parse_config
from memgen.contract.errors import BadInput
from memgen.contract.presets import BUILT_IN
from memgen.contract.stage import Stage
from memgen.contract.stages import STAGES
from tests.families import FAMILIES, presets_of
from tests.memgen.stages.running import run

SMALL = {
    "num_questions": 2,
    "batch_size": 2,
    "num_generations": 2,
    "max_steps": 2,
    "gradient_accumulation_steps": 1,
    "eval_questions": 1,
    "learning_rate": 1e-3,
}
CHANCE = {"weaver+random": {"insert_probability": 0.5}}


@pytest.fixture
def families(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose presets are tiny models of all families."""
    monkeypatch.setenv("MEMGEN_PRESETS", str(presets_of(tmp_path / "families", list(FAMILIES))))
    return home


def config_of(stage: Stage[Any], setting: str, layout: str, checkpoint: Path | None) -> Any:
    given: dict[str, Any] = {**SMALL, "setting": setting, "checkpoint": str(checkpoint) if checkpoint else None}
    given["max_completion_length"] = 200 if stage.work.reads_solutions else 12
    known = {name: value for name, value in given.items() if name in stage.config.model_fields}
    fixed = {"stage": stage.name, "preset": f"tiny/{layout}", "data": "wordproblems"}
    return parse_config({**known, **CHANCE.get(setting, {}), **fixed})


def test_each_layout_of_a_preset_has_a_tiny_model() -> None:
    assert {preset.layout for preset in BUILT_IN} == set(FAMILIES)


@pytest.mark.parametrize("layout", FAMILIES)
def test_every_stage_runs_in_every_setting(families: Path, tmp_path: Path, layout: str) -> None:
    left = [(stage, setting, need) for stage in STAGES for setting, need in stage.needs.items()]
    made: dict[str | None, Path | None] = {None: None}
    while left:
        stage, setting, need = next(one for one in left if one[2] in made)
        left.remove((stage, setting, need))
        folder = tmp_path / f"{stage.name} {setting}"
        result = run(families, folder, config_of(stage, setting, layout, made[need]))
        if stage.trains:
            assert result["steps"] == 2
            made.setdefault(stage.makes, folder / stage.output.folder)
        else:
            assert result["num_questions"] == 2


def test_base_with_a_window_is_trained_where_no_row_can_be_longer_and_measured_always(
    families: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMGEN_PRESETS", str(presets_of(tmp_path / "other", ["mistral"])))
    evaluate, training = (next(stage for stage in STAGES if stage.trains is trains) for trains in (False, True))
    config = config_of(training, "", "mistral", None)  # its window is 4,096 wide
    assert run(families, tmp_path / "training", config)["steps"] == 2
    long = {"max_prompt_length": 4096}
    base = config_of(evaluate, "base", "mistral", None).model_copy(update=long)
    assert run(families, tmp_path / "base", base)["num_questions"] == 2
    weaver = config_of(evaluate, "weaver", "mistral", tmp_path / "training" / training.output.folder)
    assert run(families, tmp_path / "weaver", weaver)["num_questions"] == 2
    for number, longer in enumerate((config, weaver)):
        with pytest.raises(BadInput, match="see 4,096 positions") as caught:
            run(families, tmp_path / f"longer {number}", longer.model_copy(update=long))
        assert caught.value.code == "unsupported_family"
