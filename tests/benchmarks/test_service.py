"""The service benchmark's own side on a small scale; MLflow is installed for the real thing alone."""

import json
from pathlib import Path

import pytest

from benchmarks.service import ours as own
from benchmarks.service.__main__ import SHARED, SHARED_BURSTS, free_port, measure_ours
from benchmarks.service.large import command, measure
from benchmarks.service.large.plan import GOAL_SECONDS, SMALL, Numbers, paths
from benchmarks.service.ours import Ours
from benchmarks.service.plan import FULL, POLLERS, REPORTERS, Scale, percentile

NAMES = {*paths(Numbers(1, 1, 1, 1, 1, 1, "m"))}


def test_every_figure_of_ours_is_measured_through_http(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, presets_file: Path
) -> None:
    monkeypatch.setattr(own, "LINES", 6)
    scale = Scale(runs=120, points_of_one=30_000, points=40_000, asked=3, seconds=0.5, queued=20)
    told: list[str] = []
    found = measure_ours(Ours(tmp_path, free_port(), scale), scale, told.append)
    bursts = {*SHARED_BURSTS, "burst", "burst_refused", "burst_stop", "burst_beat"}
    assert set(found) == {*SHARED, *bursts, "read_all_metrics", "submit", "print_to_api", "ingest", "locked"}
    assert all(value > 0 for key, value in found.items() if key not in ("locked", "burst_refused"))
    assert (found["locked"], found["burst_refused"]) == (0, 0)
    assert told == ["filling our database", "200 requests at once on each route"]


def test_sizes_are_those_to_hold() -> None:
    assert (FULL.runs, FULL.points_of_one, FULL.points) == (10_000, 10**6, 10**7)
    assert FULL.points_of_one + (FULL.runs - 1) * FULL.points_of_each == pytest.approx(FULL.points, rel=1e-3)
    assert (POLLERS, REPORTERS) == (20, 4)
    assert percentile([1.0]) == 1.0
    assert percentile([float(n) for n in range(101)]) == 95.0


def test_large_home_is_filled_once_and_every_list_is_measured(tmp_path: Path) -> None:
    told: list[str] = []
    file = tmp_path / "figures.json"
    figures = command.measure(SMALL, file, tmp_path, ["alone"], told.append)
    assert told[0].startswith("filling")
    assert json.loads(file.read_text()) == figures
    assert set(figures["alone"]) == NAMES
    assert all(one["seconds"] > 0 and one["bytes"] > 0 for one in figures["alone"].values())
    slow = {"seconds": GOAL_SECONDS + 0.001, "bytes": 1}
    assert command.missed({"alone": {"runs": slow, "a run": slow, "home": {"seconds": 0.01}}}) == ["runs takes 101 ms"]
    printed = command.table(figures)
    assert "| /runs by its slowest column |" in printed and "| home |" in printed


@pytest.mark.long
def test_crowds_around_a_large_home_are_measured_and_nothing_is_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "LOOK_SECONDS", 0.1)
    told: list[str] = []
    file = tmp_path / "figures.json"
    figures = command.measure(SMALL, file, tmp_path, [], told.append)
    assert set(figures["crowd"]) == NAMES | {"submission", "submission of a pipeline", "stop", "everybody"}
    assert figures["crowd"]["everybody"]["refused"] == 0
    assert figures["house"]["runs"] == pytest.approx(SMALL.runs, rel=0.2)
    assert (figures["house"]["deleted"], figures["house"]["locked"]) == (SMALL.deleted, 0)
    assert [list(figures[part]) for part in ("workers", "tabs")] == [[str(SMALL.workers)], [str(SMALL.tabs)]]
    assert command.measure(SMALL, file, tmp_path, ["alone"], told.append) == figures  # nothing is measured again
    assert f"| {SMALL.workers} |" in command.table(figures)
