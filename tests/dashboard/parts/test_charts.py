"""Charts are pure functions of a DataFrame."""

from typing import Any

import pytest

from backend.api.schemas import MetricSeries
from dashboard.parts.charts import (
    Look,
    curves_frame,
    metric_chart,
    metric_frame,
    ordered_names,
    with_epochs,
    with_interval,
    with_smooth,
)


def series(name: str, count: int = 3) -> MetricSeries:
    """A metric of `count` points."""
    steps = list(range(8, 8 * count + 1, 8))
    return MetricSeries(name=name, steps=steps, values=[0.5] * count, times=[1.8e9 + step for step in steps])


def test_frame_has_steps_values_and_utc_times() -> None:
    frame = metric_frame(series("eval/accuracy"))
    assert list(frame.columns) == ["step", "value", "time"]
    assert frame["step"].tolist() == [8, 16, 24]
    assert str(frame["time"].dt.tz) == "UTC"


def test_frame_of_no_points_is_empty() -> None:
    assert metric_frame(MetricSeries(name="x", steps=[], values=[], times=[])).empty


def test_accuracy_comes_first_and_the_machine_last() -> None:
    names = ["system/gpu_memory", "train/loss", "eval/truncated", "other", "eval/accuracy"]
    assert ordered_names(names) == [
        "eval/accuracy",
        "eval/truncated",
        "train/loss",
        "other",
        "system/gpu_memory",
    ]


def test_share_is_drawn_from_0_to_100_percent() -> None:
    line = metric_chart(metric_frame(series("eval/accuracy")), "eval/accuracy").to_dict()["layer"][1]
    assert line["encoding"]["y"]["scale"]["domain"] == [0, 1]
    assert line["encoding"]["y"]["axis"]["format"] == ".0%"
    assert line["encoding"]["x"]["title"] == "questions answered"


@pytest.mark.parametrize(
    ("values", "domain"),
    [
        ([2.0, 3.5, 1.0], [1.0, 3.5]),
        ([8.343, 8.347], [8.26153, 8.42847]),  # noise in the last digits does not fill the height
        ([0.5, 0.5], [0.495, 0.505]),
        ([0.0, 0.0], [-0.5, 0.5]),
    ],
)
def test_other_metrics_fit_their_values(values: list[float], domain: list[float]) -> None:
    points = series("train/loss", len(values)).model_copy(update={"values": values})
    line = metric_chart(metric_frame(points), "train/loss").to_dict()["layer"][0]
    assert line["encoding"]["y"]["scale"]["domain"] == pytest.approx(domain)
    assert line["encoding"]["x"]["title"] == "step"
    assert line["mark"]["interpolate"] == "linear"


def test_metric_without_points_has_an_axis() -> None:
    line = metric_chart(metric_frame(series("train/loss", 0)), "train/loss").to_dict()["layer"][0]
    assert line["encoding"]["y"]["scale"]["domain"] == [0, 1]


def layers(name: str, look: Look, values: list[float] | None = None) -> list[dict[str, Any]]:
    """What is drawn of a metric, from behind to the front."""
    points = series(name, len(values) if values else 3)
    points = points.model_copy(update={"values": values}) if values else points
    drawn: list[dict[str, Any]] = metric_chart(metric_frame(points), name, look).to_dict()["layer"]
    return drawn


def test_running_accuracy_has_its_interval_behind_it() -> None:
    band = layers("eval/accuracy", Look())[0]
    assert (band["mark"]["type"], band["encoding"]["y2"]["field"]) == ("area", "high")
    frame = with_interval(metric_frame(series("eval/accuracy")))
    assert frame.loc[0, ["low", "high"]].tolist() == pytest.approx([0.2152, 0.7848], abs=1e-4)
    for name in ("eval/insert_rate", "train/loss"):
        assert layers(name, Look())[0]["mark"]["type"] == "line"


def test_smooth_line_stands_before_the_raw_one() -> None:
    raw, points, smooth = layers("train/loss", Look(smoothing=0.9))
    assert (raw["mark"]["opacity"], points["mark"]["opacity"]) == (0.25, 0)
    assert (smooth["mark"]["type"], smooth["encoding"]["y"]["field"]) == ("line", "smooth")
    frame = metric_frame(series("train/loss").model_copy(update={"values": [0.0, 1.0, 1.0]}))
    assert with_smooth(frame, 0.5)["smooth"].tolist() == pytest.approx([0, 2 / 3, 6 / 7])
    assert with_smooth(frame, 0.0)["smooth"].tolist() == [0, 1, 1]
    assert with_smooth(frame.iloc[:0], 0.5).empty


def test_attempts_are_smoothed_apart_and_have_a_legend() -> None:
    both = curves_frame([series("x").model_copy(update={"name": f"attempt {n}", "values": [n] * 3}) for n in (1, 2)])
    assert with_smooth(both, 0.9)["smooth"].tolist() == [1, 1, 1, 2, 2, 2]
    line = metric_chart(both, "train/loss").to_dict()["layer"][0]
    assert line["encoding"]["color"]["field"] == "metric"


def test_logarithmic_axis_leaves_out_what_has_no_place_on_it() -> None:
    points = series("train/loss").model_copy(update={"values": [0.0, 0.1, 10.0]})
    chart = metric_chart(metric_frame(points), "train/loss", Look(log=True)).to_dict()
    assert chart["layer"][0]["encoding"]["y"]["scale"]["type"] == "log"
    (data,) = chart["datasets"].values()
    assert [row["value"] for row in data] == [0.1, 10.0]


def test_metric_is_drawn_over_the_time_of_day() -> None:
    line = layers("train/loss", Look(over="time"))[0]
    assert (line["encoding"]["x"]["field"], line["encoding"]["x"]["type"]) == ("time", "temporal")


def test_points_are_drawn_only_where_few() -> None:
    def opacity(count: int) -> float:
        chart = metric_chart(metric_frame(series("train/loss", count)), "train/loss").to_dict()
        value: float = chart["layer"][1]["mark"]["opacity"]
        return value

    assert (opacity(10), opacity(500)) == (1, 0)


def test_metric_is_drawn_over_epochs_that_lie_between_those_that_were_reported() -> None:
    epochs = MetricSeries(name="train/epoch", steps=[8, 24], values=[0.5, 1.5], times=[0.0, 0.0])
    frame = with_epochs(metric_frame(series("eval/loss", 3)), epochs)
    assert frame["epoch"].tolist() == [0.5, 1.0, 1.5]
    line = metric_chart(frame, "eval/loss", Look(over="epoch")).to_dict()["layer"][0]
    assert (line["encoding"]["x"]["field"], line["encoding"]["x"]["title"]) == ("epoch", "epoch")
    before_the_first = metric_frame(MetricSeries(name="eval/loss", steps=[0, 4], values=[2.0, 1.5], times=[0, 1]))
    assert with_epochs(before_the_first, epochs)["epoch"].tolist() == [0.0, 0.25]


def test_range_keeps_the_steps_at_its_ends_and_its_axis_does_not_begin_at_0() -> None:
    points = series("train/loss", 5)
    for first, last, steps in ((16, 32, [16, 24, 32]), (None, 8, [8]), (33, None, [40]), (41, None, [])):
        assert Look(first=first, last=last).within(points).steps == steps
    zero = [layers("train/loss", Look(first=first))[0]["encoding"]["x"]["scale"]["zero"] for first in (None, 16)]
    assert zero == [True, False]
