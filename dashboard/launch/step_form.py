"""The form of a single run."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from backend.api.schemas import PresetOut
from dashboard.launch.checkpoint_choice import choose_checkpoint
from dashboard.launch.config_form import GROUP, FormField, config_widgets, current_value, starting_value
from dashboard.launch.draft import SHARED_DRAFT, draft, keep_config
from dashboard.launch.model_choice import choose_model
from dashboard.launch.stage_fields import (
    by_chance,
    defaults,
    empty_text,
    first_and_rest,
    fixed_fields,
    with_dependent_defaults,
)
from dashboard.parts.foreign_text import escape_markdown
from memgen.contract.pipeline import STEPS, StepName
from memgen.contract.stages.ltpo_evaluate import REINFORCE_DEFAULTS


def step_form(step: StepName, fields: Sequence[FormField], presets: Sequence[PresetOut]) -> dict[str, Any]:
    """Draw the form and return the config: model, checkpoint, the important fields, the rest folded away."""
    stage = STEPS[step].stage
    given = with_dependent_defaults({**draft(step), **draft(SHARED_DRAFT)})
    by_name = {field.name: field for field in fields}
    fixed = fixed_fields(step, fields)
    if step == "weaver_eval":
        fixed |= by_chance(current_value(by_name["insert_probability"], given))
    said = [(name, fixed[name]) for name in ("stage", "setting") if name in fixed]
    st.caption(" · ".join(f"{name} **{escape_markdown(str(value))}**" for name, value in said))
    config = {field.name: field.default for field in fields} | fixed
    config["preset"] = choose_model(by_name, given, presets)
    checkpoint_place = st.container(key="checkpoint")
    asked = [field for field in fields if field.name not in {*fixed, "preset", "checkpoint"}]
    first, rest = first_and_rest(stage, asked)
    empty = partial(empty_text, stage)
    on_change = {"update": partial(take_update_defaults, GROUP, fields)}
    config |= config_widgets(first, given, empty=empty, on_change=on_change)
    with st.expander("More settings", key="more_settings", expanded=any(is_set(field, given) for field in rest)):
        config |= config_widgets(rest, given, empty=empty)
    if "checkpoint" not in fixed:  # drawn last: model and lengths decide what fits
        with checkpoint_place:
            config["checkpoint"] = choose_checkpoint(step, by_name["checkpoint"], config, given)
    keep_config(step, config)
    return config


def is_set(field: FormField, given: Mapping[str, Any]) -> bool:
    """Whether a draft differs from the default."""
    return bool(starting_value(field, given) != field.default)


def take_update_defaults(group: str, fields: Sequence[FormField]) -> None:
    """Another update rule of LTPO has other defaults; they are shown in place of what stood there."""
    usual = defaults(fields, {"update": st.session_state[f"{group}_update"]})
    for name in REINFORCE_DEFAULTS:
        st.session_state[f"{group}_{name}"] = usual[name]
