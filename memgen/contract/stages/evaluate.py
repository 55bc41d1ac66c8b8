"""Stage `evaluate`: greedy answers of the plain model, or with latents."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from memgen.contract.added_fields import Added
from memgen.contract.asking import Asking, too_few_examples
from memgen.contract.causal_check import (
    CHECK_WORDS,
    CausalCheck,
    check_words,
    no_reference_questions,
    takes_from_training,
)
from memgen.contract.data_sets.field import WORDS
from memgen.contract.errors import BadInput
from memgen.contract.planner.gold import gold_moments
from memgen.contract.planner.moments import Moment, generation
from memgen.contract.planner.parts import Parts
from memgen.contract.planner.shapes import Shape, batch_of_answers
from memgen.contract.presets import Dimensions
from memgen.contract.stage import Figure, Form, Launch, Memory, Output, Stage
from memgen.contract.stage_configs import INSERTION, LENGTHS, Evaluation
from memgen.contract.stages import evaluations

EXAMPLES_DEFAULTS = {"num_examples": 4, "max_prompt_length": 4096}
STYLE_WORDS: JsonDict = {"chain_of_thought": "chain of thought", "worked_examples": "worked examples"}
STYLE_FIELDS = ("prompt_style", "num_examples")
CHECK_FIELDS = ("causal_check", "latents_factor")


class EvaluateConfig(Evaluation):
    """Answer questions with greedy decoding and score the answers."""

    with_lora: ClassVar[tuple[str, ...]] = ("lora", "lora+grpo")

    stage: Literal["evaluate"] = "evaluate"
    """What this run does."""
    setting: Literal["base", "weaver", "weaver+trigger", "weaver+random", "lora", "lora+grpo"] = "base"
    """What is measured: `base` is the plain model without latents; with `weaver` latents are inserted at every point;
    with `weaver+trigger` where the trigger says so; with `weaver+random` by chance, to compare the trigger with.
    `lora` and `lora+grpo` are the plain model with a LoRA that was trained by SFT or by GRPO, without latents: what a
    weaver is compared with."""
    insert_probability: float | None = Field(default=None, ge=0, le=1, validate_default=True)
    """How likely latents are inserted at a point; for `weaver+random` alone."""

    prompt_style: Annotated[Literal["chain_of_thought", "worked_examples"] | None, Added(None)] = Field(
        default=None, json_schema_extra={WORDS: STYLE_WORDS}
    )
    """How the plain model is asked; empty is zero-shot: the instruction and the question. `chain_of_thought` ends the
    user's turn with "Let's think step by step."; `worked_examples` puts training questions with their solutions in
    front, each as a turn of its own, and has defaults of its own: num_examples 4, max_prompt_length 4096. For `base`
    alone."""
    num_examples: Annotated[int | None, Added(None)] = Field(default=None, ge=1, le=32, validate_default=True)
    """Worked examples, drawn by the seed from the training questions, never from those that are evaluated; for the
    prompt style `worked_examples` alone."""

    causal_check: Annotated[CausalCheck | None, Added(None)] = Field(
        default=None, json_schema_extra={WORDS: dict(CHECK_WORDS.items())}
    )
    """What is inserted in the place of the weaver's latents, to see whether what they say counts; empty leaves them.
    `other_question`: those of a training question that the seed draws for each question; `mean`: the mean over 64
    training questions; `noise`: random vectors, each as long as the latent in whose place it stands; `none`: nothing,
    at no point; `scaled`: the latents times latents_factor."""
    latents_factor: Annotated[float | None, Added(None)] = Field(default=None, ge=-100, le=100, validate_default=True)
    """By what latents are multiplied; 1 changes nothing. For the causal check `scaled` alone."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_worked_examples(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("prompt_style") == "worked_examples":
            return {**EXAMPLES_DEFAULTS, **data}
        return data

    @field_validator("insert_probability")
    @classmethod
    def _chance_is_for_random(cls, value: float | None, info: ValidationInfo) -> float | None:
        by_chance = info.data.get("setting") == "weaver+random"
        if by_chance and value is None:
            raise PydanticCustomError("probability_missing", "the setting `weaver+random` needs a probability")
        if value is not None and not by_chance and "setting" in info.data:
            raise PydanticCustomError("probability_unused", "only the setting `weaver+random` inserts by chance")
        return value

    @field_validator("prompt_style")
    @classmethod
    def _style_is_for_the_plain_model(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("setting", "base") != "base":
            raise PydanticCustomError("style_unused", "only the setting `base` has a prompt style")
        return value

    @field_validator("num_examples")
    @classmethod
    def _number_is_for_worked_examples(cls, value: int | None, info: ValidationInfo) -> int | None:
        has_examples = info.data.get("prompt_style") == "worked_examples"
        if has_examples and value is None:
            raise PydanticCustomError("examples_missing", "the prompt style `worked_examples` needs a number of them")
        if value is not None and not has_examples and "prompt_style" in info.data:
            raise PydanticCustomError("examples_unused", "only the prompt style `worked_examples` has examples")
        return value

    @field_validator("causal_check")
    @classmethod
    def _check_is_for_a_weaver(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("setting") in (*cls.without_latents, *cls.with_lora):
            raise PydanticCustomError("latents_unused", "without a weaver there are no latents to replace")
        return value

    @field_validator("latents_factor")
    @classmethod
    def _factor_is_for_scaled_latents(cls, value: float | None, info: ValidationInfo) -> float | None:
        scales = info.data.get("causal_check") == "scaled"
        if scales and value is None:
            raise PydanticCustomError("factor_missing", "the causal check `scaled` needs a factor")
        if value is not None and not scales and "causal_check" in info.data:
            raise PydanticCustomError("factor_unused", "only the causal check `scaled` has a factor")
        return value

    @property
    def measured(self) -> str:
        """The setting, and what makes of it another thing to measure: `base, chain of thought`."""
        words = (self.setting, self.asking.words, check_words(self.causal_check, self.latents_factor))
        return ", ".join(filter(None, words))

    @property
    def uses_trigger(self) -> bool:
        """Whether the trigger decides; where nothing is inserted it is not asked."""
        return super().uses_trigger and self.causal_check != "none"

    @property
    def asking(self) -> Asking:
        """How questions are asked."""
        return Asking(self.prompt_style == "chain_of_thought", self.num_examples or 0)

    @property
    def uses_training_rows(self) -> bool:
        """Whether the stage is given training rows beside its questions."""
        return self.num_examples is not None or takes_from_training(self.causal_check)

    def lacks(self, left: int) -> BadInput | None:
        """Why so many training rows, those that are not evaluated, are too few for what is drawn from them."""
        if takes_from_training(self.causal_check) and not left:
            return no_reference_questions(self.causal_check)
        if left < (self.num_examples or 0):
            return too_few_examples(self.data, left, self.num_examples)
        return None


def _moments(
    config: EvaluateConfig, _parts: Parts, dims: Dimensions, size: int, _device: str, shape: Shape
) -> list[Moment]:
    answering = generation(config, dims, size, shape)
    return [*answering, *gold_moments(config, dims, size, shape, answering[-1].caches)] if config.nll else answering


STAGE: Stage[EvaluateConfig] = Stage(
    name="evaluate",
    config=EvaluateConfig,
    runner="memgen.stages.evaluate:evaluate",
    recipe="memgen.stages.evaluate:recipe",
    output=Output("evaluate", "evaluate", "answer.json"),
    needs={
        "base": None,
        "weaver": "weaver",
        "weaver+trigger": "trigger",
        "weaver+random": "weaver",
        "lora": "lora_sft",
        "lora+grpo": "lora_grpo",
    },
    work=evaluations.WORK,
    memory=Memory(batch_of_answers, _moments),
    launch=Launch(
        forms=(
            Form(
                "base_eval",
                "Base evaluation",
                "Answer questions with a model and score the answers.",
                setting="base",
                absent=("checkpoint", "insert_probability", *CHECK_FIELDS, *LENGTHS, *INSERTION),
                alone=STYLE_FIELDS,
            ),
            Form(
                "weaver_eval",
                "Weaver evaluation",
                "Answer questions with a trained weaver that inserts latents at every point, and score the answers.",
                setting="weaver",
                absent=STYLE_FIELDS,
                turns={"insert_probability": "weaver+random"},
                alone=CHECK_FIELDS,
            ),
            Form(
                "trigger_eval",
                "Trigger evaluation",
                "Answer questions with weaver and trigger, and score the answers.",
                setting="weaver+trigger",
                absent=("insert_probability", *STYLE_FIELDS),
                alone=CHECK_FIELDS,
            ),
            Form(
                "lora_eval",
                "LoRA evaluation",
                "Answer questions with a plain LoRA that was trained on solutions, and score the answers.",
                setting="lora",
                absent=("insert_probability", *LENGTHS, *INSERTION, *STYLE_FIELDS, *CHECK_FIELDS),
            ),
            Form(
                "lora_grpo_eval",
                "LoRA GRPO evaluation",
                "Answer questions with a plain LoRA that was trained by rewards, and score the answers.",
                setting="lora+grpo",
                absent=("insert_probability", *LENGTHS, *INSERTION, *STYLE_FIELDS, *CHECK_FIELDS),
            ),
        ),
        first=(*evaluations.FIRST_FIELDS, *STYLE_FIELDS, *CHECK_FIELDS),
        empty={
            **evaluations.EMPTY,
            "insert_probability": "at every point",
            "prompt_style": "zero-shot",
            "num_examples": "none",
            "causal_check": "the weaver's own latents",
            "latents_factor": "for scaled latents alone",
        },
        defaults={("prompt_style", "worked_examples"): EXAMPLES_DEFAULTS},
    ),
    charts=replace(
        evaluations.CHARTS,
        figures=(
            *evaluations.FIGURES,
            Figure("latents_norm", "Norm of the weaver's latents", ".4g"),
            Figure("used_norm", "Norm of those inserted", ".4g"),
            Figure("latents_cosine", "Cosine between them", "+.3f"),
        ),
    ),
)
