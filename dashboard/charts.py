"""Charts: DataFrame in, altair chart out; nothing else is read or changed."""

import altair as alt
import pandas as pd

from backend.schemas import MetricSeries

SHARES = frozenset({"eval/accuracy", "eval/compute_reward", "eval/format_ok", "eval/truncated", "train/insert_rate"})
_MANY_POINTS = 60


def metric_frame(series: MetricSeries) -> pd.DataFrame:
    """Columns `step`, `value`, `time` (UTC) of one metric."""
    return pd.DataFrame(
        {
            "step": pd.Series(series.steps, dtype="int64"),
            "value": pd.Series(series.values, dtype="float64"),
            "time": pd.to_datetime(pd.Series(series.times, dtype="float64"), unit="s", utc=True),
        }
    )


def ordered_names(names: list[str]) -> list[str]:
    """`eval/accuracy` first, then the other results, training, and the machine last."""
    groups = {"eval": 0, "train": 1, "system": 3}
    return sorted(names, key=lambda name: (name != "eval/accuracy", groups.get(name.split("/")[0], 2), name))


def is_share(name: str) -> bool:
    """Whether the metric lies between 0 and 1 and reads best in percent."""
    return name in SHARES


def step_title(name: str) -> str:
    """What a step of the metric is."""
    return "questions answered" if name.startswith("eval/") else "step"


def metric_chart(frame: pd.DataFrame, name: str, *, height: int = 300) -> alt.Chart | alt.LayerChart:
    """One metric over its steps.

    Args:
        frame: as `metric_frame` makes it.
        name: name of the metric; shares are drawn from 0 to 100 %.
        height: of the drawing, in pixels.
    """
    share = is_share(name)
    y_axis = alt.Axis(format=".0%" if share else "~g")
    x_axis = alt.Axis(format=",d", tickMinStep=1, tickCount=10, grid=False)
    y_scale = alt.Scale(domain=[0, 1]) if share else alt.Scale(zero=False, nice=True)
    x = alt.X("step:Q", title=step_title(name), axis=x_axis, scale=alt.Scale(zero=True, nice=True))
    y = alt.Y("value:Q", title=name, axis=y_axis, scale=y_scale)
    tooltip = [
        alt.Tooltip("step:Q", title=step_title(name), format=",d"),
        alt.Tooltip("value:Q", title=name, format=".1%" if share else ".5~g"),
        alt.Tooltip("time:T", title="time", format="%Y-%m-%d %H:%M:%S"),
    ]
    base = alt.Chart(frame).encode(x=x, y=y)
    line = base.mark_line(interpolate="monotone", strokeWidth=2)
    # invisible points where there are many: the tooltip needs something to point at
    points = base.mark_point(filled=True, size=36, opacity=0 if len(frame) > _MANY_POINTS else 1).encode(
        tooltip=tooltip
    )
    chart: alt.LayerChart = (line + points).properties(height=height)
    return chart
