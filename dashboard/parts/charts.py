"""Charts: DataFrame in, altair chart out; nothing else is read or changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import altair as alt
import numpy as np
import pandas as pd

from backend.api.schemas import MetricSeries
from dashboard.parts.catalogue import ENGLISH
from dashboard.parts.foreign_text import one_line
from dashboard.parts.language import language, t
from memgen.contract import machine_metrics
from memgen.contract.intervals import wilson
from memgen.contract.stages import STAGES

Over: TypeAlias = Literal["step", "epoch", "time"]
EPOCHS = "train/epoch"
"""The metric that says how many passes over the rows a training has made."""
_OF_STEPS = "eval/loss"  # measured between the steps of a training; the others belong to questions
_MANY_POINTS = 60
_LEAST_SPAN = 0.02  # of the largest value, from the bottom of an axis to its top
RAW = 0.25  # how much of a raw line is seen behind a smooth one
NUMBER = ".6~g"  # without a precision Vega makes 2.1e+2 of 210


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
    return name in machine_metrics.SHARES or any(name in stage.charts.shares for stage in STAGES)


def is_of_questions(name: str) -> bool:
    """Whether the metric is a share of the questions answered so far, whose number is the step."""
    return any(name in stage.charts.of_questions for stage in STAGES)


def step_title(name: str) -> str:
    """What a step of the metric is."""
    return t("questions answered") if name.startswith("eval/") and name != _OF_STEPS else t("step")


def curves_frame(series: Sequence[MetricSeries]) -> pd.DataFrame:
    """Columns `metric`, `step`, `value`, `time` (UTC) of several metrics below each other."""
    frames = [metric_frame(one).assign(metric=one.name) for one in series]
    empty = metric_frame(MetricSeries(name="", steps=[], values=[], times=[])).assign(metric="")
    return pd.concat(frames, ignore_index=True) if frames else empty


def curves_chart(frame: pd.DataFrame, names: Sequence[str], *, height: int = 180) -> alt.LayerChart:
    """Several metrics over the same steps, small, without axis titles; a legend where there are several.

    Args:
        frame: as `curves_frame` makes it.
        names: in the order of the colours; the first decides how values are written.
        height: of the drawing, in pixels.
    """
    share = is_share(names[0])
    scale = alt.Scale(domain=[0, 1]) if share else alt.Scale(domain=_span(frame["value"], len(names) > 1), nice=True)
    # inside: above it would take its height from the curves of this panel alone
    legend = alt.Legend(orient="top-right", direction="horizontal", title=None) if len(names) > 1 else None
    base = alt.Chart(frame).encode(
        x=alt.X("step:Q", title=None, axis=alt.Axis(format=",d", tickMinStep=1, tickCount=5, grid=False)),
        y=alt.Y("value:Q", title=None, axis=alt.Axis(format=".0%" if share else NUMBER, tickCount=5), scale=scale),
        color=alt.Color("metric:N", scale=alt.Scale(domain=list(names)), legend=legend),
    )
    tooltip = [
        alt.Tooltip("metric:N", title=t("metric")),
        alt.Tooltip("step:Q", title=t("step"), format=",d"),
        alt.Tooltip("value:Q", title=t("value"), format=".1%" if share else ".5~g"),
    ]
    # a metric that is measured now and then is a few points far apart: they are drawn, the many are not
    few = frame.groupby("metric")["step"].transform("size") <= _MANY_POINTS
    points = alt.Chart(frame[few]).mark_point(filled=True, size=28)
    chart: alt.LayerChart = (
        base.mark_line(interpolate="linear", strokeWidth=2)
        + points.encode(x="step:Q", y="value:Q", color="metric:N")
        + base.mark_point(filled=True, size=60, opacity=0).encode(tooltip=tooltip)
    ).properties(height=height)
    return chart


@dataclass(frozen=True)
class Look:
    """How a metric is looked at."""

    smoothing: float = 0.0
    """Weight of what came before, from 0 (none) to below 1; the raw line stays behind the smooth one."""
    over: Over = "step"
    """What the values stand over."""
    log: bool = False
    """Values on a logarithmic axis; those of 0 or less are left out."""
    first: int | None = None
    """Only steps from this one on."""
    last: int | None = None
    """Only steps up to this one."""

    def within(self, series: MetricSeries) -> MetricSeries:
        """The part of a series that lies between `first` and `last`."""
        rows = [
            row for row in zip(series.steps, series.values, series.times, strict=True)
            if (self.first is None or row[0] >= self.first) and (self.last is None or row[0] <= self.last)
        ]  # fmt: skip
        steps, values, times = ([row[place] for row in rows] for place in range(3))
        return MetricSeries(name=series.name, steps=steps, values=values, times=times)


def with_epochs(frame: pd.DataFrame, epochs: MetricSeries) -> pd.DataFrame:
    """The frame with a column `epoch`: the passes over the rows that had been made by each step.

    They grow in proportion to the steps, so those between two that were reported lie on the line between them.
    """
    return frame.assign(epoch=np.interp(frame["step"], [0, *epochs.steps], [0.0, *epochs.values]))


def metric_chart(frame: pd.DataFrame, name: str, look: Look = Look(), *, height: int = 300) -> alt.LayerChart:
    """One metric over its steps; of a share of the questions answered so far with its 95 % interval.

    Args:
        frame: as `metric_frame` makes it, or as `curves_frame` does, with the attempts' curves in its column `metric`;
            it has a column `epoch` where the look is over epochs.
        name: name of the metric; shares are drawn from 0 to 100 %.
        look: smoothing and axes.
        height: of the drawing, in pixels.
    """
    share, apart = is_share(name), "metric" in frame
    if look.log:
        frame = frame[frame["value"] > 0]
    frame = with_smooth(frame, look.smoothing)
    x = _places_axis(name, look)
    tooltip = [
        alt.Tooltip("step:Q", title=step_title(name), format=",d"),
        alt.Tooltip("value:Q", title=one_line(name), format=".1%" if share else ".5~g"),
        alt.Tooltip("time:T", title=t("time"), format="%Y-%m-%d %H:%M:%S"),
    ]
    colour = alt.Color("metric:N", legend=alt.Legend(orient="top-right", title=None)) if apart else alt.Undefined
    base = alt.Chart(frame).encode(x=x, color=colour)
    y = values_axis(frame, name, look)
    line = base.mark_line(interpolate="linear", strokeWidth=2, opacity=RAW if look.smoothing else 1).encode(y=y)
    # invisible points where there are many: the tooltip needs something to point at
    few = len(frame) <= _MANY_POINTS and not look.smoothing
    points = base.mark_point(filled=True, size=36, opacity=1 if few else 0).encode(y=y, tooltip=tooltip)
    layers = [line, points]
    if look.smoothing:
        layers.append(base.mark_line(interpolate="linear", strokeWidth=2.5).encode(y=alt.Y("smooth:Q", title=None)))
    if is_of_questions(name) and not apart:
        band = alt.Chart(with_interval(frame)).mark_area(opacity=0.15).encode(x=x, y=alt.Y("low:Q"), y2="high:Q")
        layers.insert(0, band)
    return alt.LayerChart(layer=layers, height=height)


def _places_axis(name: str, look: Look) -> alt.X:
    if look.over == "time":
        return alt.X("time:T", title=t("time"), axis=alt.Axis(grid=False, format=time_format()))
    scale = alt.Scale(zero=look.first is None, nice=True)
    if look.over == "epoch":
        return alt.X("epoch:Q", title=t("epoch"), axis=alt.Axis(tickCount=10, grid=False), scale=scale)
    steps = alt.Axis(format=",d", tickMinStep=1, tickCount=10, grid=False)
    return alt.X("step:Q", title=step_title(name), axis=steps, scale=scale)


def time_format() -> Any:
    """How the places of a time axis are written: without names of months and days where these would be English."""
    return alt.Undefined if language() == ENGLISH else "%m-%d %H:%M"


def values_axis(frame: pd.DataFrame, name: str, look: Look) -> alt.Y:
    """The upright axis of a metric whose values stand in the frame's column `value`."""
    axis = alt.Axis(format=".0%" if is_share(name) else NUMBER)
    if look.log:
        scale = alt.Scale(type="log", nice=True)
    elif is_share(name):
        scale = alt.Scale(domain=[0, 1])
    else:
        scale = alt.Scale(domain=_span(frame["value"]), nice=True)
    return alt.Y("value:Q", title=one_line(name), axis=axis, scale=scale)


def with_smooth(frame: pd.DataFrame, weight: float) -> pd.DataFrame:
    """The frame with a column `smooth`: means of the values so far, each weighing `weight` times the next one."""

    def smooth(values: pd.Series) -> pd.Series:
        return values.ewm(alpha=1 - weight).mean()

    apart = "metric" in frame and len(frame)
    values = frame.groupby("metric")["value"].transform(smooth) if apart else smooth(frame["value"])
    return frame.assign(smooth=values)


def with_interval(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with columns `low` and `high`: the 95 % interval of a share of `step` questions."""
    bounds = [wilson(value, step) for value, step in zip(frame["value"], frame["step"], strict=True)]
    return frame.assign(low=[low for low, _ in bounds], high=[high for _, high in bounds])


def _span(values: pd.Series, with_legend: bool = False) -> list[float]:
    """Lowest and highest value of an axis: noise in the last digits shall not fill its height."""
    if values.empty:
        return [0.0, 1.0]
    low, high = float(values.min()), float(values.max())
    least = _LEAST_SPAN * max(abs(low), abs(high)) or 1.0
    pad = max(0.0, least - (high - low)) / 2
    low, high = low - pad, high + pad
    return [low, high + (0.5 * (high - low) if with_legend else 0.0)]
