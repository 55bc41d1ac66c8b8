"""The core finds what runs a stage by the path in its record; what all trainings have in common."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch

from memgen.contract.config import parse_config
from memgen.contract.stage import Stage
from memgen.contract.stages import STAGES
from memgen.stages.stages import function_at
from tests.conftest import TINY
from tests.memgen.stages.running import config_of, run


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_runner_takes_config_context_and_questions_of_each_split(stage: Stage[Any], home: object) -> None:
    given = {"stage": stage.name, "preset": TINY}
    config = parse_config(given | ({"checkpoint": "1"} if next(iter(stage.needs.values())) else {}))
    splits = stage.work.reads(config)
    parameters = inspect.signature(function_at(stage.runner)).parameters.values()
    needed = [one.name for one in parameters if one.default is one.empty]  # what is left is for other settings
    assert (needed[:2], len(needed)) == (["config", "context"], 2 + len(splits))


@pytest.mark.parametrize("stage", [one for one in STAGES if not one.trains], ids=lambda stage: stage.name)
def test_recipe_of_an_evaluation_takes_config_questions_and_training_rows(stage: Stage[Any]) -> None:
    assert stage.recipe is not None
    parameters = [name.lstrip("_") for name in inspect.signature(function_at(stage.recipe)).parameters]
    assert parameters == ["config", "questions", "training"]


@pytest.mark.parametrize("stage", ["weaver_sft", "lora_sft"])
def test_training_updates_all_weights_by_one_operation(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    fused: list[bool] = []

    class Seen(torch.optim.AdamW):
        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            fused.extend(group["fused"] for group in self.param_groups)

    monkeypatch.setattr(torch.optim, "AdamW", Seen)
    run(home, tmp_path / "run", config_of(stage=stage, num_questions=2, max_steps=1, batch_size=2, eval_questions=0))
    assert fused
    assert all(fused)
