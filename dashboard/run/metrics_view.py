"""The curves of a run: those that matter at a glance, and any metric by its name with ways to look at it."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from backend.api.schemas import MetricSeries, RunDetail
from dashboard.parts import api
from dashboard.parts.charts import (
    EPOCHS,
    Look,
    Over,
    curves_chart,
    curves_frame,
    is_share,
    metric_chart,
    metric_frame,
    ordered_names,
    with_epochs,
)
from dashboard.parts.foreign_text import escape_markdown, one_line
from dashboard.parts.language import mark, t
from dashboard.parts.look_choice import PARAMETERS, choose, choose_look
from dashboard.parts.text import percent
from dashboard.parts.url_state import keep_in_url, start_from_url
from dashboard.run.live_part import live_part
from dashboard.run.live_run import MAX_POINTS, LiveRun
from memgen.contract import machine_metrics
from memgen.contract.stage import Panel
from memgen.contract.stages import find_stage
from memgen.contract.status import RUN_ENDED

ATTEMPTS = {"joined": mark("as one line"), "apart": mark("each apart")}
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
        _grid(stage.charts.panels[:1], series, "main")
    else:
        first = ordered_names(list(series))[0]
        _chart(series[first], key="main_chart", height=240)


def _curves(run: RunDetail, live: LiveRun) -> None:
    series = live.curves()
    if not series:
        _none(run)
        return
    stage = find_stage(run.stage)
    _grid(stage.charts.panels if stage else (), series, "panel")
    _machine(series)
    names = ordered_names(list(series))
    if st.session_state.get("metric") not in names:  # left by the run shown before
        st.session_state.pop("metric", None)
    start_from_url("metric", names)
    over: list[Over] = ["step", "epoch", "time"] if EPOCHS in series else ["step", "time"]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="look"):
        name = st.selectbox(
            t("Metric"), names, key="metric", width=300, format_func=one_line, on_change=keep_in_url("metric")
        )
        look = choose_look(over)
        apart = (
            run.num_attempts > 1
            and choose(t("Attempts"), "attempts", {name: t(word) for name, word in ATTEMPTS.items()}) == "apart"
        )
        st.page_link(
            "app_pages/curves.py", label=t("Add a run"), icon=":material/add_chart:",
            help=t("Draw this metric together with that of other runs."), query_params=_with_others(run, name),
        )  # fmt: skip
    shown = _apart(run, live, name, look) if apart else [live.stretch(name, look.first, look.last)]
    _explored(name, shown, look, series.get(EPOCHS), apart=apart)


def _explored(
    name: str, shown: Sequence[MetricSeries], look: Look, epochs: MetricSeries | None, *, apart: bool
) -> None:
    """The chosen metric, large.

    Args:
        name: of the metric.
        shown: one curve, or one of each attempt under the attempt's name.
        look: how it is looked at.
        epochs: of the run, where it tells them.
        apart: whether the curves are the attempts'.
    """
    shown = [part for one in shown if (part := look.within(one)).steps]
    if not shown:
        st.info(t("There is no value between these steps."), icon=":material/width:")
        return
    frame: pd.DataFrame = curves_frame(shown) if apart else metric_frame(shown[0])
    if epochs is not None:
        frame = with_epochs(frame, epochs)
    newest = shown[-1]
    last = last_value(newest.model_copy(update={"name": name}))
    st.altair_chart(
        metric_chart(frame, name, look), width="stretch", key="metric_chart",
        alt=t(
            "Curves of {metric} by attempt over {axis}; last value {value}"
            if apart
            else "Curve of {metric} over {axis}; last value {value}",
            metric=one_line(name), axis=t(look.over), value=last,
        ),
    )  # fmt: skip
    notes = [
        t(
            "Last value of {metric}: **{value}** at step {step}.",
            metric=escape_markdown(name),
            value=escape_markdown(last),
            step=f"{newest.steps[-1]:,}",
        )
    ]
    hidden = sum(value <= 0 for one in shown for value in one.values) if look.log else 0
    if hidden:
        notes.append(t("{n} values of 0 or less have no place on this axis.", n=f"{hidden:,}"))
    if apart:
        notes.append(t("Shows {attempt} and up to {n} before it.", attempt=newest.name, n=MOST_APART))
    st.caption(" ".join(notes))


def _with_others(run: RunDetail, name: str) -> dict[str, str]:
    """The address of the chart of several runs, with the look that is chosen here."""
    look = {key: st.query_params[key] for key in PARAMETERS if key in st.query_params}
    return {"runs": str(run.id), "metric": name, **look}


def _machine(series: dict[str, MetricSeries]) -> None:
    """How busy the machine is, as far as the run has told."""
    if any(name in series for row in machine_metrics.PANELS for panel in row for name in panel.names):
        st.caption(t("Machine"))
        _grid(machine_metrics.PANELS, series, "machine")


def _none(run: RunDetail) -> None:
    stage = find_stage(run.stage)
    first = stage.charts.first_metrics if stage else mark("numbers")
    live = run.status not in RUN_ENDED
    st.info(
        t("No metrics yet; the first come with the first {what}.", what=t(first))
        if live
        else t("This run left no metrics."),
        icon=":material/show_chart:",
    )


def _chart(series: MetricSeries, *, key: str, height: int) -> None:
    name = series.name
    st.altair_chart(
        metric_chart(metric_frame(series), name, height=height),
        width="stretch",
        key=key,
        alt=t("Curves over steps of {metrics}; last value {value}", metrics=one_line(name), value=last_value(series)),
    )


def _apart(run: RunDetail, live: LiveRun, name: str, look: Look) -> list[MetricSeries]:
    """The newest attempts' curves of one metric under the attempts' names; of those that ended asked for once."""
    curves = []
    for number in range(max(1, run.num_attempts - MOST_APART), run.num_attempts + 1):
        moved = run.summary if number == run.num_attempts else None

        def ask(_: object, number: int = number) -> list[MetricSeries]:
            return api.client().metrics(
                run.id, name=name, attempt=number, max_points=MAX_POINTS,
                since=None if look.first is None else look.first - 1, until=look.last,
            ).series  # fmt: skip

        of_attempt = live.kept(("attempt", name, number, look.first, look.last), moved, ask)
        curves += [one.model_copy(update={"name": t("attempt {number}", number=number)}) for one in of_attempt]
    return curves


def _grid(rows: Sequence[Sequence[Panel]], series: dict[str, MetricSeries], key: str) -> None:
    """Rows of small charts, of each row those that have a curve."""
    for row in rows:
        panels = [panel for panel in row if any(name in series for name in panel.names)]
        if not panels:
            continue
        for column, panel in zip(st.columns([panel.width for panel in panels]), panels, strict=True):
            names = [name for name in panel.names if name in series]
            last = ", ".join(last_value(series[name]) for name in names)
            with column:
                st.markdown(f"**{t(panel.title)}**", help=t(panel.help))
                st.altair_chart(
                    curves_chart(curves_frame([series[name] for name in names]), names),
                    width="stretch",
                    key=f"{key}_{names[0]}",
                    alt=t("Curves over steps of {metrics}; last value {value}", metrics=", ".join(names), value=last),
                )


def last_value(series: MetricSeries) -> str:
    """`39.5 %`, `0.8312`: the newest value of a metric that has one."""
    value = series.values[-1]
    return percent(value) if is_share(series.name) else f"{value:,.4g}"
