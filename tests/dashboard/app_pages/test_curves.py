"""Several runs on one chart: from a run, from the list, and by the address."""

import pytest

from dashboard.parts.curves_view import REFRESH_SECONDS
from tests.dashboard.pages import open_page, said, shown
from tests.dashboard.studio import SFT, Studio, links, metric


@pytest.fixture
def four(studio: Studio) -> Studio:
    """Trainings 1 to 3 of two settings, and an evaluation, run 4."""
    for seed, rate, values in ((1, 0.001, (4.0, 2.0)), (2, 0.001, (6.0, 4.0)), (1, 0.01, (9.0, 8.0))):
        epochs = metric("train/epoch", 0.5, 1.0)
        studio.trained(SFT, *metric("train/loss", *values), *epochs, seed=seed, learning_rate=rate, note=f"rate {rate}")
    studio.evaluated(True, False)
    return studio


def test_chart_of_the_address_asks_once_and_offers_runs_that_have_the_metric(four: Studio) -> None:
    app = open_page("curves", runs="1,3", metric="train/loss")
    assert len(app.get("vega_lite_chart")) == 1
    assert four.wire.query("/curves") == {"runs": "1,3", "name": "train/loss", "max_points": "1000"}
    assert four.wire.query("/runs")["metric"] == "train/loss"
    options = app.multiselect(key="curves_runs").options
    assert [option.split(" · ")[0] for option in options] == ["run 1", "run 3", "run 2"]
    app.multiselect(key="curves_runs").set_value([1, 3, 2]).run()
    assert app.query_params["runs"] in ("1,3,2", ["1,3,2"])
    assert four.wire.query("/curves")["runs"] == "1,3,2"


def test_search_for_runs_is_done_where_they_are_stored(four: Studio) -> None:
    app = open_page("curves", runs="1", metric="train/loss")
    app.text_input(key="curves_text").set_value("rate 0.01").run()
    assert (four.wire.query("/runs")["text"], four.wire.query("/runs")["metric"]) == ("rate 0.01", "train/loss")
    assert [option.split(" · ")[0] for option in app.multiselect(key="curves_runs").options] == ["run 1", "run 3"]


def test_groups_are_offered_by_the_settings_that_differ_and_stay_in_the_address(four: Studio) -> None:
    app = open_page("curves", runs="1,2,3", metric="train/loss", group="config", band="deviation", over="epoch")
    group = app.selectbox(key="curves_group")
    assert group.options[:4] == ["nothing", "all settings but the seed", "Seed", "Learning rate"]
    assert (group.value, app.session_state["curves_band"], app.session_state["curves_over"]) == (
        "config",
        "deviation",
        "epoch",
    )
    assert four.wire.query("/curves")["epochs"] == "true"
    assert "at least two of its runs" in said(app)
    app.selectbox(key="curves_group").select("each").run()
    assert "group" not in app.query_params
    assert "at least two" not in said(app)


def test_run_that_is_gone_and_run_without_the_metric_are_said(four: Studio) -> None:
    app = open_page("curves", runs="1,4,99", metric="train/loss")
    assert "no run 99" in said(app)
    assert "Run 4 reported no train/loss" in said(app)
    app = open_page("curves", runs="4", metric="train/loss")  # which it does not have: what it has is drawn
    assert "None of these runs has reported a metric yet" in shown(app)


def test_metric_that_no_run_has_gives_way_to_one_that_they_have(four: Studio) -> None:
    app = open_page("curves", runs="1,2", metric="train/reward")
    assert app.selectbox(key="curves_metric").value == "train/loss"
    assert len(app.get("vega_lite_chart")) == 1


def test_rerun_asks_for_curves_and_candidates_alone_and_live_runs_are_drawn_again(
    four: Studio, intervals: list[float]
) -> None:
    app = open_page("curves", runs="1,2", metric="train/loss")
    assert REFRESH_SECONDS not in intervals
    four.wire.asked.clear()
    app.number_input(key="curves_first_step").set_value(2).run()
    assert sorted(four.wire.paths()) == ["GET /curves", "GET /health", "GET /runs"]
    assert four.wire.query("/curves")["since"] == "1"
    four.claimed(**SFT).say(*metric("train/loss", 3.0))
    open_page("curves", runs="1,5", metric="train/loss")
    assert REFRESH_SECONDS in intervals


def test_run_page_leads_to_the_chart_with_its_metric_and_look(four: Studio) -> None:
    app = open_page("run", run="1", tab="Metrics", metric="train/loss", smoothing="much")
    assert links(app)["Add a run"] == "runs=1&metric=train%2Floss&smoothing=much"


def test_nothing_chosen_says_what_to_do(studio: Studio) -> None:
    assert "Choose the runs" in shown(open_page("curves"))
