"""The form of a single run."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from backend.api.schemas import PresetOut
from dashboard.launch.checkpoint_choice import choose_checkpoint
from dashboard.launch.config_form import GROUP, FormField, config_widgets, current_value, starting_value
from dashboard.launch.draft import SHARED_DRAFT, draft, keep_config
from dashboard.launch.measure import Measure
from dashboard.launch.model_choice import choose_model, show_model
from dashboard.launch.source import Source, show_source, source_of
from dashboard.launch.stage_fields import (
    defaults,
    empty_text,
    first_and_rest,
    fixed_fields,
    with_dependent_defaults,
)
from dashboard.launch.variation_choice import choose_variation
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import t
from memgen.contract.stages import forms, stage_named
from memgen.contract.titles import title_of


def step_form(form_name: str, fields: Sequence[FormField], presets: Sequence[PresetOut]) -> dict[str, Any]:
    """Draw the form and return the config.

    Where the run needs a checkpoint that comes first, and brings its model. The important fields follow, the rest is
    folded away. Values are measured against the run that the form starts from, else against the defaults.
    """
    stage, form = forms()[form_name]
    given = with_dependent_defaults(stage.name, {**draft(SHARED_DRAFT), **draft(form_name)})
    by_name = {field.name: field for field in fields}
    fixed = fixed_fields(form_name, fields)
    for name, setting in form.turns.items():
        if current_value(by_name[name], given) is not None:
            fixed["setting"] = setting
    said = [(name, fixed[name]) for name in ("stage", "setting") if name in fixed]
    st.caption(" · ".join(f"{t(title_of(name))} **{escape_markdown(str(value))}**" for name, value in said))
    source_place = st.container(key="source")
    config = {field.name: field.default for field in fields} | fixed
    source, empty = source_of(form_name), partial(empty_text, stage.name)
    measure = _measure(stage.name, source, fields, given)
    brings_model = stage.need(form.setting) is not None
    checkpoint_place = st.container(key="checkpoint") if brings_model else None
    model_place = st.container(key="model")
    if checkpoint_place is None:
        with model_place:
            config["preset"] = choose_model(by_name, given, presets)
        checkpoint_place = st.container(key="checkpoint")
    asked = [field for field in fields if field.name not in {*fixed, "preset", "checkpoint"}]
    choose_variation(stage.name, GROUP, asked, given)
    first, rest = first_and_rest(stage.name, asked)
    beside = measure.beside(empty)
    config |= config_widgets(
        first, given, empty=empty, on_change=taking_defaults(stage.name, GROUP, fields), beside=beside
    )
    unfolded = any(
        measure.differs(field, starting_value(field, given)) or field.name in measure.blamed for field in rest
    )
    with st.expander(t("More settings"), key="more_settings", expanded=unfolded):
        config |= config_widgets(rest, given, empty=empty, beside=beside)
    if "checkpoint" not in fixed:  # drawn last: lengths decide what fits
        with checkpoint_place:
            preset = None if brings_model else config["preset"]
            chosen = choose_checkpoint(form_name, by_name["checkpoint"], config, given, preset=preset)
        config["checkpoint"] = None if chosen is None else str(chosen.id)
        if brings_model:
            config["preset"] = given.get("preset", config["preset"]) if chosen is None else chosen.preset
            with model_place:
                show_model(None if chosen is None else chosen.preset, presets)
    keep_config(form_name, config)
    if source is not None:
        with source_place:
            show_source(source, measure.differences(fields, config, empty))
    return config


def _measure(stage: str, source: Source | None, fields: Sequence[FormField], given: Mapping[str, Any]) -> Measure:
    if source is not None:
        return Measure(source.config, source.words, source.blamed)
    values = {field.name: current_value(field, given) for field in fields}
    return Measure(defaults(stage, fields, values))


def taking_defaults(stage: str, group: str, fields: Sequence[FormField]) -> dict[str, Callable[[], None]]:
    """What to do when a field changes whose value brings defaults of others: they are shown in place of what stood."""
    names = {name for name, _ in stage_named(stage).launch.defaults}
    return {name: partial(_take_defaults, stage, group, fields, name) for name in names}


def _take_defaults(stage: str, group: str, fields: Sequence[FormField], changed: str) -> None:
    if f"{group}_{changed}" not in st.session_state:  # the page has changed meanwhile
        return
    usual = defaults(stage, fields, {changed: st.session_state[f"{group}_{changed}"]})
    for (name, _), others in stage_named(stage).launch.defaults.items():
        for other in others if name == changed else ():
            st.session_state[f"{group}_{other}"] = usual[other]
