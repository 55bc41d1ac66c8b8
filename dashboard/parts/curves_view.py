"""Several runs on one chart: which metric, grouped by what, looked at how. One request draws it."""

import streamlit as st

from backend.api.schemas import CurvesOut
from dashboard.parts import api
from dashboard.parts.charts import EPOCHS, Look, ordered_names
from dashboard.parts.foreign_text import escape_markdown, one_line
from dashboard.parts.language import mark, plural, t
from dashboard.parts.look_choice import choose, choose_look
from dashboard.parts.run_curves import CONFIG, EACH, band_frame, groupings, runs_chart, runs_frame
from dashboard.parts.url_state import keep_in_url, start_from_url
from memgen.contract.status import RUN_ENDED

MOST_RUNS = 24
MOST_POINTS, POINTS_OF_ALL = 1000, 8000
"""Of a curve, and of all curves of a chart together."""
REFRESH_SECONDS = 4.0
_SHARED_SECONDS = 3.5  # how long a reply serves all who look at the same runs
METRIC, GROUP, BAND = "metric", "group", "band"
BANDS = {"range": mark("lowest to highest"), "deviation": mark("one standard deviation")}
_LIVE = "curves_live"
Runs = tuple[int, ...]


def curves_view(run_ids: Runs, place: str) -> None:
    """The chart and its choices.

    Args:
        run_ids: at most `MOST_RUNS`.
        place: begins the keys of the widgets; each page has its own.
    """
    live = st.session_state.get(_LIVE) == run_ids
    st.fragment(_part, run_every=REFRESH_SECONDS if live else None)(run_ids, place, live)


def metric_of_the_page(place: str) -> str | None:
    """The metric that is chosen, or that the address names."""
    start_from_url(place + METRIC, parameter=METRIC)
    chosen: str | None = st.session_state.get(place + METRIC)
    return chosen


def _part(run_ids: Runs, place: str, live: bool) -> None:
    with api.part_errors():
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="look"):
            first_place = st.container(width="content")
            look = choose_look(["step", "epoch", "time"], place)
        reply = _reply(run_ids, look, metric_of_the_page(place))
        with first_place:
            _choose_metric(reply, place)
        _chart(reply, look, place)
        moving = any(run.status not in RUN_ENDED for run in reply.runs)
        if moving != live:  # starts or ends the refreshing
            st.session_state[_LIVE] = run_ids if moving else None
            st.rerun(scope="app")


def _reply(run_ids: Runs, look: Look, chosen: str | None) -> CurvesOut:
    """The curves of the chosen metric, or of the most telling one where no run has it."""
    since = None if look.first is None else look.first - 1
    points = max(2, min(MOST_POINTS, POINTS_OF_ALL // len(run_ids)))
    reply = _asked(api.client().url, run_ids, chosen, since, look.last, points, look.over == "epoch")
    if chosen is None or chosen in reply.names:
        return reply
    return _asked(api.client().url, run_ids, None, since, look.last, points, look.over == "epoch")


@st.cache_data(ttl=_SHARED_SECONDS, max_entries=16, show_spinner=False)
def _asked(
    url: str,  # noqa: ARG001 (of the key of the cache)
    run_ids: Runs,
    name: str | None,
    since: int | None,
    until: int | None,
    max_points: int,
    epochs: bool,
) -> CurvesOut:
    return api.client().curves(run_ids, name=name, since=since, until=until, max_points=max_points, epochs=epochs)


def _choose_metric(reply: CurvesOut, place: str) -> None:
    names, key = ordered_names(reply.names), place + METRIC
    if reply.name in names:  # also in the place of one that these runs do not have
        st.session_state[key] = reply.name
    if names:
        st.selectbox(
            t("Metric"), names, key=key, width=300, format_func=one_line, on_change=keep_in_url(key, parameter=METRIC)
        )


def _chart(reply: CurvesOut, look: Look, place: str) -> None:
    for number in reply.missing:
        st.warning(
            t("There is no run {number}; it may have been deleted.", number=number), icon=":material/search_off:"
        )
    if reply.name is None:
        st.info(t("None of these runs has reported a metric yet."), icon=":material/show_chart:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        by = _choose_group(reply, place)
        band = "range" if by == EACH else choose(t("Band"), BAND, BANDS, place)
    frame = runs_frame(reply, look, by)
    if by != EACH:
        frame = band_frame(frame, "deviation" if band == "deviation" else "range")
    if frame.empty:
        _nothing(by, look)
        return
    numbers = ", ".join(str(run.id) for run in reply.runs)
    st.altair_chart(
        runs_chart(frame, reply.name, look), width="stretch", key="runs_chart",
        alt=t(
            "Curves of {metric} of runs {runs}, over {axis}", metric=one_line(reply.name), runs=numbers,
            axis=t(look.over),
        ),
    )  # fmt: skip
    _notes(reply, look, by)


def _choose_group(reply: CurvesOut, place: str) -> str:
    options, key = groupings(reply), place + GROUP
    start_from_url(key, options, parameter=GROUP)
    if st.session_state.get(key, EACH) not in options:  # these runs do not differ in it
        st.session_state[key] = EACH
    st.session_state.setdefault(key, EACH)
    chosen = st.selectbox(
        t("Group by"), list(options), key=key, width=260, format_func=lambda name: one_line(t(options[name])),
        on_change=keep_in_url(key, default=EACH, parameter=GROUP),
        help=t("Runs of a group become one line, their mean, with a band. Runs that differ in the seed alone are a "
        "group of their settings."),
    )  # fmt: skip
    return chosen or EACH


def _nothing(by: str, look: Look) -> None:
    if look.over == "epoch":
        st.info(t("None of these runs tells epochs. Draw them over steps."), icon=":material/width:")
    elif by != EACH:
        st.info(t("No two runs of a group reported at the same step here."), icon=":material/width:")
    else:
        st.info(t("There is no value between these steps."), icon=":material/width:")


def _notes(reply: CurvesOut, look: Look, by: str) -> None:
    """What is not drawn, and what a band is."""
    notes = []
    without = [run.id for run in reply.runs if run.series is None]
    if without:
        notes.append(
            plural(
                "Run {runs} reported no {metric} between these steps.",
                "Runs {runs} reported no {metric} between these steps.",
                len(without),
                runs=_numbers(without),
                metric=escape_markdown(reply.name or ""),
            )
        )
    silent = [run.id for run in reply.runs if run.series is not None and run.epochs is None]
    if look.over == "epoch" and silent:
        notes.append(
            plural(
                "Run {runs} told no {metric}.",
                "Runs {runs} told no {metric}.",
                len(silent),
                runs=_numbers(silent),
                metric=escape_markdown(EPOCHS),
            )
        )
    if by != EACH:
        notes.append(t("A group is drawn at the steps that at least two of its runs reported."))
    if by == CONFIG and not any(run.settings for run in reply.runs):
        notes.append(t("These runs have the same settings."))
    if notes:
        st.caption(" ".join(notes))


def _numbers(runs: list[int]) -> str:
    return ", ".join(map(str, runs))
