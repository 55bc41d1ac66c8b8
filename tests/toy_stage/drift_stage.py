"""Stage `drift`, for tests: a training whose weaver moves in one direction, whatever the questions are."""

from dataclasses import replace
from typing import Literal

from memgen.contract.stage import Form, Next, Stage
from memgen.contract.stages import trainings, weaver_sft


class DriftConfig(weaver_sft.WeaverSftConfig):
    """Let the weaver drift."""

    stage: Literal["drift"] = "drift"
    """What this run does."""


STAGE: Stage[DriftConfig] = replace(
    weaver_sft.STAGE,
    name="drift",
    config=DriftConfig,
    runner="drift_runner:drift",
    output=trainings.checkpoint("drift"),
    launch=replace(weaver_sft.STAGE.launch, forms=(Form("drift", "Drift", "Let the weaver drift."),)),
    next=(Next("See where it went", "weaver_eval", "explore"),),
)
