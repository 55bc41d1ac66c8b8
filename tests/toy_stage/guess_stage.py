"""Stage `guess`, for tests: every question gets the same number for an answer. The first of its two modules."""

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from memgen.contract.planner.moments import Moment
from memgen.contract.planner.parts import Parts
from memgen.contract.planner.shapes import Shape, batch_of_answers
from memgen.contract.presets import Dimensions
from memgen.contract.stage import Figure, Form, Launch, Memory, Output, Panel, Stage
from memgen.contract.stage_configs import Evaluation
from memgen.contract.stages import evaluations

MOMENT = Moment("thinking of a number", 0, 7 * 2**20)


class GuessConfig(Evaluation):
    """Answer every question with the same number."""

    without_latents: ClassVar[tuple[str, ...]] = ("guess",)

    stage: Literal["guess"] = "guess"
    """What this run does."""
    setting: Literal["guess"] = "guess"
    """What is measured."""
    answer: int = Field(default=7, ge=0, le=1000)
    """The number that answers every question."""
    batch_size: int = Field(default=1, ge=1, le=8)
    """Questions answered at the same time."""


def _moments(
    _config: GuessConfig, _parts: Parts, _dims: Dimensions, _size: int, _device: str, _shape: Shape
) -> list[Moment]:
    return [MOMENT]


STAGE: Stage[GuessConfig] = Stage(
    name="guess",
    config=GuessConfig,
    runner="guess_runner:guess",
    output=Output("guesses", "guess", "guesses.json"),
    needs={"guess": None},
    work=evaluations.WORK,
    memory=Memory(batch_of_answers, _moments),
    launch=Launch(
        forms=(
            Form(
                "guess_eval",
                "Guess",
                "Answer every question with the same number.",
                setting="guess",
                absent=("checkpoint",),
            ),
        ),
        first=("answer", *evaluations.FIRST_FIELDS),
        empty={"num_questions": "each and every one"},
    ),
    charts=replace(
        evaluations.CHARTS,
        figures=(Figure("luck", "Luck", ".2f"), *evaluations.FIGURES),
        first_metrics="guess",
        panels=((Panel("Luck so far", ("eval/luck",), "Right answers for each wrong one"),),),
    ),
)
