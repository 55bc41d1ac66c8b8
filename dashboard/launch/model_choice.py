"""The model of a form."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.api.schemas import PresetOut
from dashboard.launch.config_form import FormField, starting_value, widget_key
from dashboard.launch.preflight_panel import preset_text
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import t
from dashboard.parts.text import about_count, about_size


def choose_model(fields: Mapping[str, FormField], draft: Mapping[str, Any], presets: Sequence[PresetOut]) -> str:
    """The model, with the memory of one copy of its weights and what it is good for.

    Args:
        fields: of the config, by name.
        draft: to start from.
        presets: models that can be launched.
    """
    field = fields["preset"]
    by_name = {preset.name: preset for preset in presets}
    key = widget_key(field)
    wanted = starting_value(field, draft)
    if st.session_state.get(key, wanted) in by_name:
        st.session_state.setdefault(key, wanted)
    else:
        st.session_state[key] = next(iter(by_name))
        st.warning(
            t("{model} can't be launched here any more; another model is chosen.", model=escape_markdown(str(wanted)))
        )
    name = st.selectbox(
        field.label,
        list(by_name),
        key=key,
        help=field.help,
        format_func=lambda name: preset_text(by_name[name]),
        on_change=_forget_revision,
        args=(widget_key(fields["revision"]),),
    )
    st.caption(_size_text(by_name[name]))
    return name


def show_model(name: str | None, presets: Sequence[PresetOut]) -> None:
    """The model that a chosen checkpoint was made for; None where none is chosen yet."""
    if name is None:
        st.caption(t("The model is that of the checkpoint."))
        return
    known = next((preset for preset in presets if preset.name == name), None)
    st.markdown(t("Model **{model}**, as the checkpoint was made for it.", model=escape_markdown(name)))
    if known is not None:
        st.caption(_size_text(known))


def _size_text(preset: PresetOut) -> str:
    return t(
        "{parameters} parameters; one copy of the weights takes {size} in bfloat16.",
        parameters=about_count(preset.parameters),
        size=escape_markdown(about_size(preset.weights_bytes)),
    )


def _forget_revision(key: str) -> None:
    # a commit of one model's repository is in no other's
    st.session_state[key] = ""
