"""Filters that lists share: by tag, and what becomes of the archive."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from backend.api.schemas import Shown
from dashboard.parts.foreign_text import one_line
from dashboard.parts.language import mark, t
from dashboard.parts.tag_choice import tag_names
from dashboard.parts.url_state import keep_in_url, start_from_url

RUN_FILTERS = {name: name for name in ("status", "model", "text", "tag", "archived")}
"""Keys of the widgets of the list of runs by their parameters in the address."""
ARCHIVE_WORDS: dict[Shown, str] = {"also": mark("shown, too"), "only": mark("alone")}


_STYLE = """<style>
.st-key-list_heading { row-gap: 0.5rem; }
@media (max-width: 640px) {
  .st-key-list_filters [data-testid="stHorizontalBlock"] { display: grid; grid-template-columns: 1fr 1fr; gap: 0.6rem; }
  .st-key-list_filters [data-testid="stColumn"] { min-width: 0; width: auto; }
}
</style>"""


def filter_columns(widths: Sequence[int]) -> Sequence[DeltaGenerator]:
    """Columns for the filters of a list; two in a row on a narrow screen, so that the list is in sight."""
    st.html(_STYLE)
    with st.container(key="list_filters"):
        return st.columns(widths)


def choose_tag(place: DeltaGenerator, key: str) -> str | None:
    """A box with the tags in use; `?tag=` is its value.

    Args:
        place: where it is drawn.
        key: of the widget.
    """
    start_from_url(key, remember=True, parameter="tag")
    chosen = st.session_state.get(key)
    names = tag_names()
    return place.selectbox(
        t("Tag"),
        names if chosen is None or chosen in names else [*names, chosen],
        index=None,
        key=key,
        placeholder=t("any"),
        format_func=one_line,
        on_change=keep_in_url(key, parameter="tag"),
    )


def choose_archive(place: DeltaGenerator, key: str) -> Shown | None:
    """A box that says what becomes of the archive; `?archived=` is its value, None leaves it out."""
    start_from_url(key, list(ARCHIVE_WORDS), remember=True, parameter="archived")
    return place.selectbox(
        t("Archive"),
        list(ARCHIVE_WORDS),
        index=None,
        key=key,
        placeholder=t("left out"),
        format_func=lambda one: t(ARCHIVE_WORDS[one]),
        on_change=keep_in_url(key, parameter="archived"),
    )
