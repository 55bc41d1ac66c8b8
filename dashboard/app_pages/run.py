"""Run: one run, `?run=ID`, from its queueing to its answers. The open tab stays in the address."""

from collections.abc import Callable

import streamlit as st

from backend.client import ApiError
from backend.schemas import RunDetail
from dashboard import api
from dashboard.answers_view import answers_view
from dashboard.log_view import log_view
from dashboard.metrics_view import metrics_view
from dashboard.run_actions import actions
from dashboard.run_header import failure_panel, live_header, run_title
from dashboard.run_records import attempts_view, config_view, environment_view, history_view
from dashboard.text import escape_markdown
from dashboard.url_state import keep_in_url, start_from_url

TABS: dict[str, Callable[[RunDetail], None]] = {
    "Metrics": metrics_view,
    "Answers": answers_view,
    "Log": log_view,
    "Config": config_view,
    "Environment": environment_view,
    "History": history_view,
    "Attempts": attempts_view,
}


def load() -> RunDetail:  # noqa: RET503 (st.stop does not return)
    """The run of the address; without one, or with one that does not exist, the page ends here."""
    asked = st.query_params.get("run", "")
    if not asked:
        st.info("No run is chosen.", icon=":material/list:")
    elif not (asked.isascii() and asked.isdecimal() and len(asked) < 16):
        st.error(f"{escape_markdown(asked[:100])} is not the number of a run.", icon=":material/error:")
    else:
        with api.page_errors():
            try:
                return api.client().run(int(asked))
            except ApiError as error:
                if error.problem.status != 404:
                    raise
                st.error(f"There is no run {asked}; it may have been deleted.", icon=":material/error:")
    st.page_link("app_pages/runs.py", label="All runs", icon=":material/arrow_back:")
    st.stop()


run = load()
st.page_link("app_pages/runs.py", label="All runs", icon=":material/arrow_back:")
title_column, actions_column = st.columns([3, 2], vertical_alignment="top")
with title_column:
    run_title(run)
with actions_column:
    actions(run)
failure_panel(run)
live_header(run)
start_from_url("tab", TABS)
tabs = st.tabs(list(TABS), key="tab", on_change=keep_in_url("tab", default=next(iter(TABS))))
for tab, draw in zip(tabs, TABS.values(), strict=True):
    if tab.open:
        with tab:
            draw(run)
