"""The form of a single run."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from backend.api.schemas import PresetOut
from dashboard.launch.checkpoint_choice import choose_checkpoint
from dashboard.launch.config_form import GROUP, FormField, config_widgets, current_value, starting_value
from dashboard.launch.draft import SHARED_DRAFT, draft, keep_config
from dashboard.launch.model_choice import choose_model
from dashboard.launch.stage_fields import (
    defaults,
    empty_text,
    first_and_rest,
    fixed_fields,
    with_dependent_defaults,
)
from dashboard.launch.variation_choice import choose_variation
from dashboard.parts.foreign_text import escape_markdown
from memgen.contract.stages import forms, stage_named
from memgen.contract.titles import title_of


def step_form(form_name: str, fields: Sequence[FormField], presets: Sequence[PresetOut]) -> dict[str, Any]:
    """Draw the form and return the config: model, checkpoint, the important fields, the rest folded away."""
    stage, form = forms()[form_name]
    given = with_dependent_defaults(stage.name, {**draft(SHARED_DRAFT), **draft(form_name)})
    by_name = {field.name: field for field in fields}
    fixed = fixed_fields(form_name, fields)
    for name, setting in form.turns.items():
        if current_value(by_name[name], given) is not None:
            fixed["setting"] = setting
    said = [(name, fixed[name]) for name in ("stage", "setting") if name in fixed]
    st.caption(" · ".join(f"{title_of(name)} **{escape_markdown(str(value))}**" for name, value in said))
    config = {field.name: field.default for field in fields} | fixed
    config["preset"] = choose_model(by_name, given, presets)
    checkpoint_place = st.container(key="checkpoint")
    asked = [field for field in fields if field.name not in {*fixed, "preset", "checkpoint"}]
    choose_variation(stage.name, GROUP, asked, given)
    first, rest = first_and_rest(stage.name, asked)
    empty = partial(empty_text, stage.name)
    config |= config_widgets(first, given, empty=empty, on_change=taking_defaults(stage.name, GROUP, fields))
    with st.expander("More settings", key="more_settings", expanded=any(is_set(field, given) for field in rest)):
        config |= config_widgets(rest, given, empty=empty)
    if "checkpoint" not in fixed:  # drawn last: model and lengths decide what fits
        with checkpoint_place:
            config["checkpoint"] = choose_checkpoint(form_name, by_name["checkpoint"], config, given)
    keep_config(form_name, config)
    return config


def is_set(field: FormField, given: Mapping[str, Any]) -> bool:
    """Whether a draft differs from the default."""
    return bool(starting_value(field, given) != field.default)


def taking_defaults(stage: str, group: str, fields: Sequence[FormField]) -> dict[str, Callable[[], None]]:
    """What to do when a field changes whose value brings defaults of others: they are shown in place of what stood."""
    names = {name for name, _ in stage_named(stage).launch.defaults}
    return {name: partial(_take_defaults, stage, group, fields, name) for name in names}


def _take_defaults(stage: str, group: str, fields: Sequence[FormField], changed: str) -> None:
    usual = defaults(stage, fields, {changed: st.session_state[f"{group}_{changed}"]})
    for (name, _), others in stage_named(stage).launch.defaults.items():
        for other in others if name == changed else ():
            st.session_state[f"{group}_{other}"] = usual[other]
