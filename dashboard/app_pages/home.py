"""Home: what runs, what needs attention, what waits and why, what came out. One request draws all of it."""

import streamlit as st

from backend.api.schemas import HomeOut
from dashboard.home.cards import attention, is_live, machines, results, running, tiles, waiting
from dashboard.parts import api
from dashboard.parts.demo_offer import demo_offer
from dashboard.parts.language import t
from dashboard.parts.shortcuts import LAUNCH

LIVE_SECONDS, IDLE_SECONDS = 3, 30
OF_RUNS = ("status", "model", "text")  # in addresses of the time when the list of runs was the first page


def show_home(live: bool, loaded: list[HomeOut]) -> None:
    """Everything, below each other on a narrow screen."""
    with api.part_errors():
        state = api.once(loaded, lambda: api.client().home())
        if not state.num_runs:
            show_nothing()
        else:
            tiles(state)
            left, right = st.columns([3, 2], gap="large")
            with left:
                running(state)
                attention(state)
                results(state)
            with right:
                waiting(state)
                machines(state.workers)
        if is_live(state) != live:  # asks more often, or less
            st.rerun(scope="app")


def show_nothing() -> None:
    """What to do first."""
    with st.container(border=True, key="no_runs"):
        st.subheader(t("Nothing has run yet"), anchor=False)
        demo_offer()


if asked := {name: st.query_params[name] for name in OF_RUNS if name in st.query_params}:
    st.switch_page("app_pages/runs.py", query_params=asked)
for leftover in (
    "run",
    "tab",
    "pipeline",
    "sort",
    "runs",
    "base",
):  # the browser's way back leaves those of other pages
    st.query_params.pop(leftover, None)
heading, action = st.columns([4, 1], vertical_alignment="bottom")
heading.title(t("Home"), anchor=False)
if action.button(
    t("Launch a run"), key="to_launch", icon=":material/rocket_launch:", width="stretch", shortcut=LAUNCH.key
):
    st.switch_page("app_pages/launch.py")
with api.page_errors():
    first = api.client().home()
moves = is_live(first)
st.fragment(show_home, run_every=LIVE_SECONDS if moves else IDLE_SECONDS)(moves, [first])
