"""Stage `ltpo_evaluate`: answers whose latents are optimised question by question (LTPO)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from memgen.contract.added_fields import Added
from memgen.contract.planner.activations import FLOAT, kept, widest
from memgen.contract.planner.moments import Moment, generation
from memgen.contract.planner.parts import Parts
from memgen.contract.planner.shapes import Pass, Shape, batch_of_answers
from memgen.contract.presets import Dimensions
from memgen.contract.stage import Figure, Form, Launch, Memory, Output, Stage
from memgen.contract.stage_configs import Evaluation
from memgen.contract.stages import evaluations

REINFORCE_DEFAULTS = {"lr": 0.04, "sigma": 4.0, "sigma_decay": 0.9}


class LtpoEvaluateConfig(Evaluation):
    """Answer questions while each question's latents are optimised at test time (LTPO)."""

    stage: Literal["ltpo_evaluate"] = "ltpo_evaluate"
    """What this run does."""
    setting: Literal["weaver+trigger+ltpo", "weaver+ltpo"] = "weaver+trigger+ltpo"
    """Whether the trigger decides where latents are inserted, or they always are."""
    update: Literal["autograd", "reinforce", "noise"] = "autograd"
    """How latents move: `autograd` is Adam ascent through the model, `reinforce` the paper's estimate from noise alone.
    `reinforce` has defaults of its own: lr 0.04, sigma 4, sigma_decay 0.9. With `noise` they do not move and the best
    noisy candidate is kept, to compare with."""
    relative: Annotated[bool, Added(False)] = False
    """Whether lr and sigma are shares of the latents' size (the root of their mean square) and not absolute numbers.
    A weaver's latents are 30 to 50 times as long as a token's embedding, so a fixed step moves them little."""
    lr: float = Field(default=0.03, ge=0, le=100)
    """Step size."""
    sigma: float = Field(default=0.1, ge=0, le=1000)
    """Standard deviation of the exploration noise at the first step."""
    sigma_decay: float = Field(default=0.99, gt=0, le=1)
    """Factor on sigma after each step."""
    max_steps: int = Field(default=10, ge=0, le=10_000)
    """Updates at each insertion; 0 is the plain evaluation."""
    top_k: int = Field(default=10, ge=1, le=1000)
    """Tokens whose probability the reward looks at."""
    positions: Annotated[Literal["all", "last"], Added("all")] = "all"
    """Where the reward looks: at the next-token distributions after `all` latents, or after the `last` one alone, the
    only one that the weaver's training supervises."""
    threshold: float | None = Field(default=None)
    """A question's latents stop moving once their reward reaches this; empty never stops early."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_reinforce(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("update") == "reinforce":
            return {**REINFORCE_DEFAULTS, **data}
        return data

    @field_validator("nll")
    @classmethod
    def _solutions_have_no_latents_of_their_own(cls, value: bool) -> bool:
        if value:
            raise PydanticCustomError(
                "nll_unused",
                "a solution has no latents under LTPO, which optimises them for what the model itself writes",
                {"way_out": "Leave nll off for LTPO; in a pipeline set it to false for the step ltpo_eval."},
            )
        return value

    @field_validator("sigma")
    @classmethod
    def _reinforce_needs_noise(cls, value: float, info: ValidationInfo) -> float:
        if value == 0 and info.data.get("update") == "reinforce":
            raise PydanticCustomError("sigma_zero", "`reinforce` learns from its noise and divides by sigma")
        return value


def _moments(
    config: LtpoEvaluateConfig, _parts: Parts, dims: Dimensions, size: int, _device: str, shape: Shape
) -> list[Moment]:
    answering = generation(config, dims, size, shape)
    search = [_latent_search(config, dims, size, shape, answering[-1].caches)] if config.max_steps else []
    return [*answering, *search]


def _latent_search(config: LtpoEvaluateConfig, dims: Dimensions, size: int, shape: Shape, caches: int) -> Moment:
    """All rows' latents are scored at once after the longest prefix; with `autograd` the way there is kept."""
    latents = max(shape.prompt_latents, shape.inference_latents)
    peek = Pass(latents, shape.positions)
    scored = latents if config.positions == "all" else 1
    logits = shape.rows * scored * dims.vocab_size * FLOAT
    if config.update != "autograd":
        return Moment("latent search", caches, 4 * logits)
    layers = kept(dims, size, shape.rows, [peek], None, checkpointing=False)
    transient = max(3 * logits, widest(dims, size, shape.rows, peek))
    return Moment("latent search", caches, transient, layers, logits)


STAGE: Stage[LtpoEvaluateConfig] = Stage(
    name="ltpo_evaluate",
    config=LtpoEvaluateConfig,
    runner="memgen.stages.ltpo_evaluate:ltpo_evaluate",
    recipe="memgen.stages.ltpo_evaluate:recipe",
    output=Output("evaluate_ltpo", "evaluate", "answer_ltpo.json"),
    needs={"weaver+trigger+ltpo": "trigger", "weaver+ltpo": "weaver"},
    work=evaluations.WORK,
    memory=Memory(batch_of_answers, _moments),
    launch=Launch(
        forms=(
            Form(
                "ltpo_eval",
                "LTPO evaluation",
                "Answer questions while each question's latents are optimised at test time, and score the answers.",
                setting="weaver+trigger+ltpo",
                asks_setting=True,
                absent=("nll",),
            ),
        ),
        first=("setting", "update", *evaluations.FIRST_FIELDS, "max_steps", "lr", "sigma", "top_k"),
        empty={**evaluations.EMPTY, "threshold": "never"},
        defaults={("update", "reinforce"): REINFORCE_DEFAULTS},
    ),
    charts=replace(
        evaluations.CHARTS,
        figures=(
            *evaluations.FIGURES,
            Figure("ltpo_reward_gain", "LTPO reward gain", "+.4f"),
            Figure("ltpo_distance", "LTPO distance", ".3g"),
            Figure("ltpo_step_ulps", "LTPO step in roundings", ".3g"),
        ),
    ),
)
