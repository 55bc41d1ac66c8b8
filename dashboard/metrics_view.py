"""The curves of a run."""

import streamlit as st

from backend.schemas import RunDetail
from dashboard import api
from dashboard.charts import is_share, metric_chart, metric_frame, ordered_names
from dashboard.text import escape_markdown, percent
from memgen.contract.status import RUN_ENDED

REFRESH_SECONDS = 3
MAX_POINTS = 1000


def metrics_view(run: RunDetail) -> None:
    """One curve at a time, live while the run is."""
    live = run.status not in RUN_ENDED
    st.fragment(_curves, run_every=REFRESH_SECONDS if live else None)(run.id, live)


def _curves(run_id: int, live: bool) -> None:
    with api.part_errors():
        reply = api.client().metrics(run_id, max_points=MAX_POINTS)
        series = {one.name: one for one in reply.series if one.steps}
        if not series:
            st.info(
                "No metrics yet; the first come with the first answers." if live else "This run left no metrics.",
                icon=":material/show_chart:",
            )
            return
        names = ordered_names(list(series))
        name = st.selectbox("Metric", names, key="metric", width=360)
        chosen = series[name]
        last = percent(chosen.values[-1]) if is_share(name) else f"{chosen.values[-1]:,.4g}"
        st.altair_chart(
            metric_chart(metric_frame(chosen), name),
            width="stretch",
            key="metric_chart",
            alt=f"Curve of {name} over steps; last value {last}",
        )
        st.caption(f"Last value of {escape_markdown(name)}: **{escape_markdown(last)}** at step {chosen.steps[-1]:,}")
