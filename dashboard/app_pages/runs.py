"""Runs: all runs, newest first, with filters that stay in the address."""

from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import RunOut
from dashboard.parts import api
from dashboard.parts.demo_offer import demo_offer
from dashboard.parts.foreign_text import escape_markdown, one_line
from dashboard.parts.row_clicks import clicked
from dashboard.parts.run_actions import LEFT_BEHIND
from dashboard.parts.url_state import keep_in_url, start_from_url
from dashboard.run.runs_table import COLUMNS, any_live, runs_frame
from memgen.contract.status import RunStatus

PAGE_SIZE = 50
REFRESH_SECONDS = 3
ROW_PIXELS = 36
PAGES, FILTER = "runs_pages", "runs_filter"

Filters = tuple[str | None, str | None, str | None]


def choose_filters() -> Filters:
    """Status, model, text; None where not filtered."""
    with api.page_errors():
        models = [preset.name for preset in api.presets()]
    statuses = [status.value for status in RunStatus]
    start_from_url("status", statuses, remember=True)
    start_from_url("model", models, remember=True)
    start_from_url("text", remember=True)
    status_column, model_column, text_column = st.columns([1, 2, 2])
    status = status_column.selectbox(
        "Status", statuses, index=None, key="status", placeholder="any", on_change=keep_in_url("status")
    )
    model = model_column.selectbox(
        "Model",
        models,
        index=None,
        key="model",
        placeholder="any",
        format_func=one_line,
        on_change=keep_in_url("model"),
    )
    text = text_column.text_input(
        "Search",
        key="text",
        placeholder="in notes and models",
        icon=":material/search:",
        on_change=keep_in_url("text"),
    )
    return status, model, (text or "").strip() or None


def load(filters: Filters, pages: int) -> tuple[list[RunOut], bool]:
    """The first pages of runs, and whether there are more."""
    status, model, text = filters
    runs: list[RunOut] = []
    cursor = None
    for _ in range(pages):
        reply = api.client().runs(status=status, preset=model, text=text, cursor=cursor, limit=PAGE_SIZE)
        runs += reply.items
        cursor = reply.next_cursor
        if cursor is None:
            break
    return runs, cursor is not None


def show_runs(filters: Filters, live: bool, loaded: list[tuple[list[RunOut], bool]]) -> None:
    """The table; a click on a row opens its run."""
    with api.part_errors():
        runs, more = api.once(loaded, lambda: load(filters, st.session_state[PAGES]))
        if not runs:
            show_none(filters)
        else:
            show_table(runs, more)
        if any_live(runs) != live:  # starts or ends the refreshing
            st.rerun(scope="app")


def show_table(runs: list[RunOut], more: bool) -> None:
    """The rows, and the button for older ones."""
    event = st.dataframe(
        runs_frame(runs, datetime.now(UTC)),
        column_config=COLUMNS,
        hide_index=True,
        height=min(len(runs) + 1, 20) * ROW_PIXELS + 3,
        row_height=ROW_PIXELS,
        placeholder="",
        on_select="rerun",
        selection_mode="single-cell",
        key="runs_table",
        alt="Table of runs; selecting a cell opens the run of its row",
    )
    wanted = clicked("runs_table", event, [one.id for one in runs])
    if wanted is not None:
        st.switch_page("app_pages/run.py", query_params={"run": str(wanted)})
    st.caption("Click a row to open its run.")
    if more and st.button("Load more", key="load_more", icon=":material/expand_more:"):
        st.session_state[PAGES] += 1
        st.rerun(scope="app")


def show_none(filters: Filters) -> None:
    """An empty list says why, and what to do."""
    if any(filters):
        st.info("No run matches these filters.", icon=":material/filter_alt_off:")
        return
    with st.container(border=True, key="no_runs"):
        st.subheader("No runs yet", anchor=False)
        demo_offer()


for leftover in ("run", "tab", "pipeline"):  # the browser's way back leaves those of the pages of one
    st.query_params.pop(leftover, None)
heading, action = st.columns([4, 1], vertical_alignment="bottom")
heading.title("Runs", anchor=False)
if action.button("Launch a run", key="to_launch", icon=":material/rocket_launch:", width="stretch"):
    st.switch_page("app_pages/launch.py")
if left_behind := st.session_state.pop(LEFT_BEHIND, None):
    lines = "\n".join(f"- {escape_markdown(line)}" for line in left_behind)
    st.warning(f"The run is deleted, but these of its files could not be removed:\n{lines}", icon=":material/warning:")
chosen = choose_filters()
if st.session_state.get(FILTER) != chosen or PAGES not in st.session_state:
    st.session_state[FILTER], st.session_state[PAGES] = chosen, 1
with api.page_errors():
    page = load(chosen, st.session_state[PAGES])
is_live = any_live(page[0])
st.fragment(show_runs, run_every=REFRESH_SECONDS if is_live else None)(chosen, is_live, [page])
