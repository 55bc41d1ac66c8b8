"""The page of the lineage: picture, search, what was chosen, table."""

import json
from typing import Any

from streamlit.testing.v1 import AppTest

from dashboard.lineage.picture import CHOSEN
from dashboard.lineage.table import lineage_frame
from tests.dashboard.lineage.nodes import node
from tests.dashboard.pages import open_page, said, shown
from tests.dashboard.studio import Studio, links


def option(app: AppTest) -> dict[str, Any]:
    """What the picture is drawn of."""
    drawn: dict[str, Any] = json.loads(app.get("echarts_chart")[0].proto.spec)
    return drawn


def names(app: AppTest) -> list[str]:
    """First lines of what is drawn, in its order."""
    return [one["name"].split("\n")[0] for one in option(app)["series"][0]["data"]]


def test_table_says_descent_and_attempts() -> None:
    attempts = [{"number": 2, "status": "running", "cause": None}, {"number": 1, "status": "lost", "cause": "lost"}]
    frame = lineage_frame([node(2), node(3, 2, attempts=attempts), node(5, 4, parent_deleted=True), node(7, 6)])
    assert frame["from"].tolist() == ["base model", "run 2", "run 4 (deleted)", "run 6"]
    assert frame["attempts"].tolist() == ["1", "2: lost, running", "1", "1"]


def test_page_draws_the_family_of_a_run_with_the_run_chosen(studio: Studio) -> None:
    studio.evaluated(True)
    weaver = studio.trained(note='<b> "x"')
    studio.evaluated(True, setting="weaver", checkpoint=str(weaver))
    app = open_page("lineage", run="3")
    assert "Lineage of run 3" in shown(app)
    assert studio.wire.query("/lineage")["run"] == "3"
    assert names(app) == ["SmolLM2-135M-Instruct", "2 · weaver_sft", "3 · evaluate, weaver"]
    assert option(app)["series"][0]["data"][1]["name"].endswith('\n<b> "x"')
    assert app.dataframe[0].value["run"].tolist() == [2, 3]
    assert "3 · evaluate, weaver" in said(app)
    assert links(app)["Open run 3"] == "run=3"


def test_search_leads_from_match_to_match_and_filters_the_table(studio: Studio) -> None:
    studio.evaluated(True, note="sweep a")
    studio.evaluated(True, note="other")
    studio.evaluated(True, note="sweep b")
    app = open_page("lineage")
    app.text_input(key="lineage_find").set_value("sweep").run()
    assert "1 of 2" in shown(app)
    assert "**3 · evaluate, base**" in said(app)
    assert app.dataframe[0].value["run"].tolist() == [3, 1]
    app.button(key="lineage_after").click().run()
    assert "2 of 2" in shown(app)
    assert "**1 · evaluate, base**" in said(app)
    app.button(key="lineage_after").click().run()
    assert "**3 · evaluate, base**" in said(app)
    app.text_input(key="lineage_find").set_value("nothing like it").run()
    assert "Nothing has all of these words" in shown(app)


def test_search_of_the_address_is_made(studio: Studio) -> None:
    studio.evaluated(True, note="sweep a")
    studio.evaluated(True)
    app = open_page("lineage", find="sweep")
    assert app.text_input(key="lineage_find").value == "sweep"
    assert app.dataframe[0].value["run"].tolist() == [1]


def test_branch_from_a_checkpoint_opens_the_forms_of_what_may_come_next(studio: Studio) -> None:
    weaver = studio.trained()
    app = open_page("lineage", run=str(weaver))
    queries = {link.proto.query_string for link in app.get("page_link") if "checkpoint=" in link.proto.query_string}
    assert f"what=trigger_grpo&checkpoint={weaver}" in queries
    assert f"what=weaver_eval&checkpoint={weaver}" in queries


def test_note_is_changed_beside_the_picture(studio: Studio) -> None:
    studio.evaluated(True, note="before")
    app = open_page("lineage", run="1")
    app.text_input(key="note_of_1").set_value("after").run()
    app.button(key="save_note").click().run()
    assert studio.run(1)["note"] == "after"
    assert option(app)["series"][0]["data"][1]["name"].endswith("\nafter")


def test_many_runs_are_asked_for_in_part_and_all_when_searched(studio: Studio) -> None:
    studio.many(350)
    app = open_page("lineage")
    assert studio.wire.query("/lineage") == {"limit": "100"}
    assert "newest 100 of 350 runs" in shown(app)
    assert len(app.dataframe[0].value) == 100
    app.button(key="lineage_more").click().run()
    assert "newest 300 of 350 runs" in shown(app)
    app.text_input(key="lineage_find").set_value("7").run()
    assert app.dataframe[0].value["run"].tolist() == [7]
    assert studio.wire.query("/lineage") == {"limit": "1000"}


def test_what_was_chosen_is_in_the_middle_when_the_picture_changes_and_nearness_stays(studio: Studio) -> None:
    studio.many(60)
    app = open_page("lineage")
    start = option(app)["dataZoom"][0]
    app.button(key="lineage_further").click().run()
    further = option(app)["dataZoom"][0]
    assert further["endValue"] - further["startValue"] == 3 * (start["endValue"] - start["startValue"])
    app.session_state[CHOSEN] = 5  # as a click does
    app.run()
    assert option(app)["dataZoom"][0] == further  # drawn as before: the browser keeps what was pulled and zoomed
    studio.held()
    app.run()
    moved = option(app)["dataZoom"][0]
    assert moved["startValue"] > further["startValue"]
    assert moved["endValue"] - moved["startValue"] == further["endValue"] - further["startValue"]


def test_page_is_drawn_anew_while_something_runs_or_waits(studio: Studio, intervals: list[float]) -> None:
    studio.evaluated(True)
    open_page("lineage")
    assert 4.0 not in intervals
    studio.submit()
    open_page("lineage")
    assert 4.0 in intervals


def test_lineage_without_runs_invites_to_launch(studio: Studio) -> None:
    assert "No runs yet" in shown(open_page("lineage"))


def test_address_that_is_no_number_is_said(studio: Studio) -> None:
    assert "not the number of a pipeline" in shown(open_page("lineage", pipeline="x"))
