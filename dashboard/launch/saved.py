"""Settings that are kept under a name: opened into the form, saved from it, deleted."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import SavedLaunch
from dashboard.launch.address import ALL, leave_source, open_config
from dashboard.launch.draft import forget_widgets, keep_spec
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, one_line
from dashboard.parts.language import t
from memgen.contract.pipeline import PipelineSpec

POPOVER, CHOSEN, NAME, REPLACE, SAID = "saved_launches", "saved_choice", "saved_name", "saved_replace", "saved_said"


def open_saved() -> None:
    """A popover with the settings that are kept; nothing where none are."""
    with api.page_errors():
        kept = {one.name: one for one in api.saved_launches()}
    if not kept:
        return
    with st.popover(t("Open saved settings"), icon=":material/bookmarks:", key=POPOVER, on_change="rerun"):
        if st.session_state.get(CHOSEN) not in kept:
            st.session_state.pop(CHOSEN, None)
        name = st.selectbox(t("Saved settings"), list(kept), key=CHOSEN, format_func=one_line)
        if kept[name].note:
            st.caption(escape_markdown(kept[name].note))
        with st.container(horizontal=True, gap="small"):
            st.button(
                t("Open"),
                key="open_saved",
                type="primary",
                icon=":material/file_open:",
                on_click=_open,
                args=(kept[name],),
            )
            gone = st.button(t("Delete"), key="delete_saved", icon=":material/delete:")
        if gone and api.attempt(lambda: api.client().delete_saved_launch(name)):
            api.forget_saved_launches()
            st.rerun()


def _open(saved: SavedLaunch) -> None:
    leave_source()
    if saved.pipeline is not None:
        keep_spec(saved.pipeline)
        what = ALL
    else:
        what = open_config(saved.config or {}, saved.name)
        forget_widgets()
    st.session_state["what"] = st.query_params["what"] = what
    st.session_state[POPOVER] = False  # it would lie over the form that it has filled in


def save_settings(settings: Mapping[str, Any] | PipelineSpec) -> None:
    """Keep what the form holds under a name."""
    with st.form("save_settings", border=False):
        name = st.text_input(t("Name of the settings"), key=NAME, max_chars=60, placeholder=t("e.g. 7B, long answers"))
        replace = st.checkbox(t("Replace other settings of this name"), key=REPLACE)
        saved = st.form_submit_button(t("Save"), key="save_launch", icon=":material/bookmark_add:")
    if saved:
        try:
            kept = api.client().save_launch((name or "").strip(), settings, replace=replace)
        except ApiError as error:
            api.show_error(error)
            return
        api.forget_saved_launches()
        st.session_state[SAID] = kept.name
        st.rerun()
    if SAID in st.session_state:
        st.success(t("Saved as {name}.", name=escape_markdown(st.session_state.pop(SAID))), icon=":material/check:")
