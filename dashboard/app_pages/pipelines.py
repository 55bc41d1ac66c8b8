"""Pipelines: all of them with what each has measured so far, in an order that stays in the address."""

from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import PipelineList, PipelineOut
from dashboard.parts import api
from dashboard.parts.demo_offer import demo_offer
from dashboard.parts.order import Order
from dashboard.parts.pager import cursors_of, pager
from dashboard.parts.rows_table import MOST_COMPARED, rows_table
from dashboard.pipeline.actions import finished_evaluations
from dashboard.pipeline.table import COLUMNS, RISING, SORTED_BY, any_moving, pipelines_frame

PAGE_SIZE = 50
REFRESH_SECONDS = 3
TABLE = "pipelines_table"
ORDER = Order("pipelines", SORTED_BY, RISING)


def cursors() -> list[str | None]:
    """Cursors of the pages up to the shown one."""
    return cursors_of("pipelines", ORDER.sort)


def load() -> PipelineList:
    """The shown page of pipelines."""
    return api.client().pipelines(sort=ORDER.sort, cursor=cursors()[-1], limit=PAGE_SIZE)


def show_pipelines(moving: bool, loaded: list[PipelineList]) -> None:
    """The table with its order."""
    with api.part_errors():
        bar = st.container(horizontal=True, vertical_alignment="bottom", key="pipelines_bar")
        with bar:
            ORDER.choose()
        page = api.once(loaded, load)
        if not page.items:
            with st.container(border=True, key="no_pipelines"):
                st.subheader("No pipelines yet", anchor=False)
                demo_offer()
        else:
            picked = rows_table(
                TABLE, pipelines_frame(page.items, datetime.now(UTC)), [one.id for one in page.items], COLUMNS, ORDER,
                alt="Table of pipelines; a pipeline's number opens it, a click on a column's header sorts all by it",
            )  # fmt: skip
            if picked.opened is not None:
                st.switch_page("app_pages/pipeline.py", query_params={"pipeline": str(picked.opened)})
            with bar:
                bulk_bar([one for one in page.items if one.id in picked.selected])
            pager(
                "pipelines", cursors(), page_size=PAGE_SIZE, shown=len(page.items),
                total=page.total if page.total is not None else len(page.items), next_cursor=page.next_cursor,
            )  # fmt: skip
        if any_moving(page.items) != moving:  # starts or ends the refreshing
            st.rerun(scope="app")


def bulk_bar(pipelines: list[PipelineOut]) -> None:
    """What can be done with the ticked pipelines: their evaluations side by side."""
    if not pipelines:
        st.caption("Tick rows to compare their evaluations.", width="content")
        return
    st.caption(f"**{len(pipelines)} selected**", width="content")
    finished = sorted({run_id for one in pipelines for run_id in finished_evaluations(one)})
    if st.button(
        f"Compare {len(finished)} evaluations",
        key="bulk_compare",
        icon=":material/compare_arrows:",
        disabled=not 2 <= len(finished) <= MOST_COMPARED,
        help=f"Finished evaluations of these pipelines, 2 to {MOST_COMPARED} of them.",
    ):
        st.switch_page("app_pages/compare.py", query_params={"runs": ",".join(map(str, finished))})


st.query_params.pop("pipeline", None)  # the browser's way back leaves it
heading, action = st.columns([4, 1], vertical_alignment="bottom")
heading.title("Pipelines", anchor=False)
if action.button("Run all", key="to_run_all", icon=":material/rocket_launch:", width="stretch"):
    st.switch_page("app_pages/launch.py", query_params={"what": "all"})
ORDER.start()
with api.page_errors():
    first = load()
is_moving = any_moving(first.items)
st.fragment(show_pipelines, run_every=REFRESH_SECONDS if is_moving else None)(is_moving, [first])
