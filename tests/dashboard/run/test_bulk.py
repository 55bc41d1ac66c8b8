"""The list of runs in an order, and what is done with the runs that are ticked in it."""

from streamlit.testing.v1 import AppTest

from dashboard.parts.bulk_dialogs import ASKED
from tests.dashboard.pages import button_keys, open_page, said
from tests.dashboard.studio import Studio

TABLE = "runs_table"


def shown_runs(app: AppTest) -> list[int]:
    numbers: list[int] = app.dataframe[0].value["run"].tolist()
    return numbers


def sort_of(app: AppTest) -> list[str]:
    """The order in the address; one that the script has written is not in a list yet."""
    given = app.query_params.get("sort", [])
    return [given] if isinstance(given, str) else list(given)


def tick(app: AppTest, *runs: int) -> AppTest:
    """Tick rows, as the browser tells it."""
    rows = [shown_runs(app).index(run) for run in runs]
    app.session_state[TABLE] = {"selection": {"rows": rows, "columns": []}}
    return app.run()


def test_order_of_the_address_is_asked_for_and_turned_round(studio: Studio) -> None:
    studio.evaluated(True, False)
    studio.evaluated(True, True)
    studio.failed()
    app = open_page("runs", sort="-accuracy")
    assert shown_runs(app) == [2, 1, 3]
    assert app.selectbox(key="runs_order_column").value == "accuracy"
    app.button(key="runs_order_turn").click().run()
    assert (shown_runs(app), sort_of(app)) == ([1, 2, 3], ["accuracy"])
    app.selectbox(key="runs_order_column").select("model").run()
    assert sort_of(app) == ["model"]  # words rise
    app.selectbox(key="runs_order_column").set_value(None).run()
    assert (shown_runs(app), sort_of(app)) == ([3, 2, 1], [])
    assert shown_runs(open_page("runs", sort="-loss")) == [3, 2, 1]  # what no list can be sorted by


def test_header_that_is_clicked_sorts_and_ticked_rows_stay_ticked(studio: Studio) -> None:
    for right in (1, 3, 2):
        studio.evaluated(*[True] * right, *[False] * (4 - right))
    app = tick(open_page("runs"), 3, 1)
    app.session_state["runs_order"] = "-accuracy"
    app.run()
    assert shown_runs(app) == [2, 3, 1]
    assert app.session_state[TABLE]["selection"]["rows"] == [1, 2]
    assert "**2 selected**" in said(app)


def test_run_that_comes_meanwhile_does_not_move_the_ticks(studio: Studio) -> None:
    first, _ = studio.failed(), studio.failed()
    app = tick(open_page("runs"), first)
    studio.failed()
    app.run()
    assert app.session_state[TABLE]["selection"]["rows"] == [2]


def test_longer_list_has_pages_of_one_request_each(studio: Studio) -> None:
    studio.many(120)
    app = open_page("runs")
    assert shown_runs(app) == list(range(120, 70, -1))
    app.button(key="runs_next").click().run()
    assert shown_runs(app) == list(range(70, 20, -1))
    assert "51 to 100 of 120" in said(app)
    studio.wire.asked.clear()
    app.run()
    assert sorted(studio.wire.paths()) == ["GET /health", "GET /runs"]
    app.button(key="runs_previous").click().run()
    assert shown_runs(app)[0] == 120
    app.segmented_control[0].select(200).run()
    assert len(shown_runs(app)) == 120


def test_ticked_evaluations_are_compared(studio: Studio) -> None:
    runs = [studio.evaluated(True), studio.evaluated(False), studio.failed()]
    app = tick(open_page("runs"), *runs)
    assert not app.button(key="bulk_compare").disabled
    assert app.button(key="bulk_compare").label == "Compare 2"
    assert app.button(key="bulk_stop").disabled
    tick(app, runs[0], runs[2])
    assert app.button(key="bulk_compare").disabled


def ask(app: AppTest, what: str) -> AppTest:
    """Press a button of the bar, whose dialog is drawn by the page."""
    app.button(key=f"bulk_{what}").click().run()
    assert not app.exception
    return app


def test_runs_are_stopped_after_their_numbers_were_shown(studio: Studio) -> None:
    running, ended = studio.claimed().run_id, studio.failed()
    queued = studio.submit()
    app = ask(tick(open_page("runs"), running, ended, queued), "stop")
    text = said(app)
    assert f"**1 run** ends at its next step and keeps what is done: {running}" in text
    assert f"**1 run** leaves the queue: {queued}" in text
    assert f"run {ended}: run {ended} is failed already" in text
    assert studio.run(queued)["status"] == "queued"
    assert app.button(key="confirm_bulk_stop").label == "Stop 2 runs"
    app.button(key="confirm_bulk_stop").click().run()
    assert not app.exception
    assert [studio.run(run)["status"] for run in (running, queued)] == ["stopping", "cancelled"]
    assert ASKED not in app.session_state


def test_runs_are_deleted_after_their_numbers_were_shown_or_kept(studio: Studio) -> None:
    ended, other, queued = studio.failed(), studio.failed(), studio.submit()
    app = ask(tick(open_page("runs"), ended, other, queued), "delete")
    assert f"**Each of 2 runs** goes with its files: {queued - 1}, {queued - 2}" in said(app)
    app.button(key="cancel_bulk_delete").click().run()
    assert "confirm_bulk_delete" not in button_keys(app)
    ask(app, "delete").button(key="confirm_bulk_delete").click().run()
    assert not app.exception
    assert [run["id"] for run in studio.get("/runs")["items"]] == [queued]
