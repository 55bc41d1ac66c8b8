"""Runs: all runs, with filters and an order that stay in the address, and what can be done with many at once."""

from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import RunList
from dashboard.parts import api
from dashboard.parts.bulk_dialogs import bulk_dialog
from dashboard.parts.demo_offer import demo_offer
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import t
from dashboard.parts.list_filters import RUN_FILTERS
from dashboard.parts.order import Order
from dashboard.parts.pager import cursors_of, pager
from dashboard.parts.rows_table import rows_table
from dashboard.parts.run_actions import LEFT_BEHIND
from dashboard.parts.saved_views import saved_views
from dashboard.parts.shortcuts import LAUNCH
from dashboard.run.bulk import bulk_bar
from dashboard.run.run_filters import Filters, choose_filters
from dashboard.run.runs_table import COLUMNS, RISING, SORTED_BY, any_live, runs_frame

PAGE_SIZES = (50, 100, 200)
REFRESH_SECONDS = 3
TABLE, SIZE = "runs_table", "runs_page_size"
ORDER = Order("runs", SORTED_BY, RISING)


def page_size() -> int:
    """Rows of a page."""
    chosen: int = st.session_state.get(SIZE, PAGE_SIZES[0])
    return chosen


def cursors(filters: Filters) -> list[str | None]:
    """Cursors of the pages up to the shown one."""
    return cursors_of("runs", (filters, ORDER.sort, page_size()))


def load(filters: Filters) -> RunList:
    """The shown page of runs."""
    return api.client().runs(**vars(filters), sort=ORDER.sort, cursor=cursors(filters)[-1], limit=page_size())


def show_runs(filters: Filters, live: bool, loaded: list[RunList]) -> None:
    """The table with its order and what can be done with the ticked rows."""
    with api.part_errors():
        bar = st.container(horizontal=True, vertical_alignment="bottom", key="runs_bar")
        with bar:
            ORDER.choose()
        page = api.once(loaded, lambda: load(filters))
        if not page.items:
            show_none(filters)
        else:
            picked = rows_table(
                TABLE, runs_frame(page.items, datetime.now(UTC)), [run.id for run in page.items], COLUMNS, ORDER,
                alt=t("Table of runs; the number of a run opens it, a click on a column's header sorts all runs by it"),
            )  # fmt: skip
            if picked.opened is not None:
                st.switch_page("app_pages/run.py", query_params={"run": str(picked.opened)})
            with bar:
                bulk_bar(
                    [run for run in page.items if run.id in picked.selected], page.total or 0, len(page.items),
                    lambda: api.client().run_numbers(**vars(filters)).runs, filters.name,
                )  # fmt: skip
            show_pager(filters, page)
        if any_live(page.items) != live:  # starts or ends the refreshing
            st.rerun(scope="app")


def show_pager(filters: Filters, page: RunList) -> None:
    """The way to other pages, and how long a page is."""
    pager(
        "runs",
        cursors(filters),
        page_size=page_size(),
        shown=len(page.items),
        total=page.total if page.total is not None else len(page.items),
        next_cursor=page.next_cursor,
    )
    if (page.total or 0) > PAGE_SIZES[0]:
        st.segmented_control(t("Rows of a page"), PAGE_SIZES, key=SIZE, default=PAGE_SIZES[0], required=True)


def show_none(filters: Filters) -> None:
    """An empty list says why, and what to do."""
    if filters:
        st.info(t("No run matches these filters."), icon=":material/filter_alt_off:")
        return
    with st.container(border=True, key="no_runs"):
        st.subheader(t("No runs yet"), anchor=False)
        demo_offer()


for leftover in ("run", "tab", "pipeline"):  # the browser's way back leaves those of the pages of one
    st.query_params.pop(leftover, None)
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="list_heading"):
    st.title(t("Runs"), anchor=False, width="content")
    with st.container(horizontal=True, width="content"):
        saved_views("runs", RUN_FILTERS, ORDER)
        if st.button(t("Launch a run"), key="to_launch", icon=":material/rocket_launch:", shortcut=LAUNCH.key):
            st.switch_page("app_pages/launch.py")
if left_behind := st.session_state.pop(LEFT_BEHIND, None):
    lines = "\n".join(f"- {escape_markdown(line)}" for line in left_behind)
    st.warning(t("Deleted, but these files could not be removed:\n{files}", files=lines), icon=":material/warning:")
chosen = choose_filters()
ORDER.start()
bulk_dialog()
with api.page_errors():
    first = load(chosen)
is_live = any_live(first.items)
st.fragment(show_runs, run_every=REFRESH_SECONDS if is_live else None)(chosen, is_live, [first])
