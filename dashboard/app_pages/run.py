"""Run: one run, `?run=ID`, from its queueing to its answers or checkpoint. The open tab stays in the address."""

from collections.abc import Callable

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import RunDetail
from dashboard.parts import api
from dashboard.parts.answers_view import answers_view
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.run_actions import actions
from dashboard.parts.url_state import keep_in_url, start_from_url
from dashboard.run.checkpoint_view import checkpoint_view
from dashboard.run.header import failure_panel, live_header, run_title
from dashboard.run.links import run_links
from dashboard.run.log_view import log_view
from dashboard.run.metrics_view import metrics_view
from dashboard.run.records import attempts_view, config_view, environment_view, files_view, history_view
from memgen.contract.stages import trains
from memgen.contract.status import RunStatus

Tabs = dict[str, Callable[[RunDetail], None]]
RECORDS: Tabs = {
    "Log": log_view,
    "Config": config_view,
    "Environment": environment_view,
    "History": history_view,
    "Attempts": attempts_view,
    "Files": files_view,
}


def tabs_of(run: RunDetail) -> Tabs:
    """What there is to see of a run: an evaluation leaves answers, a training a checkpoint."""
    first: Tabs = {"Metrics": metrics_view}
    if not trains(run.stage):
        first["Answers"] = answers_view
    elif run.status is RunStatus.SUCCEEDED:
        first["Checkpoint"] = checkpoint_view
    return first | RECORDS


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
run_links(run)
failure_panel(run)
live_header(run)
views = tabs_of(run)
if st.session_state.get("tab") not in views:  # left by a run of another kind
    st.session_state.pop("tab", None)
start_from_url("tab", views)
first = "Log" if run.status is RunStatus.FAILED else "Metrics"  # which says more of why it failed
st.session_state.setdefault("tab", first)
tabs = st.tabs(list(views), key="tab", on_change=keep_in_url("tab", default=first))
for tab, draw in zip(tabs, views.values(), strict=True):
    if tab.open:
        with tab:
            draw(run)
