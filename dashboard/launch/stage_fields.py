"""What the launch forms know about the fields of each stage; the schema says the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dashboard.launch.config_form import FormField
from memgen.contract.config import stage_class
from memgen.contract.pipeline import SAME_QUESTIONS, SHARED, STEPS, StepName
from memgen.contract.stage_configs import LENGTHS, LIMITS, Evaluation
from memgen.contract.stages.ltpo_evaluate import REINFORCE_DEFAULTS

_EVALUATION = ("data", "split", "num_questions", "batch_size", "max_completion_length")
FIRST: dict[str, tuple[str, ...]] = {
    "evaluate": _EVALUATION,
    "weaver_sft": (
        "data", "num_questions", "num_train_epochs", "max_steps", "batch_size", "learning_rate",
        "max_completion_length", *LENGTHS, *LIMITS,
    ),
    "trigger_grpo": (
        "data", "num_questions", "num_train_epochs", "max_steps", "batch_size", "num_generations", "learning_rate",
        "max_completion_length",
    ),
    "ltpo_evaluate": ("setting", "update", *_EVALUATION, "max_steps", "lr", "sigma", "top_k"),
}  # fmt: skip
"""Fields that most launches look at, in their order; the others are folded away."""

ABOUT: dict[StepName, str] = {
    "base_eval": "Answer questions with a model and score the answers.",
    "weaver_sft": "Train the weaver on solutions: its latents, projections and LoRA. The model itself stays frozen.",
    "weaver_eval": "Answer questions with a trained weaver that inserts latents at every point, and score the answers.",
    "trigger_grpo": "Train the trigger to decide where the weaver inserts latents, by the reward of its completions.",
    "trigger_eval": "Answer questions with weaver and trigger, and score the answers.",
    "ltpo_eval": "Answer questions while each question's latents are optimised at test time, and score the answers.",
}
"""What a single run of each step does."""

_EMPTY = {
    "max_steps": "all epochs",
    "latents_learning_rate": "learning rate",
    "projections_learning_rate": "learning rate",
    "head_learning_rate": "learning rate",
    "threshold": "never",
    "insert_probability": "at every point",
    "revision": "newest",
    **dict.fromkeys((*LENGTHS, *LIMITS), "the checkpoint's"),
}


def is_evaluation(stage: str) -> bool:
    """Whether runs of the stage answer questions."""
    return issubclass(stage_class(stage), Evaluation)


def empty_text(stage: str, name: str) -> str:
    """What an empty field stands for."""
    if name == "num_questions":
        return "a third" if stage == "trigger_grpo" else "all"
    return _EMPTY.get(name, "automatic")


def first_and_rest(stage: str, fields: Sequence[FormField]) -> tuple[list[FormField], list[FormField]]:
    """The fields to look at first, and those to fold away."""
    by_name = {field.name: field for field in fields}
    first = [by_name[name] for name in FIRST[stage] if name in by_name]
    return first, [field for field in fields if field not in first]


def fixed_fields(step: StepName, fields: Sequence[FormField]) -> dict[str, Any]:
    """Fields of a single run that the choice of the step leaves no choice about."""
    fixed = {field.name: field.default for field in fields if field.kind == "const"}
    if STEPS[step].stage == "evaluate":
        fixed["setting"] = STEPS[step].setting
        if step != "weaver_eval":
            fixed["insert_probability"] = None
    if step == "base_eval":
        fixed |= dict.fromkeys(("checkpoint", *LENGTHS, *LIMITS))
    return fixed


def by_chance(insert_probability: float | None) -> dict[str, Any]:
    """What a weaver evaluation becomes when its insertions are to come by chance."""
    return {} if insert_probability is None else {"setting": "weaver+random"}


def defaults(fields: Sequence[FormField], values: Mapping[str, Any]) -> dict[str, Any]:
    """Default of each field, given the others."""
    own = {field.name: field.default for field in fields}
    return own | REINFORCE_DEFAULTS if values.get("update") == "reinforce" else own


def with_dependent_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as a form starts from them: where they are few, the defaults that depend on them are filled in."""
    return {**REINFORCE_DEFAULTS, **values} if values.get("update") == "reinforce" else dict(values)


def changed(fields: Sequence[FormField], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that differ from their defaults."""
    usual = defaults(fields, values)
    return {name: value for name, value in values.items() if value != usual[name]}


def step_fields(step: StepName, fields: Sequence[FormField]) -> list[FormField]:
    """Fields that a step of a pipeline has for itself, the important ones first."""
    stage = STEPS[step].stage
    # lengths and limits are the weaver's, and every later step takes them from its checkpoint
    elsewhere = {
        "stage",
        "setting",
        "insert_probability",
        "checkpoint",
        *SHARED,
        *(() if step == "weaver_sft" else (*LENGTHS, *LIMITS)),
    }
    if is_evaluation(stage):
        elsewhere |= set(SAME_QUESTIONS)
    first, rest = first_and_rest(stage, [field for field in fields if field.name not in elsewhere])
    return [_as_evaluations(field) if is_evaluation(stage) else field for field in (*first, *rest)]


def _as_evaluations(field: FormField) -> FormField:
    """An evaluation's batch size is that of all evaluations unless it has its own."""
    if field.name != "batch_size":
        return field
    return replace(field, default=None, nullable=True)
