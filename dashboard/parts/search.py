"""The search through everything: a button in the menu, and a panel that finds while one types."""

from collections.abc import Callable

import streamlit as st

from backend.api.schemas import HitKind, SearchHit
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import mark, t
from dashboard.parts.list_filters import RUN_FILTERS
from dashboard.parts.shortcuts import HELP, SEARCH, help_panel, listen
from dashboard.parts.url_state import set_in_url

TEXT, OPEN = "search_text", "search_open"
MOST = 8  # runs
LONGEST = 200  # characters
_ICONS: dict[HitKind, str] = {
    "run": "monitoring", "pipeline": "linear_scale", "checkpoint": "deployed_code", "tag": "sell",
    "model": "neurology", "data set": "dataset",
}  # fmt: skip
_WORDS: dict[HitKind, str] = {
    "run": mark("run {name}"), "pipeline": mark("pipeline {name}"), "checkpoint": mark("checkpoint {name}"),
    "tag": mark("tag {name}"), "model": mark("model {name}"), "data set": mark("data set {name}"),
}  # fmt: skip
# above the pages of the menu, where one looks first; the menu begins below it
STYLE = """<style>
[data-testid="stSidebarContent"] { position: relative; }
[data-testid="stSidebarNav"] { padding-top: 2.9rem; }
.st-key-search_box { position: absolute; top: 4.1rem; left: 1rem; right: 1rem; width: auto; flex-wrap: nowrap; }
.st-key-search_box > :has(> .st-key-search) { flex: 1 1 auto; min-width: 0; }
.st-key-search_box > :has(> .st-key-shortcuts) { flex: 0 0 auto; width: auto; }
.st-key-search_hits a, .st-key-search_hits button { justify-content: flex-start; text-align: left; }
</style>"""


def search_box(page: str) -> None:
    """The buttons of the search and of the keys, at the top of the menu.

    Args:
        page: that is shown; another one closes the panel.
    """
    listen()
    place = (page, *st.query_params.items())
    st.html(STYLE)
    with st.container(horizontal=True, gap="xsmall", key="search_box"):
        st.button(
            t("Search"), key=SEARCH.button, icon=":material/search:", width="stretch", on_click=_begin, args=(place,),
            help=t("Runs, pipelines, checkpoints, tags, models and data sets; press `{key}`", key=SEARCH.key),
        )  # fmt: skip
        if st.button(
            t("Keys"),
            key=HELP.button,
            help=t("What each key does; press `{key}`", key=HELP.key),
        ):
            st.dialog(t("Keys"))(help_panel)()
    if st.session_state.get(OPEN) == place:
        st.dialog(t("Search"), width="medium", on_dismiss=_close)(_search_panel)()
    else:
        _close()


def _begin(place: object) -> None:
    st.session_state.pop(TEXT, None)
    st.session_state[OPEN] = place


def _close() -> None:
    st.session_state.pop(OPEN, None)


def _search_panel() -> None:
    text = st.text_input(
        t("Number, note, tag, model, data set or stage"), key=TEXT, max_chars=LONGEST, icon=":material/search:",
        live=True,
        placeholder=t("e.g. 12, or: weaver 7B"),
    ).strip()  # fmt: skip
    if not text:
        st.caption(t("Enter opens the first that is found."))
        return
    with api.part_errors():
        reply = api.client().search(text, limit=MOST)
        with st.container(key="search_hits", gap="xxsmall"):
            for place, hit in enumerate(reply.items):
                _hit(place, hit)
        if not reply.items:
            st.info(t("Nothing has all of these words."), icon=":material/search_off:")
        elif reply.more:
            st.caption(t("More runs match. Another word makes them fewer."))
        with st.container(key="search_mark", horizontal=True, gap="xxsmall"):
            st.caption(t("Found for"), width="content")
            st.text(text, width="content")


def _hit(place: int, hit: SearchHit) -> None:
    label, icon = escape_markdown(hit_words(hit)), f":material/{_ICONS[hit.kind]}:"
    if hit.kind == "run":
        st.page_link("app_pages/run.py", label=label, icon=icon, query_params={"run": str(hit.number)})
    elif hit.kind == "pipeline":
        st.page_link("app_pages/pipeline.py", label=label, icon=icon, query_params={"pipeline": str(hit.number)})
    elif hit.kind == "checkpoint" and hit.from_outside:
        st.page_link("app_pages/checkpoints.py", label=label, icon=icon, query_params={"checkpoint": str(hit.number)})
    elif hit.kind == "checkpoint":
        query = {"run": str(hit.number), "tab": "Checkpoint"}
        st.page_link("app_pages/run.py", label=label, icon=icon, query_params=query)
    elif hit.kind == "data set":
        st.page_link("app_pages/data_sets.py", label=label, icon=icon)
    else:
        _list_button(place, label, icon, "tag" if hit.kind == "tag" else "model", hit.name)


def _list_button(place: int, label: str, icon: str, parameter: str, value: str) -> None:
    """The way to the list of runs with this filter alone, also where that list is open with others."""
    begin: Callable[[], None] = lambda: _filter_alone(parameter, value)  # noqa: E731 (typed)
    if st.button(label, key=f"search_hit_{place}", icon=icon, type="tertiary", on_click=begin):
        st.switch_page("app_pages/runs.py", query_params={parameter: value})


def _filter_alone(parameter: str, value: str) -> None:
    _close()
    for name, key in RUN_FILTERS.items():
        set_in_url(key, value if name == parameter else None, parameter=name)


def hit_words(hit: SearchHit) -> str:
    """`run 12 · evaluate, weaver · note · model · succeeded · archived`, plain text."""
    if hit.number is None:
        return t(_WORDS[hit.kind], name=hit.name)
    parts = [t(_WORDS[hit.kind], name=hit.number), hit.name, hit.note, *hit.tags, hit.preset.split("/")[-1], hit.data]
    return " · ".join(filter(None, [*parts, t(hit.status or ""), t("archived") if hit.archived else ""]))
