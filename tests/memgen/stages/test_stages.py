"""The core finds what runs a stage by the path in its record."""

import inspect
from typing import Any

import pytest

from memgen.contract.config import parse_config
from memgen.contract.stage import Stage
from memgen.contract.stages import STAGES
from memgen.stages.stages import function_at
from tests.conftest import TINY


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
