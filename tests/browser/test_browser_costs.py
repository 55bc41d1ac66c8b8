"""What pages of a large home cost: requests at the backend, bytes of its replies and bytes that the browser gets."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from benchmarks.dashboard.home import filled
from benchmarks.dashboard.house import open_house
from benchmarks.dashboard.measure import Bench, missed
from benchmarks.dashboard.plan import EMPTY, GOAL_REQUESTS, LIVE, PAGES, TABS, Scale
from benchmarks.dashboard.visitor import Visitor
from tests.warm_python import warm_python

SCALE = Scale(runs=1000, points=100_000, log_bytes=5_000_000, answers=200, rounds=1, seconds=6.0, tabs=6)
KB = 1000
MOST_OPENED = {"requests": 8, "reply_bytes": 400 * KB, "browser_bytes": 300 * KB}
MOST_ANEW = {"rerun_requests": 3, "rerun_reply_bytes": 300 * KB, "rerun_browser_bytes": 120 * KB}
FEW = ("runs", "1,319 answers", "launch")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Bench]:
    """Somebody who looks at the pages of a large home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        folder = tmp_path_factory.mktemp("costs")
        numbers = filled(folder / "home", SCALE)
        with open_house(folder / "home", warm_python()) as house:
            context = browser.new_context(viewport={"width": 1400, "height": 900})
            yield Bench(house, Visitor(house, context), numbers, SCALE, {}, folder / "figures.json")
            context.close()


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(FEW, id="few"),
        pytest.param(tuple(name for name in PAGES if name not in FEW), id="others", marks=pytest.mark.long),
    ],
)
def test_page_of_a_large_home_asks_for_little(bench: Bench, names: tuple[str, ...]) -> None:
    for name in names:
        cost = bench.visitor.cost(PAGES[name], bench.numbers)
        too_much = {key: cost[key] for key, most in (MOST_OPENED | MOST_ANEW).items() if cost[key] > most}
        assert not too_much, f"{name}: {cost}"
        assert cost["requests"] >= 1
        assert cost["browser_bytes"] > 0


@pytest.mark.long
def test_tabs_on_a_live_run_share_what_they_ask_for(bench: Bench) -> None:
    bench.tabs()
    tabs = bench.figures["tabs"]
    assert tabs["tabs"] == SCALE.tabs > len(TABS)
    assert 0 < tabs["requests"] <= GOAL_REQUESTS
    assert missed(bench.figures) == []
    assert json.loads(bench.file.read_text())["tabs"] == tabs
    assert set(LIVE) >= set(TABS)


def test_page_without_anything_live_asks_for_nothing_by_itself(bench: Bench) -> None:
    for name in ("runs", "compare"):
        assert bench.visitor.left_alone(PAGES[name], bench.numbers, SCALE.seconds)["requests"] == 0, name


def test_figures_are_in_the_file_as_soon_as_they_are_measured_and_are_not_measured_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.dashboard.measure.PAGES", {"home": PAGES["home"], "empty": EMPTY})
    bench.paint()
    there = json.loads(bench.file.read_text())["paint"]
    assert set(there) == {"home", "empty"}
    assert there["home"]["ratio"] == pytest.approx(there["home"]["seconds"] / there["home"]["empty_seconds"])
    monkeypatch.setattr(Bench, "_paint", lambda *_: pytest.fail("measured again"))
    bench.paint()
    assert missed({"paint": {"slow": {"ratio": 2.5}}, "tabs": {"tabs": 20, "requests": 61}}) == [
        "slow takes 2.50 of an empty page",
        "20 tabs on a live run send 61 requests a minute",
    ]
