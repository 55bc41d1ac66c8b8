"""Lineage: from the base models over checkpoints to evaluations; `?run=ID` or `?pipeline=ID` narrows it."""

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import LineageNode, LineageOut
from dashboard.lineage.families import families_of, newest_families
from dashboard.lineage.graph import lineage_dot
from dashboard.lineage.table import COLUMNS, lineage_frame
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import columns_in_language, mark, t
from dashboard.parts.link_row import link_row
from dashboard.parts.row_clicks import open_column, opened

RUNS_IN_A_GRAPH = 40
ROW_PIXELS, ROWS_IN_SIGHT = 36, 20
TABLE_PIXELS = ROW_PIXELS * (ROWS_IN_SIGHT + 1)
LIMIT = "lineage_limit"


def asked_for(name: str) -> int | None:  # noqa: RET503 (st.stop does not return)
    """The number in the address; None without one."""
    given = st.query_params.get(name, "")
    if not given:
        return None
    if given.isascii() and given.isdecimal() and len(given) < 16:
        return int(given)
    words = {"run": mark("{text} is not the number of a run.")}.get(
        name, mark("{text} is not the number of a pipeline.")
    )
    st.error(t(words, text=escape_markdown(given[:100])), icon=":material/error:")
    everything_link()
    st.stop()


def load(run: int | None, pipeline: int | None) -> LineageOut:  # noqa: RET503 (st.stop does not return)
    """The runs to draw; where the address names none that is there, the page ends here."""
    with api.page_errors():
        try:
            return api.client().lineage(run=run, pipeline=pipeline)
        except ApiError as error:
            if error.problem.status != 404:
                raise
            text = (
                t("There is no run {number}; it may have been deleted.", number=run)
                if run is not None
                else t("There is no pipeline {number}; it may have been deleted.", number=pipeline)
            )
            st.error(text, icon=":material/error:")
    everything_link()
    st.stop()


def everything_link() -> None:
    """The way from a part of the lineage to all of it."""
    st.page_link(
        "app_pages/lineage.py", label=t("Lineage of all runs"), icon=":material/account_tree:", query_params={}
    )


def show_title(run: int | None, pipeline: int | None, *, outside: bool) -> None:
    """What is shown, and the ways back; `outside` where the number is that of a checkpoint from outside."""
    words = mark("Lineage")
    if run is not None:
        words = mark("Lineage of checkpoint {number}") if outside else mark("Lineage of run {number}")
    elif pipeline is not None:
        words = mark("Lineage of pipeline {number}")
    st.title(t(words, number=pipeline if run is None else run), anchor=False)
    if run is None and pipeline is None:
        return
    with link_row("lineage"):
        if run is not None and outside:
            link = {"checkpoint": str(run)}
            st.page_link(
                "app_pages/checkpoints.py",
                label=t("Checkpoint {number}", number=run),
                icon=":material/download:",
                query_params=link,
            )
        elif run is not None:
            link = {"run": str(run)}
            st.page_link(
                "app_pages/run.py", label=t("Run {number}", number=run), icon=":material/monitoring:", query_params=link
            )
        elif pipeline is not None:
            link = {"pipeline": str(pipeline)}
            st.page_link(
                "app_pages/pipeline.py", label=t("Pipeline {number}", number=pipeline), icon=":material/linear_scale:",
                query_params=link,
            )  # fmt: skip
        everything_link()


def show_graph(lineage: LineageOut, marked: int | None) -> list[LineageNode]:
    """The newest families as a graph; returns all runs in the order of the table."""
    nodes = lineage.nodes
    families = families_of(nodes)
    drawn = newest_families(families, st.session_state.setdefault(LIMIT, RUNS_IN_A_GRAPH))
    runs = [node for family in drawn for node in family.nodes]
    starts = {node.parent_id for node in runs}
    st.graphviz_chart(
        lineage_dot(runs, [one for one in lineage.outside if one.id in starts or one.id == marked], marked=marked),
        width="content",
        alt=t("Graph of {n} runs, from the base models to the evaluations; the table below says the same", n=len(runs)),
    )
    if len(runs) < len(nodes):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                t(
                    "Drawn are the newest {n} of {total} runs, whole families at a time. The table has them all.",
                    n=f"{len(runs):,}",
                    total=f"{len(nodes):,}",
                ),
                width="content",
            )
            if st.button(t("Draw more"), key="lineage_more", icon=":material/expand_more:"):
                st.session_state[LIMIT] = len(runs) + max(RUNS_IN_A_GRAPH, len(families[len(drawn)].nodes))
                st.rerun()
    return [node for family in families for node in family.nodes]


def show_table(nodes: list[LineageNode], outside: set[int]) -> None:
    """The same as a table."""
    if not nodes:
        st.caption(t("No run has started from it yet."))
        return
    ids = [one.run_id for one in nodes]
    st.dataframe(
        lineage_frame(nodes, outside),
        column_config={"run": open_column("lineage_table", t("Run"), width=64), **columns_in_language(COLUMNS)},
        hide_index=True,
        height=TABLE_PIXELS if len(nodes) > ROWS_IN_SIGHT else "content",
        row_height=ROW_PIXELS,
        placeholder="",
        key="lineage_table",
        alt=t("Table of the runs; the number of a run opens it"),
    )
    wanted = opened("lineage_table", ids)
    if wanted is not None:
        st.switch_page("app_pages/run.py", query_params={"run": str(wanted)})
    st.caption(t("A run's number, or a box of the graph, opens it; a click on a column's header sorts the table."))


asked_run = asked_for("run")
asked_pipeline = asked_for("pipeline") if asked_run is None else None
found = load(asked_run, asked_pipeline)
show_title(asked_run, asked_pipeline, outside=asked_run in {one.id for one in found.outside})
if found.nodes or found.outside:
    show_table(show_graph(found, asked_run), {one.id for one in found.outside})
else:
    st.info(t("No runs yet: what is launched appears here with what it started from."), icon=":material/account_tree:")
    st.page_link("app_pages/launch.py", label=t("Launch a run"), icon=":material/rocket_launch:")
