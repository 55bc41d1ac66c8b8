"""Pipelines: all of them with what each has measured so far, in an order that stays in the address."""

from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import PipelineList, PipelineOut, Shown
from dashboard.parts import api
from dashboard.parts.bulk_dialogs import bulk_dialog, choose_all
from dashboard.parts.demo_offer import demo_offer
from dashboard.parts.language import t
from dashboard.parts.list_filters import choose_archive, choose_tag, filter_columns
from dashboard.parts.order import Order
from dashboard.parts.pager import cursors_of, pager
from dashboard.parts.rows_table import MOST_COMPARED, rows_table
from dashboard.parts.saved_views import saved_views
from dashboard.parts.shortcuts import LAUNCH
from dashboard.parts.url_state import keep_in_url, start_from_url
from dashboard.pipeline.actions import finished_evaluations
from dashboard.pipeline.bulk import change_all, change_bar
from dashboard.pipeline.table import COLUMNS, RISING, SORTED_BY, any_moving, pipelines_frame

PAGE_SIZE = 50
REFRESH_SECONDS = 3
TABLE = "pipelines_table"
ORDER = Order("pipelines", SORTED_BY, RISING)
FILTERS = {name: f"pipelines_{name}" for name in ("text", "tag", "archived")}  # keys of widgets by their parameters
Filters = tuple[str | None, str | None, Shown | None]


def cursors(filters: Filters) -> list[str | None]:
    """Cursors of the pages up to the shown one."""
    return cursors_of("pipelines", (filters, ORDER.sort))


def choose_filters() -> Filters:
    """Draw the filters: text, tag, archive; None where not filtered."""
    start_from_url(FILTERS["text"], remember=True, parameter="text")
    text_column, tag_column, archive_column = filter_columns([3, 1, 1])
    text = text_column.text_input(
        t("Search"),
        key=FILTERS["text"],
        placeholder=t("in notes and models"),
        icon=":material/search:",
        on_change=keep_in_url(FILTERS["text"], parameter="text"),
    )
    with api.page_errors():
        tag = choose_tag(tag_column, FILTERS["tag"])
    return (text or "").strip() or None, tag, choose_archive(archive_column, FILTERS["archived"])


def load(filters: Filters) -> PipelineList:
    """The shown page of pipelines."""
    text, tag, archived = filters
    return api.client().pipelines(
        text=text, tag=tag, archived=archived, sort=ORDER.sort, cursor=cursors(filters)[-1], limit=PAGE_SIZE
    )


def show_pipelines(filters: Filters, moving: bool, loaded: list[PipelineList]) -> None:
    """The table with its order."""
    with api.part_errors():
        bar = st.container(horizontal=True, vertical_alignment="bottom", key="pipelines_bar")
        with bar:
            ORDER.choose()
        page = api.once(loaded, lambda: load(filters))
        if not page.items and any(filters):
            st.info(t("No pipeline matches these filters."), icon=":material/filter_alt_off:")
        elif not page.items:
            with st.container(border=True, key="no_pipelines"):
                st.subheader(t("No pipelines yet"), anchor=False)
                demo_offer()
        else:
            picked = rows_table(
                TABLE, pipelines_frame(page.items, datetime.now(UTC)), [one.id for one in page.items], COLUMNS, ORDER,
                alt=t("Table of pipelines; a pipeline's number opens it, a click on a column's header sorts all by it"),
            )  # fmt: skip
            if picked.opened is not None:
                st.switch_page("app_pages/pipeline.py", query_params={"pipeline": str(picked.opened)})
            with bar:
                bulk_bar([one for one in page.items if one.id in picked.selected], page, filters)
            pager(
                "pipelines", cursors(filters), page_size=PAGE_SIZE, shown=len(page.items),
                total=page.total if page.total is not None else len(page.items), next_cursor=page.next_cursor,
            )  # fmt: skip
        if any_moving(page.items) != moving:  # starts or ends the refreshing
            st.rerun(scope="app")


def bulk_bar(pipelines: list[PipelineOut], page: PipelineList, filters: Filters) -> None:
    """What can be done with the ticked pipelines, or with all that match: their evaluations side by side, changes."""
    if choose_all(page.total or 0, len(page.items), "pipelines" + repr(filters)):
        text, tag, archived = filters
        change_all(lambda: api.client().pipeline_numbers(text=text, tag=tag, archived=archived))
        return
    if not pipelines:
        st.caption(t("Tick rows to compare their evaluations, to tag, archive, stop or delete them."), width="content")
        return
    st.caption(t("**{n} selected**", n=len(pipelines)), width="content")
    finished = sorted({run_id for one in pipelines for run_id in finished_evaluations(one)})
    if st.button(
        t("Compare {n} evaluations", n=len(finished)),
        key="bulk_compare",
        icon=":material/compare_arrows:",
        disabled=not 2 <= len(finished) <= MOST_COMPARED,
        help=t("Finished evaluations of these pipelines, 2 to {most} of them.", most=MOST_COMPARED),
    ):
        st.switch_page("app_pages/compare.py", query_params={"runs": ",".join(map(str, finished))})
    change_bar(pipelines)


st.query_params.pop("pipeline", None)  # the browser's way back leaves it
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="list_heading"):
    st.title(t("Pipelines"), anchor=False, width="content")
    with st.container(horizontal=True, width="content"):
        saved_views("pipelines", FILTERS, ORDER)
        if st.button(t("Run all"), key="to_run_all", icon=":material/rocket_launch:", shortcut=LAUNCH.key):
            st.switch_page("app_pages/launch.py", query_params={"what": "all"})
chosen = choose_filters()
ORDER.start()
bulk_dialog()
with api.page_errors():
    first = load(chosen)
is_moving = any_moving(first.items)
st.fragment(show_pipelines, run_every=REFRESH_SECONDS if is_moving else None)(chosen, is_moving, [first])
