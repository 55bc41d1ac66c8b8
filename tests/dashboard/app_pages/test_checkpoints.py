"""The page of checkpoints: the best of their evaluations, and where they lead."""

from streamlit.testing.v1 import AppTest

from tests.dashboard.pages import button_keys, open_page, said
from tests.dashboard.studio import GRPO, Studio, links

MANY = 24


def tick(app: AppTest, *checkpoints: int) -> AppTest:
    rows = [app.dataframe[0].value["checkpoint"].tolist().index(one) for one in checkpoints]
    app.session_state["checkpoints_table"] = {"selection": {"rows": rows, "columns": []}}
    return app.run()


def right(number: int) -> list[bool]:
    return [True] * number + [False] * (MANY - number)


def test_no_checkpoint_says_where_they_come_from(studio: Studio) -> None:
    app = open_page("checkpoints")
    assert "Each training leaves one" in said(app)
    assert links(app)["Train a weaver"] == "what=weaver_sft"


def test_checkpoint_stands_beside_its_best_evaluation_its_change_and_its_parent(studio: Studio) -> None:
    studio.evaluated(*right(3))
    weaver = studio.trained(note="mine")
    best = studio.evaluated(*right(20), setting="weaver", checkpoint=str(weaver))
    studio.evaluated(*right(5), setting="weaver", checkpoint=str(weaver))
    trigger = studio.trained(GRPO, checkpoint=str(weaver))
    rows = open_page("checkpoints").dataframe[0].value.set_index("checkpoint")
    assert list(rows.index) == [trigger, weaver]
    shown = rows.loc[weaver]
    assert (shown["accuracy"], shown["n"], shown["change"]) == (83.3, MANY, "+70.8")
    assert (shown["best"], shown["evaluations"], shown["note"]) == (f"weaver, run {best}", 2, "mine")
    assert rows.loc[trigger]["parent"] == weaver


def test_order_of_the_address_is_asked_for_and_a_rerun_sends_two_requests(studio: Studio) -> None:
    first, second = studio.trained(), studio.trained()
    studio.evaluated(True, setting="weaver", checkpoint=str(first))
    app = open_page("checkpoints", sort="-accuracy")
    assert app.dataframe[0].value["checkpoint"].tolist() == [first, second]
    studio.wire.asked.clear()
    app.run()
    assert sorted(studio.wire.paths()) == ["GET /checkpoints/results", "GET /health"]


def test_ticked_checkpoint_leads_to_the_forms_that_may_come_next(studio: Studio) -> None:
    weaver = studio.trained()
    app = tick(open_page("checkpoints"), weaver)
    assert {"next_weaver_eval", "next_trigger_grpo", "next_weaver_grpo", "to_lineage"} <= button_keys(app)
    assert app.button(key="compare_best").disabled
    app.button(key="next_trigger_grpo").click().run()
    assert not app.exception
    assert app.segmented_control(key="what").value == "trigger_grpo"
    assert app.selectbox(key="config_checkpoint").value == str(weaver)


def test_best_evaluations_of_ticked_checkpoints_are_compared_with_their_base(studio: Studio) -> None:
    studio.evaluated(*right(3))
    weavers = [studio.trained(), studio.trained()]
    for weaver in weavers:
        studio.evaluated(*right(20), setting="weaver", checkpoint=str(weaver))
    app = tick(open_page("checkpoints"), *weavers)
    assert app.button(key="compare_best").label == "Compare 2"
    app.button(key="compare_best").click().run()
    assert not app.exception
    assert app.multiselect(key="compare_runs").value == [1, 4, 5]
