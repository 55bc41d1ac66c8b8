"""Lineage: from the base models over checkpoints to evaluations; `?run=ID` or `?pipeline=ID` narrows it.

`?find=` looks for words in it.
"""

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import LineageNode, LineageOut
from dashboard.lineage.chosen import chosen_outside, chosen_run
from dashboard.lineage.layout import spots_of
from dashboard.lineage.live_lineage import REFRESH_SECONDS, LiveLineage, is_live, live_lineage
from dashboard.lineage.picture import CHOSEN, FIND, begin_at, found_in, picture, search_field, steering
from dashboard.lineage.table import COLUMNS, lineage_frame
from dashboard.lineage.words import matches
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import columns_in_language, mark, t
from dashboard.parts.link_row import link_row
from dashboard.parts.row_clicks import open_column, opened

LIMITS = (100, 300, 1000)  # how many of the newest runs are drawn; a search looks through the most
ROW_PIXELS, ROWS_IN_SIGHT = 36, 20
TABLE_PIXELS = ROW_PIXELS * (ROWS_IN_SIGHT + 1)
LIMIT = "lineage_limit"
NOT_FOUND = 404


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


def lineage_now() -> LiveLineage:
    """The runs to draw."""
    limit = LIMITS[-1] if st.session_state.get(FIND) else st.session_state.setdefault(LIMIT, LIMITS[0])
    return live_lineage(asked_run, asked_pipeline, limit)


def load(run: int | None, pipeline: int | None) -> LineageOut:  # noqa: RET503 (st.stop does not return)
    """The runs to draw; where the address names none that is there, the page ends here."""
    with api.page_errors():
        try:
            return lineage_now().load()
        except ApiError as error:
            if error.problem.status != NOT_FOUND:
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


def show(was_live: bool) -> None:
    """Search, picture, what was chosen in it, and the table."""
    with api.part_errors():
        search_column, steps_column = st.columns(2, vertical_alignment="bottom")
        with search_column:
            words = search_field()
        live = lineage_now()
        lineage = newest(live)
        if live.away is not None:
            api.show_error(live.away)
        spots = spots_of(lineage.nodes, lineage.outside)
        found = found_in(spots, words)
        with steps_column, st.container(horizontal=True, vertical_alignment="center", key="lineage_steps"):
            steering(spots, found)
        picture(spots, found, (id(live), live.version, words))
        more_runs(lineage)
        show_chosen(lineage)
        outside = {one.id for one in lineage.outside}
        ordered = [spot.thing for spot in spots if isinstance(spot.thing, LineageNode) and matches(spot.thing, words)]
        show_table(ordered, outside, searched=bool(words))
        if is_live(lineage) != was_live:  # starts or ends the refreshing
            st.rerun(scope="app")


def newest(live: LiveLineage) -> LineageOut:
    """The runs as they are now; where what the address names was deleted, the page says so."""
    try:
        return live.newest()
    except ApiError as error:
        if error.problem.status == NOT_FOUND:
            st.rerun(scope="app")
        raise


def more_runs(lineage: LineageOut) -> None:
    """How many are drawn, and the way to more of them."""
    if len(lineage.nodes) >= lineage.total:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="lineage_more_bar"):
        st.caption(
            t(
                "Drawn are the newest {n} of {total} runs, with all that they come from.",
                n=f"{len(lineage.nodes):,}",
                total=f"{lineage.total:,}",
            ),
            width="content",
        )
        larger = next((limit for limit in LIMITS if limit > st.session_state[LIMIT]), None)
        if larger is not None and st.button(t("Draw more"), key="lineage_more", icon=":material/expand_more:"):
            st.session_state[LIMIT] = larger
            st.rerun()


def show_chosen(lineage: LineageOut) -> None:
    """What was chosen, as long as it is there."""
    chosen = st.session_state.get(CHOSEN)
    node = next((one for one in lineage.nodes if one.run_id == chosen), None)
    if node is not None:
        if chosen_run(node, {one.id for one in lineage.outside}):
            st.rerun()  # all is asked for again: histories say nothing of notes
    elif added := next((one for one in lineage.outside if one.id == chosen), None):
        chosen_outside(added)
    else:
        st.caption(
            t(
                "A click on a run shows what it is and what can be launched from it. Pull the picture or turn the "
                "wheel to see more."
            )
        )


def show_table(nodes: list[LineageNode], outside: set[int], *, searched: bool) -> None:
    """The same as a table; of a search what was found."""
    if not nodes:
        if not searched:
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
    st.caption(t("A run's number opens it; a click on a column's header sorts the table."))


asked_run = asked_for("run")
asked_pipeline = asked_for("pipeline") if asked_run is None else None
begin_at((asked_run, asked_pipeline), asked_run)
first = load(asked_run, asked_pipeline)
show_title(asked_run, asked_pipeline, outside=asked_run in {one.id for one in first.outside})
if first.nodes or first.outside:
    moves = is_live(first)
    st.fragment(show, run_every=REFRESH_SECONDS if moves else None)(moves)
else:
    st.info(t("No runs yet: what is launched appears here with what it started from."), icon=":material/account_tree:")
    st.page_link("app_pages/launch.py", label=t("Launch a run"), icon=":material/rocket_launch:")
