"""Runs: all runs, with filters and an order that stay in the address, and what can be done with many at once."""

from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import RunList
from dashboard.parts import api
from dashboard.parts.demo_offer import demo_offer
from dashboard.parts.foreign_text import escape_markdown, one_line
from dashboard.parts.order import Order
from dashboard.parts.pager import cursors_of, pager
from dashboard.parts.rows_table import rows_table
from dashboard.parts.run_actions import LEFT_BEHIND
from dashboard.parts.url_state import keep_in_url, start_from_url
from dashboard.run.bulk import bulk_bar, bulk_dialog
from dashboard.run.runs_table import COLUMNS, RISING, SORTED_BY, any_live, runs_frame
from memgen.contract.status import RunStatus

PAGE_SIZES = (50, 100, 200)
REFRESH_SECONDS = 3
TABLE, SIZE = "runs_table", "runs_page_size"
ORDER = Order("runs", SORTED_BY, RISING)

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


def page_size() -> int:
    """Rows of a page."""
    chosen: int = st.session_state.get(SIZE, PAGE_SIZES[0])
    return chosen


def cursors(filters: Filters) -> list[str | None]:
    """Cursors of the pages up to the shown one."""
    return cursors_of("runs", (filters, ORDER.sort, page_size()))


def load(filters: Filters) -> RunList:
    """The shown page of runs."""
    status, model, text = filters
    return api.client().runs(
        status=status, preset=model, text=text, sort=ORDER.sort, cursor=cursors(filters)[-1], limit=page_size()
    )


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
                alt="Table of runs; the number of a run opens it, a click on a column's header sorts all runs by it",
            )  # fmt: skip
            if picked.opened is not None:
                st.switch_page("app_pages/run.py", query_params={"run": str(picked.opened)})
            with bar:
                bulk_bar([run for run in page.items if run.id in picked.selected])
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
        st.segmented_control("Rows of a page", PAGE_SIZES, key=SIZE, default=PAGE_SIZES[0], required=True)


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
    st.warning(f"Deleted, but these files could not be removed:\n{lines}", icon=":material/warning:")
chosen = choose_filters()
ORDER.start()
bulk_dialog()
with api.page_errors():
    first = load(chosen)
is_live = any_live(first.items)
st.fragment(show_runs, run_every=REFRESH_SECONDS if is_live else None)(chosen, is_live, [first])
