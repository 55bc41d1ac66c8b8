"""Several runs on one chart are pure functions of the backend's reply."""

from typing import Any

import pandas as pd
import pytest

from backend.api.schemas import CurvesOut
from dashboard.parts.charts import Look
from dashboard.parts.run_curves import CONFIG, EACH, band_frame, groupings, line_words, runs_chart, runs_frame

START = "2026-11-01T10:00:00Z"
STARTED = 1793527200.0  # the same in seconds


def run(run_id: int, values: dict[int, float] | None, **settings: str) -> dict[str, Any]:
    """A run with these values by step, a minute apart."""
    steps = list(values or {})
    points = {"name": "train/loss", "steps": steps, "values": list((values or {}).values()),
              "times": [STARTED + 60 * step for step in steps]}  # fmt: skip
    return {
        "id": run_id, "stage": "weaver_sft", "setting": "", "preset": "p", "data": "d", "note": "",
        "status": "succeeded", "started_at": START, "settings": settings, "series": None if values is None else points,
    }  # fmt: skip


def reply(*runs: dict[str, Any]) -> CurvesOut:
    """Curves of `train/loss`."""
    return CurvesOut.model_validate({"name": "train/loss", "names": ["train/loss"], "runs": runs, "missing": []})


SEEDS = reply(
    run(1, {1: 4.0, 2: 2.0, 3: 1.0}, seed="1", learning_rate="0.1"),
    run(2, {1: 6.0, 2: 4.0}, seed="2", learning_rate="0.1"),
    run(3, {1: 9.0, 3: 8.0}, seed="1", learning_rate="0.5"),
    run(4, None, seed="3", learning_rate="0.1"),
)


def test_runs_are_named_by_their_settings_and_grouped_by_all_but_the_seed_or_by_one() -> None:
    assert groupings(SEEDS) == {
        EACH: "nothing", CONFIG: "all settings but the seed", "seed": "Seed", "learning_rate": "Learning rate",
    }  # fmt: skip
    words = {by: [line_words(one, by) for one in SEEDS.runs[:3]] for by in (EACH, CONFIG, "seed")}
    assert words == {
        EACH: [
            "run 1, Seed 1, Learning rate 0.1", "run 2, Seed 2, Learning rate 0.1", "run 3, Seed 1, Learning rate 0.5",
        ],
        CONFIG: ["Learning rate 0.1", "Learning rate 0.1", "Learning rate 0.5"],
        "seed": ["Seed 1", "Seed 2", "Seed 1"],
    }  # fmt: skip
    assert line_words(reply(run(1, {}), run(2, {})).runs[0], CONFIG) == "all runs"


def test_points_stand_at_their_step_or_so_many_minutes_after_the_start_of_their_run() -> None:
    frame = runs_frame(SEEDS, Look(), EACH)
    assert frame["run"].tolist() == [1, 1, 1, 2, 2, 3, 3]
    assert frame["place"].tolist() == [1, 2, 3, 1, 2, 1, 3]
    assert runs_frame(SEEDS, Look(over="time"), EACH)["place"].tolist() == [1, 2, 3, 1, 2, 1, 3]
    assert runs_frame(SEEDS, Look(first=2), EACH)["step"].tolist() == [2, 3, 2, 3]
    assert runs_frame(SEEDS, Look(over="epoch"), EACH).empty


def test_band_has_the_mean_of_steps_that_two_runs_reported_and_a_run_alone_stays_as_it_is() -> None:
    means = band_frame(runs_frame(SEEDS, Look(), CONFIG), "range")
    rows = means[["metric", "step", "value", "low", "high", "runs"]].values.tolist()
    assert rows[:2] == [["Learning rate 0.1", 1, 5.0, 4.0, 6.0, 2], ["Learning rate 0.1", 2, 3.0, 2.0, 4.0, 2]]
    alone = means[means["metric"] == "Learning rate 0.5"]
    assert (alone["step"].tolist(), alone["value"].tolist()) == ([1, 3], [9.0, 8.0])
    assert alone["low"].isna().all() and alone["high"].isna().all()
    assert len(means) == 4  # of step 3 one run of two says nothing of the group


def test_deviation_is_that_of_a_sample() -> None:
    means = band_frame(runs_frame(SEEDS, Look(), CONFIG), "deviation")
    assert means.loc[0, ["low", "high"]].tolist() == pytest.approx([5 - 2**0.5, 5 + 2**0.5])


def test_chart_joins_points_by_straight_lines_and_its_axis_holds_the_bands() -> None:
    frame = runs_frame(SEEDS, Look(), CONFIG)
    lines = runs_chart(runs_frame(SEEDS, Look(), EACH), "train/loss", Look()).to_dict()["layer"]
    assert [layer["mark"]["type"] for layer in lines] == ["line", "point"]
    area, raw, smooth, _ = runs_chart(
        band_frame(frame, "deviation"), "train/loss", Look(smoothing=0.6)
    ).to_dict()["layer"]  # fmt: skip
    assert (area["mark"]["type"], area["encoding"]["y2"]["field"]) == ("area", "high")
    assert (raw["mark"]["opacity"], raw["mark"]["interpolate"], smooth["encoding"]["y"]["field"]) == (
        0.25,
        "linear",
        "smooth",
    )
    assert raw["encoding"]["y"]["scale"]["domain"] == pytest.approx([3 - 2**0.5, 9.0])


def test_band_that_reaches_below_0_ends_there_on_a_logarithmic_axis() -> None:
    low = reply(run(1, {1: 0.1}, seed="1"), run(2, {1: 4.0}, seed="2"))
    chart = runs_chart(band_frame(runs_frame(low, Look(), CONFIG), "deviation"), "train/loss", Look(log=True))
    (data,) = chart.to_dict()["datasets"].values()
    assert data[0]["low"] is None
    assert data[0]["high"] > 4


def test_nothing_to_draw_is_an_empty_frame() -> None:
    empty = band_frame(runs_frame(reply(run(1, None)), Look(), CONFIG), "range")
    assert isinstance(empty, pd.DataFrame) and empty.empty
