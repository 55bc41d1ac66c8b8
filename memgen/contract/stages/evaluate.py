"""Stage `evaluate`: greedy answers of the plain model, or with latents."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from memgen.contract.planner.moments import Moment, generation
from memgen.contract.planner.shapes import Shape, batch_of_answers
from memgen.contract.presets import Dimensions
from memgen.contract.stage import Form, Launch, Memory, Output, Stage
from memgen.contract.stage_configs import LENGTHS, LIMITS, Evaluation
from memgen.contract.stages import evaluations


class EvaluateConfig(Evaluation):
    """Answer questions with greedy decoding and score the answers."""

    stage: Literal["evaluate"] = "evaluate"
    """What this run does."""
    setting: Literal["base", "weaver", "weaver+trigger", "weaver+random"] = "base"
    """What is measured: `base` is the plain model without latents; with `weaver` latents are inserted at every point;
    with `weaver+trigger` where the trigger says so; with `weaver+random` by chance, to compare the trigger with."""
    insert_probability: float | None = Field(default=None, ge=0, le=1, validate_default=True)
    """How likely latents are inserted at a point; for `weaver+random` alone."""

    @field_validator("insert_probability")
    @classmethod
    def _chance_is_for_random(cls, value: float | None, info: ValidationInfo) -> float | None:
        by_chance = info.data.get("setting") == "weaver+random"
        if by_chance and value is None:
            raise PydanticCustomError("probability_missing", "the setting `weaver+random` needs a probability")
        if value is not None and not by_chance and "setting" in info.data:
            raise PydanticCustomError("probability_unused", "only the setting `weaver+random` inserts by chance")
        return value


def _moments(config: EvaluateConfig, dims: Dimensions, size: int, _device: str, shape: Shape) -> list[Moment]:
    return [generation(config, dims, size, shape)]


STAGE: Stage[EvaluateConfig] = Stage(
    name="evaluate",
    config=EvaluateConfig,
    runner="memgen.stages.evaluate:evaluate",
    output=Output("evaluate", "evaluate", "answer.json"),
    needs={"base": None, "weaver": "weaver", "weaver+trigger": "trigger", "weaver+random": "weaver"},
    work=evaluations.WORK,
    memory=Memory(batch_of_answers, _moments),
    launch=Launch(
        forms=(
            Form(
                "base_eval",
                "Base evaluation",
                "Answer questions with a model and score the answers.",
                setting="base",
                absent=("checkpoint", "insert_probability", *LENGTHS, *LIMITS),
            ),
            Form(
                "weaver_eval",
                "Weaver evaluation",
                "Answer questions with a trained weaver that inserts latents at every point, and score the answers.",
                setting="weaver",
                turns={"insert_probability": "weaver+random"},
            ),
            Form(
                "trigger_eval",
                "Trigger evaluation",
                "Answer questions with weaver and trigger, and score the answers.",
                setting="weaver+trigger",
                absent=("insert_probability",),
            ),
        ),
        first=evaluations.FIRST_FIELDS,
        empty={**evaluations.EMPTY, "insert_probability": "at every point"},
    ),
    charts=evaluations.CHARTS,
)
