"""The curves of a run: those that matter at a glance, and any metric by its name with ways to look at it."""

import streamlit as st

from backend.api.schemas import MetricSeries, RunDetail
from dashboard.parts import api
from dashboard.parts.charts import (
    Look,
    curves_chart,
    curves_frame,
    is_share,
    metric_chart,
    metric_frame,
    ordered_names,
)
from dashboard.parts.foreign_text import escape_markdown, one_line
from dashboard.parts.text import percent
from dashboard.parts.url_state import keep_in_url, start_from_url
from dashboard.run.live_part import live_part
from dashboard.run.live_run import MAX_POINTS, LiveRun
from memgen.contract.stages import find_stage
from memgen.contract.status import RUN_ENDED

SMOOTHING = {"none": 0.0, "a little": 0.6, "much": 0.9, "very much": 0.97}
OVER = {"step": "step", "time": "time"}
AXIS = {"linear": "linear", "log": "logarithmic"}
ATTEMPTS = {"joined": "as one line", "apart": "each apart"}
MOST_APART = 2  # attempts before the newest whose curves are asked for


def metrics_view(run: RunDetail) -> None:
    """All charts of the stage, then one curve at a time; live while the run is."""
    live_part(run, _curves)


def main_charts(run: RunDetail, series: dict[str, MetricSeries]) -> None:
    """What to look at first: the first row of the stage's charts, of an evaluation its running accuracy.

    Args:
        run: whose.
        series: at least one, by name.
    """
    stage = find_stage(run.stage)
    if stage is not None and stage.charts.panels:
        _grid(run.stage, series, "main", rows=1)
    else:
        first = ordered_names(list(series))[0]
        _chart(series[first], Look(), key="main_chart", height=240)


def _curves(run: RunDetail, live: LiveRun) -> None:
    series = live.curves()
    if not series:
        _none(run)
        return
    _grid(run.stage, series, "panel")
    names = ordered_names(list(series))
    if st.session_state.get("metric") not in names:  # left by the run shown before
        st.session_state.pop("metric", None)
    start_from_url("metric", names)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        name = st.selectbox(
            "Metric", names, key="metric", width=300, format_func=one_line, on_change=keep_in_url("metric")
        )
        smoothing = _choice("Smoothing", "smoothing", SMOOTHING)
        over = _choice("Over", "over", OVER)
        axis = _choice("Axis", "axis", AXIS)
        apart = run.num_attempts > 1 and _choice("Attempts", "attempts", ATTEMPTS) == "apart"
    chosen = series[name]
    look = Look(smoothing=SMOOTHING[smoothing], over_time=over == "time", log=axis == "log")
    if apart:
        _apart(run, live, name, look)
    else:
        _chart(chosen, look, key="metric_chart")
    last = last_value(chosen)
    said = f"Last value of {escape_markdown(name)}: **{escape_markdown(last)}** at step {chosen.steps[-1]:,}"
    hidden = sum(value <= 0 for value in chosen.values) if look.log else 0
    st.caption(said + (f". {hidden:,} values of 0 or less have no place on this axis." if hidden else ""))


def _choice(label: str, key: str, options: dict[str, object] | dict[str, str] | dict[str, float]) -> str:
    """One of a few ways to look, kept in the address; the first is the usual one."""
    usual = next(iter(options))
    start_from_url(key, options)
    st.session_state.setdefault(key, usual)
    chosen = st.segmented_control(
        label, list(options), key=key, required=True, on_change=keep_in_url(key, default=usual),
        format_func=lambda name: words if isinstance(words := options[name], str) else name,
    )  # fmt: skip
    return chosen or usual


def _none(run: RunDetail) -> None:
    stage = find_stage(run.stage)
    first = stage.charts.first_metrics if stage else "numbers"
    live = run.status not in RUN_ENDED
    st.info(
        f"No metrics yet; the first come with the first {first}." if live else "This run left no metrics.",
        icon=":material/show_chart:",
    )


def _chart(series: MetricSeries, look: Look, *, key: str, height: int = 300) -> None:
    name = series.name
    st.altair_chart(
        metric_chart(metric_frame(series), name, look, height=height),
        width="stretch",
        key=key,
        alt=f"Curve of {one_line(name)} over {'time' if look.over_time else 'steps'}; last value {last_value(series)}",
    )


def _apart(run: RunDetail, live: LiveRun, name: str, look: Look) -> None:
    """The newest attempts' curves of one metric, those that ended asked for once."""
    numbers = range(max(1, run.num_attempts - MOST_APART), run.num_attempts + 1)
    frames = []
    for number in numbers:
        moved = run.summary if number == run.num_attempts else None
        found = live.kept(
            ("attempt", name, number), moved,
            lambda _, number=number: api.client().metrics(  # type: ignore[misc]
                run.id, name=name, attempt=number, max_points=MAX_POINTS
            ).series,
        )  # fmt: skip
        frames += [one.model_copy(update={"name": f"attempt {number}"}) for one in found]
    frame = curves_frame(frames)
    st.altair_chart(
        metric_chart(frame, name, look), width="stretch", key="metric_chart",
        alt=f"Curves of {one_line(name)} by attempt",
    )  # fmt: skip
    if numbers[0] > 1:
        st.caption(f"Shows attempts {numbers[0]} to {numbers[-1]}.")


def _grid(stage_name: str, series: dict[str, MetricSeries], key: str, rows: int | None = None) -> None:
    stage = find_stage(stage_name)
    for row in stage.charts.panels[:rows] if stage else ():
        panels = [panel for panel in row if any(name in series for name in panel.names)]
        if not panels:
            continue
        for column, panel in zip(st.columns([panel.width for panel in panels]), panels, strict=True):
            names = [name for name in panel.names if name in series]
            last = ", ".join(last_value(series[name]) for name in names)
            with column:
                st.markdown(f"**{panel.title}**", help=panel.help)
                st.altair_chart(
                    curves_chart(curves_frame([series[name] for name in names]), names),
                    width="stretch",
                    key=f"{key}_{names[0]}",
                    alt=f"Curve of {' and '.join(names)} over steps; last value {last}",
                )


def last_value(series: MetricSeries) -> str:
    """`39.5 %`, `0.8312`: the newest value of a metric that has one."""
    value = series.values[-1]
    return percent(value) if is_share(series.name) else f"{value:,.4g}"
