"""Charts are pure functions of a DataFrame."""

import pytest

from backend.api.schemas import MetricSeries
from dashboard.parts.charts import metric_chart, metric_frame, ordered_names


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
    line = metric_chart(metric_frame(series("eval/accuracy")), "eval/accuracy").to_dict()["layer"][0]
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


def test_points_are_drawn_only_where_few() -> None:
    def opacity(count: int) -> float:
        chart = metric_chart(metric_frame(series("train/loss", count)), "train/loss").to_dict()
        value: float = chart["layer"][1]["mark"]["opacity"]
        return value

    assert (opacity(10), opacity(500)) == (1, 0)
