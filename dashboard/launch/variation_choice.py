"""What a form starts from: the stage's defaults, or one of its variations, e.g. an ablation."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard.launch.config_form import FormField, current_value, widget_key
from dashboard.parts.language import mark, t
from memgen.contract.stage import Variation
from memgen.contract.stages import stage_named

USUAL, OWN = mark("As the method has it"), mark("Settings of my own")


def choose_variation(stage: str, group: str, fields: Sequence[FormField], given: Mapping[str, Any]) -> None:
    """Draw the choice, above the fields that it sets; nothing for a stage without variations.

    Args:
        stage: whose variations.
        group: of the fields' widgets.
        fields: of the form.
        given: values that the fields start from.
    """
    variations = {one.label: one for one in stage_named(stage).launch.variations}
    if not variations:
        return
    touched = touched_fields(fields, list(variations.values()))
    values = {field.name: current_value(field, given, group) for field in touched}
    key = f"{group}_start_from"  # follows the fields, which may have been set by hand meanwhile
    st.session_state[key] = variation_of(touched, list(variations.values()), values)
    shown = [USUAL, *variations]
    st.selectbox(
        t("Start from"),
        [*shown, OWN] if st.session_state[key] == OWN else shown,
        key=key,
        format_func=t,
        help=t("Sets the fields of an ablation or a variation, and those of the others back to their defaults."),
        on_change=_set_fields,
        args=(key, group, touched, variations),
    )


def touched_fields(fields: Sequence[FormField], variations: Sequence[Variation]) -> list[FormField]:
    """Fields that any of the variations sets."""
    names = {name for one in variations for name in one.values}
    return [field for field in fields if field.name in names]


def variation_of(touched: Sequence[FormField], variations: Sequence[Variation], values: Mapping[str, Any]) -> str:
    """What these values are: the usual ones, those of a variation by its label, or one's own."""
    usual = {field.name: field.default for field in touched}
    if values == usual:
        return USUAL
    return next((one.label for one in variations if values == usual | dict(one.values)), OWN)


def _set_fields(key: str, group: str, touched: Sequence[FormField], variations: Mapping[str, Variation]) -> None:
    chosen = st.session_state.get(key, OWN)  # none where the page has changed meanwhile
    if chosen == OWN:
        return
    values = dict(variations[chosen].values) if chosen in variations else {}
    for field in touched:
        st.session_state[widget_key(field, group)] = values.get(field.name, field.default)
