"""One metric of several runs on one chart, by run or as a band per group: reply in, DataFrames and chart out."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import altair as alt
import pandas as pd

from backend.api.schemas import CurveRun, CurvesOut
from dashboard.parts.charts import (
    NUMBER,
    RAW,
    Look,
    is_share,
    metric_frame,
    step_title,
    values_axis,
    with_epochs,
    with_smooth,
)
from dashboard.parts.foreign_text import one_line
from dashboard.parts.language import mark, t
from dashboard.parts.text import as_utc
from memgen.contract.titles import title_of

Band: TypeAlias = Literal["range", "deviation"]
EACH, CONFIG, GROUP = "each", "config", "run_group"
SEED = "seed"
MOST_SETTINGS = 3  # of a run, in a legend
MINUTE = 60.0
LINES_BELOW_EACH_OTHER = 8  # in a legend; more take two columns
PLACES = {"step": mark("step"), "epoch": mark("epoch"), "time": mark("minutes since the start of the run")}
COLUMNS = ["metric", "run", "step", "value", "place"]


def groupings(reply: CurvesOut) -> dict[str, str]:
    """What curves can be grouped by, with the words for each: nothing, groups, all settings but the seed, or one."""
    settings = dict.fromkeys(name for run in reply.runs for name in run.settings)
    by_group = {GROUP: mark("group")} if any(run.group for run in reply.runs) else {}
    return {EACH: mark("nothing"), **by_group, CONFIG: mark("all settings but the seed")} | {
        name: title_of(name) for name in settings
    }


def line_words(run: CurveRun, by: str) -> str:
    """To which line of the chart a run belongs, plain text.

    Args:
        run: whose curve.
        by: a key of `groupings`.
    """
    if by == EACH:
        # runs of several stages have few settings in common: their names tell them apart
        apart = [run.title] if "stage" in run.settings else _settings(run, list(run.settings))[:MOST_SETTINGS]
        return one_line(", ".join([t("run {number}", number=run.id), *apart]))
    if by == GROUP:
        return one_line(run.group or t("no group"))
    names = [name for name in run.settings if name != SEED] if by == CONFIG else [by]
    return one_line(", ".join(_settings(run, names)) or t("all runs"))


def _settings(run: CurveRun, names: Sequence[str]) -> list[str]:
    """In words, those that the run has."""
    return [f"{t(title_of(name))} {run.settings[name]}" for name in names if run.settings.get(name)]


def runs_frame(reply: CurvesOut, look: Look, by: str) -> pd.DataFrame:
    """The points of all curves below each other, under the names of their lines.

    Returns:
        Columns `metric` (the line), `run`, `step`, `value`, and `place`: the step, the epoch, or the minutes since the
        run's start. A run that tells no epochs has no points over them.
    """
    frames = []
    for run in reply.runs:
        if run.series is None or (look.over == "epoch" and run.epochs is None):
            continue
        frame = metric_frame(look.within(run.series)).assign(metric=line_words(run, by), run=run.id)
        if look.over == "epoch" and run.epochs is not None:
            place = with_epochs(frame, run.epochs)["epoch"]
        elif look.over == "time":
            start = as_utc(run.started_at) if run.started_at else frame["time"].min()
            place = (frame["time"] - start).dt.total_seconds() / MINUTE
        else:
            place = frame["step"].astype(float)
        frames.append(frame.assign(place=place)[COLUMNS])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=COLUMNS)


def band_frame(frame: pd.DataFrame, band: Band) -> pd.DataFrame:
    """Mean and band of each line at the steps that at least two of its runs reported; of one run the run itself.

    Args:
        frame: as `runs_frame` makes it.
        band: from the lowest to the highest value, or one standard deviation to either side of the mean.

    Returns:
        Columns `metric`, `step`, `place`, `value` (the mean), `low`, `high` (None where there is no band), `runs`.
    """
    size = frame.groupby("metric")["run"].transform("nunique") if len(frame) else frame["run"]
    at_steps = frame.assign(alone=size == 1).groupby(["metric", "step"], sort=True)
    means = at_steps.agg(
        place=("place", "mean"), value=("value", "mean"), low=("value", "min"), high=("value", "max"),
        deviation=("value", "std"), runs=("run", "nunique"), alone=("alone", "first"),
    ).reset_index()  # fmt: skip
    means = means[(means["runs"] > 1) | means["alone"].astype(bool)]
    if band == "deviation":
        means = means.assign(low=means["value"] - means["deviation"], high=means["value"] + means["deviation"])
    means = means.assign(**{end: means[end].where(means["runs"] > 1) for end in ("low", "high")})
    return means[["metric", "step", "place", "value", "low", "high", "runs"]].reset_index(drop=True)


def runs_chart(frame: pd.DataFrame, name: str, look: Look, *, height: int = 420) -> alt.LayerChart:
    """A line for each run or group, a group's with its band.

    Args:
        frame: as `runs_frame` makes it, or `band_frame`.
        name: of the metric.
        look: smoothing and axes.
        height: of the drawing, in pixels.
    """
    frame = with_smooth(frame[frame["value"] > 0] if look.log else frame, look.smoothing)
    grouped, share = "low" in frame, is_share(name)
    if grouped and look.log:
        frame = frame.assign(low=frame["low"].where(frame["low"] > 0))
    drawn = pd.concat([frame[column].dropna() for column in (("value", "low", "high") if grouped else ("value",))])
    y = values_axis(drawn.to_frame("value"), name, look)
    over_steps = look.over == "step"
    axis = alt.Axis(format=",d" if over_steps else NUMBER, tickMinStep=1 if over_steps else 0, tickCount=10, grid=False)
    title = step_title(name) if over_steps else t(PLACES[look.over])
    x = alt.X("place:Q", title=title, axis=axis, scale=alt.Scale(zero=look.first is None, nice=True))
    lines = list(dict.fromkeys(frame["metric"]))
    columns = 1 if len(lines) <= LINES_BELOW_EACH_OTHER else 2
    legend = alt.Legend(
        orient="bottom", direction="vertical", columns=columns, title=None, labelLimit=420, symbolLimit=0,
        symbolOpacity=1,
    )  # fmt: skip
    base = alt.Chart(frame).encode(x=x, color=alt.Color("metric:N", scale=alt.Scale(domain=lines), legend=legend))
    written = ".1%" if share else ".5~g"
    tooltip = [
        alt.Tooltip("metric:N", title=t("runs") if grouped else t("run")),
        alt.Tooltip("step:Q", title=step_title(name), format=",d"),
        alt.Tooltip("value:Q", title=t("mean") if grouped else one_line(name), format=written),
    ]
    if grouped:
        ends = [alt.Tooltip(f"{end}:Q", title=t(end), format=written) for end in (mark("low"), mark("high"))]
        tooltip += [*ends, alt.Tooltip("runs:Q", title=t("runs with a value"))]
    elif not over_steps:
        tooltip.append(alt.Tooltip("place:Q", title=t(PLACES[look.over]), format=NUMBER))
    layers = (
        [base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q", title=None, scale=alt.Scale(zero=False)), y2="high:Q")]
        if grouped
        else []
    )
    layers.append(base.mark_line(interpolate="linear", strokeWidth=2, opacity=RAW if look.smoothing else 1).encode(y=y))
    if look.smoothing:
        layers.append(base.mark_line(interpolate="linear", strokeWidth=2.5).encode(y=alt.Y("smooth:Q", title=None)))
    layers.append(base.mark_point(filled=True, size=40, opacity=0).encode(y=y, tooltip=tooltip))
    return alt.LayerChart(layer=layers, height=height)
