"""The curves of a run: of a training those that matter at a glance, and any metric by its name."""

import streamlit as st

from backend.api.schemas import MetricSeries, RunDetail
from dashboard.parts import api
from dashboard.parts.charts import curves_chart, curves_frame, is_share, metric_chart, metric_frame, ordered_names
from dashboard.parts.foreign_text import escape_markdown, one_line
from dashboard.parts.text import percent
from memgen.contract.stages import find_stage
from memgen.contract.status import RUN_ENDED

REFRESH_SECONDS = 3
MAX_POINTS = 1000


def metrics_view(run: RunDetail) -> None:
    """The charts of a training, then one curve at a time; live while the run is."""
    live = run.status not in RUN_ENDED
    st.fragment(_curves, run_every=REFRESH_SECONDS if live else None)(run.id, run.stage, live)


def _curves(run_id: int, stage: str, live: bool) -> None:
    with api.part_errors():
        reply = api.client().metrics(run_id, max_points=MAX_POINTS)
        series = {one.name: one for one in reply.series if one.steps}
        if not series:
            known = find_stage(stage)
            first = known.charts.first_metrics if known else "numbers"
            st.info(
                f"No metrics yet; the first come with the first {first}." if live else "This run left no metrics.",
                icon=":material/show_chart:",
            )
            return
        _grid(stage, series)
        names = ordered_names(list(series))
        if st.session_state.get("metric") not in names:  # left by the run shown before
            st.session_state.pop("metric", None)
        name = st.selectbox("Metric", names, key="metric", width=360, format_func=one_line)
        chosen = series[name]
        last = last_value(chosen)
        st.altair_chart(
            metric_chart(metric_frame(chosen), name),
            width="stretch",
            key="metric_chart",
            alt=f"Curve of {one_line(name)} over steps; last value {last}",
        )
        st.caption(f"Last value of {escape_markdown(name)}: **{escape_markdown(last)}** at step {chosen.steps[-1]:,}")


def _grid(stage: str, series: dict[str, MetricSeries]) -> None:
    known = find_stage(stage)
    for row in known.charts.panels if known else ():
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
                    key=f"panel_{names[0]}",
                    alt=f"Curve of {' and '.join(names)} over steps; last value {last}",
                )


def last_value(series: MetricSeries) -> str:
    """`39.5 %`, `0.8312`: the newest value of a metric that has one."""
    value = series.values[-1]
    return percent(value) if is_share(series.name) else f"{value:,.4g}"
