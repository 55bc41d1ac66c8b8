"""Run: one run, `?run=ID`, from its queueing to its answers or checkpoint. The open tab stays in the address."""

from collections.abc import Callable

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import RunDetail
from dashboard.parts import api
from dashboard.parts.focus import give_to_title
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import mark, t
from dashboard.parts.named_tabs import named_tabs
from dashboard.run.answers_table import answers_view
from dashboard.run.checkpoint_view import checkpoint_view
from dashboard.run.header import run_header
from dashboard.run.live_run import live_run
from dashboard.run.log_view import log_view
from dashboard.run.metrics_view import metrics_view
from dashboard.run.overview import overview
from dashboard.run.records import history_view, settings_view
from dashboard.run.rollouts_view import rollouts_view
from memgen.contract.stages import find_stage, trains
from memgen.contract.status import RunStatus

Tabs = dict[str, Callable[[RunDetail], None]]
FIRST = mark("Overview")
# tabs that addresses of versions before may name, and where their contents are now
FORMER = {"Config": "Settings", "Environment": "Settings", "Files": "Settings", "Attempts": "History"}


def tabs_of(run: RunDetail) -> Tabs:
    """What there is to see of a run: an evaluation leaves answers, a training a checkpoint, some keep rollouts."""
    tabs: Tabs = {FIRST: overview, mark("Metrics"): metrics_view}
    stage = find_stage(run.stage)
    if stage is not None and stage.rolls_out:
        tabs[mark("Rollouts")] = rollouts_view
    if not trains(run.stage):
        tabs[mark("Answers")] = answers_view
    elif run.status is RunStatus.SUCCEEDED:
        tabs[mark("Checkpoint")] = checkpoint_view
    return tabs | {mark("Log"): log_view, mark("Settings"): settings_view, mark("History"): history_view}


def load() -> RunDetail:  # noqa: RET503 (st.stop does not return)
    """The run of the address; without one, or with one that does not exist, the page ends here."""
    asked = st.query_params.get("run", "")
    if not asked:
        st.info(t("No run is chosen."), icon=":material/list:")
    elif not (asked.isascii() and asked.isdecimal() and len(asked) < 16):
        st.error(t("{text} is not the number of a run.", text=escape_markdown(asked[:100])), icon=":material/error:")
    else:
        with api.page_errors():
            try:
                return live_run(int(asked)).detail(within=0)
            except ApiError as error:
                if error.problem.status != 404:
                    raise
                st.error(
                    t("There is no run {number}; it may have been deleted.", number=asked), icon=":material/error:"
                )
    st.page_link("app_pages/runs.py", label=t("All runs"), icon=":material/arrow_back:")
    st.stop()


run = load()
if (away := live_run(run.id).away) is not None:
    api.show_passing_error(away)
    st.caption(t("What is shown here is what was known last."))
run_header(run)
give_to_title()
views = tabs_of(run)
if st.query_params.get("tab") in FORMER:
    st.query_params["tab"] = FORMER[st.query_params["tab"]]
tabs = named_tabs(list(views), "tab", "tab")
for tab, draw in zip(tabs, views.values(), strict=True):
    if tab.open:
        with tab:
            draw(run)
