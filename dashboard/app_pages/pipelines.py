"""Pipelines: all of them, newest first, with what each has measured so far."""

from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import PipelineOut
from dashboard.parts import api
from dashboard.parts.demo_offer import demo_offer
from dashboard.parts.row_clicks import clicked
from dashboard.pipeline.table import COLUMNS, any_moving, pipelines_frame

PAGE_SIZE = 20
REFRESH_SECONDS = 3
ROW_PIXELS = 36
PAGES = "pipelines_pages"


def load(pages: int) -> tuple[list[PipelineOut], bool]:
    """The first pages of pipelines, and whether there are more."""
    found: list[PipelineOut] = []
    cursor = None
    for _ in range(pages):
        reply = api.client().pipelines(cursor=cursor, limit=PAGE_SIZE)
        found += reply.items
        cursor = reply.next_cursor
        if cursor is None:
            break
    return found, cursor is not None


def show_pipelines(moving: bool, loaded: list[tuple[list[PipelineOut], bool]]) -> None:
    """The table; a click on a row opens its pipeline."""
    with api.part_errors():
        found, more = api.once(loaded, lambda: load(st.session_state[PAGES]))
        if not found:
            with st.container(border=True, key="no_pipelines"):
                st.subheader("No pipelines yet", anchor=False)
                demo_offer()
        else:
            show_table(found, more)
        if any_moving(found) != moving:  # starts or ends the refreshing
            st.rerun(scope="app")


def show_table(found: list[PipelineOut], more: bool) -> None:
    """The rows, and the button for older ones."""
    event = st.dataframe(
        pipelines_frame(found, datetime.now(UTC)),
        column_config=COLUMNS,
        hide_index=True,
        height=min(len(found) + 1, 20) * ROW_PIXELS + 3,
        row_height=ROW_PIXELS,
        placeholder="",
        on_select="rerun",
        selection_mode="single-cell",
        key="pipelines_table",
        alt="Table of pipelines; selecting a cell opens the pipeline of its row",
    )
    wanted = clicked("pipelines_table", event, [one.id for one in found])
    if wanted is not None:
        st.switch_page("app_pages/pipeline.py", query_params={"pipeline": str(wanted)})
    st.caption("Click a row to open its pipeline.")
    if more and st.button("Load more", key="load_more", icon=":material/expand_more:"):
        st.session_state[PAGES] += 1
        st.rerun(scope="app")


st.query_params.pop("pipeline", None)  # the browser's way back leaves it
heading, action = st.columns([4, 1], vertical_alignment="bottom")
heading.title("Pipelines", anchor=False)
if action.button("Run all", key="to_run_all", icon=":material/rocket_launch:", width="stretch"):
    st.switch_page("app_pages/launch.py", query_params={"what": "all"})
st.session_state.setdefault(PAGES, 1)
with api.page_errors():
    page = load(st.session_state[PAGES])
is_moving = any_moving(page[0])
st.fragment(show_pipelines, run_every=REFRESH_SECONDS if is_moving else None)(is_moving, [page])
