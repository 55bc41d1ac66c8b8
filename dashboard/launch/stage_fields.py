"""What the launch forms ask of a stage's record about the fields of its config; the schema says the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dashboard.launch.config_form import FormField
from dashboard.parts.language import mark, t
from memgen.contract.pipeline import SAME_QUESTIONS, SHARED, STEPS, StepName
from memgen.contract.stage_configs import INSERTION, LENGTHS
from memgen.contract.stages import forms, stage_named


def empty_text(stage: str, name: str) -> str:
    """What an empty field stands for."""
    return t(stage_named(stage).launch.empty.get(name, mark("automatic")))


def first_and_rest(stage: str, fields: Sequence[FormField]) -> tuple[list[FormField], list[FormField]]:
    """The fields to look at first, and those to fold away."""
    by_name = {field.name: field for field in fields}
    first = [by_name[name] for name in stage_named(stage).launch.first if name in by_name]
    return first, [field for field in fields if field not in first]


def fixed_fields(form_name: str, fields: Sequence[FormField]) -> dict[str, Any]:
    """Fields of a single run that the choice of the form leaves no choice about."""
    _, form = forms()[form_name]
    fixed = {field.name: field.default for field in fields if field.kind == "const"}
    if form.setting is not None and not form.asks_setting:
        fixed["setting"] = form.setting
    return fixed | {field.name: field.default for field in fields if field.name in form.absent}


def defaults(stage: str, fields: Sequence[FormField], values: Mapping[str, Any]) -> dict[str, Any]:
    """Default of each field, given the others."""
    return {field.name: field.default for field in fields} | dependent_defaults(stage, values)


def dependent_defaults(stage: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults that come with these values."""
    usual: dict[str, Any] = {}
    for (name, value), others in stage_named(stage).launch.defaults.items():
        usual |= others if values.get(name) == value else {}
    return usual


def with_dependent_defaults(stage: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as a form starts from them: where they are few, the defaults that depend on them are filled in."""
    return {**dependent_defaults(stage, values), **values}


def changed(stage: str, fields: Sequence[FormField], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that differ from their defaults."""
    usual = defaults(stage, fields, values)
    return {name: value for name, value in values.items() if value != usual[name]}


def step_fields(step: StepName, fields: Sequence[FormField]) -> list[FormField]:
    """Fields that a step of a pipeline has for itself, the important ones first."""
    stage, form = forms()[step]
    elsewhere = {"stage", "setting", "checkpoint", *SHARED, *form.absent, *form.turns, *form.alone}
    if not STEPS[step].starts_anew:  # lengths and limits come with the checkpoint
        elsewhere |= {*LENGTHS, *INSERTION}
    if not stage.trains:
        elsewhere |= set(SAME_QUESTIONS)
    first, rest = first_and_rest(stage.name, [field for field in fields if field.name not in elsewhere])
    return [field if stage.trains else _as_evaluations(field) for field in (*first, *rest)]


def _as_evaluations(field: FormField) -> FormField:
    """An evaluation's batch size is that of all evaluations unless it has its own."""
    if field.name != "batch_size":
        return field
    return replace(field, default=None, nullable=True, empty=None)
