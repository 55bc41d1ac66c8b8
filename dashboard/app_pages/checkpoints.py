"""Checkpoints: what trainings left and what came from outside, each with the best of its evaluations.

`?checkpoint=ID` shows one that came from outside.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import CheckpointResult, CheckpointResults, Shown
from dashboard.checkpoints.adding import add_dialog, say_added
from dashboard.checkpoints.outside import show_outside
from dashboard.checkpoints.table import COLUMNS, RISING, SORTED_BY, checkpoints_frame
from dashboard.parts import api
from dashboard.parts.checkpoint import next_from
from dashboard.parts.language import t
from dashboard.parts.list_filters import choose_archive
from dashboard.parts.order import Order
from dashboard.parts.pager import cursors_of, pager
from dashboard.parts.rows_table import MOST_COMPARED, rows_table
from dashboard.parts.saved_views import saved_views

PAGE_SIZE = 50
TABLE = "checkpoints_table"
ORDER = Order("checkpoints", SORTED_BY, RISING)
FILTERS = {"archived": "checkpoints_archived"}


def archived() -> Shown | None:
    """What becomes of checkpoints whose training is in the archive; None leaves them out."""
    chosen: Shown | None = st.session_state.get(FILTERS["archived"])
    return chosen


def cursors() -> list[str | None]:
    """Cursors of the pages up to the shown one."""
    return cursors_of("checkpoints", (archived(), ORDER.sort))


def load() -> CheckpointResults:
    """The shown page of checkpoints."""
    return api.client().checkpoint_results(archived=archived(), sort=ORDER.sort, cursor=cursors()[-1], limit=PAGE_SIZE)


def show_checkpoints(loaded: list[CheckpointResults]) -> None:
    """The table with its order and what can be done with the ticked rows."""
    with api.part_errors():
        bar = st.container(horizontal=True, vertical_alignment="bottom", key="checkpoints_bar")
        with bar:
            ORDER.choose()
        page = api.once(loaded, load)
        if not page.items and archived() == "only":
            st.info(t("No training in the archive has left a checkpoint."), icon=":material/filter_alt_off:")
            return
        if not page.items:
            show_none()
            return
        picked = rows_table(
            TABLE, checkpoints_frame(page.items, datetime.now(UTC)), [one.checkpoint.id for one in page.items],
            COLUMNS, ORDER,
            alt=t("Table of checkpoints; a number opens one, a click on a column's header sorts all by it"),
        )  # fmt: skip
        if picked.opened is not None:
            open_one(next(one for one in page.items if one.checkpoint.id == picked.opened))
        with bar:
            ticked([one for one in page.items if one.checkpoint.id in picked.selected])
        pager(
            "checkpoints", cursors(), page_size=PAGE_SIZE, shown=len(page.items), total=page.total,
            next_cursor=page.next_cursor,
        )  # fmt: skip


def open_one(result: CheckpointResult) -> None:
    """Go to the training, or show on this page what came from outside."""
    number = str(result.checkpoint.id)
    if result.checkpoint.from_outside:
        st.query_params["checkpoint"] = number
        st.rerun()
    st.switch_page("app_pages/run.py", query_params={"run": number, "tab": "Checkpoint"})


def ticked(chosen: Sequence[CheckpointResult]) -> None:
    """What can be launched from the one that is ticked; the best evaluations of several side by side."""
    if not chosen:
        st.caption(t("Tick one to go on from it, or several to compare their best evaluations."), width="content")
    elif len(chosen) == 1:
        checkpoint = chosen[0].checkpoint
        for one in next_from(checkpoint):
            if st.button(t(one.label), key=f"next_{one.form}", icon=f":material/{one.icon}:"):
                st.switch_page("app_pages/launch.py", query_params={"what": one.form, "checkpoint": str(checkpoint.id)})
        if st.button(t("Try"), key="to_try", icon=":material/forum:"):
            st.switch_page("app_pages/try_out.py", query_params={"checkpoint": str(checkpoint.id)})
        if st.button(t("Lineage"), key="to_lineage", icon=":material/account_tree:"):
            st.switch_page("app_pages/lineage.py", query_params={"run": str(checkpoint.id)})
    if not chosen:
        return
    best = [one.best for one in chosen if one.best is not None]
    runs = sorted({run for one in best for run in (one.run.id, *([one.gain.base_id] if one.gain else []))})
    if st.button(
        t("Compare") if len(chosen) == 1 else t("Compare {n}", n=len(best)),
        key="compare_best",
        icon=":material/compare_arrows:",
        disabled=not 2 <= len(runs) <= MOST_COMPARED,
        help=t("The best evaluations, beside the base that they are measured against."),
    ):
        st.switch_page("app_pages/compare.py", query_params={"runs": ",".join(map(str, runs))})


def show_none() -> None:
    """An empty list says where checkpoints come from."""
    with st.container(border=True, key="no_checkpoints"):
        st.subheader(t("No checkpoints yet"), anchor=False)
        st.write(t("Each training leaves one when it succeeds, which stays until its run is deleted. Or add one."))
        st.page_link(
            "app_pages/launch.py",
            label=t("Train a weaver"),
            icon=":material/school:",
            query_params={"what": "weaver_sft"},
        )


for leftover in ("run", "tab", "pipeline"):  # the browser's way back leaves those of the pages of one
    st.query_params.pop(leftover, None)
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.title(t("Checkpoints"), anchor=False, width="content")
    with st.container(horizontal=True, width="content", vertical_alignment="bottom"):
        choose_archive(st.container(width=160), FILTERS["archived"])
        saved_views("checkpoints", FILTERS, ORDER)
        if st.button(t("Add from outside"), key="add_checkpoint", icon=":material/upload:"):
            st.dialog(t("Add a checkpoint from outside"), width="medium")(add_dialog)()
say_added()
asked = st.query_params.get("checkpoint", "")
if asked.isascii() and asked.isdecimal() and len(asked) < 16:
    with api.part_errors():
        show_outside(api.client().checkpoint(int(asked)))
ORDER.start()
with api.page_errors():
    first = load()
st.fragment(show_checkpoints)([first])
