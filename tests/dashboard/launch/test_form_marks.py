"""Values that were changed are marked, and each can go back; the address is the page's own."""

from backend.api.schemas import SlotFit
from dashboard.launch.preflight_panel import SLOT_LOOK
from tests.backend.conftest import MEMORY, SLOT
from tests.dashboard.launch.test_launch import launched
from tests.dashboard.pages import button_keys, open_page, said, shown
from tests.dashboard.studio import GRPO, Studio


def test_changed_value_is_marked_and_goes_back_to_its_default(studio: Studio) -> None:
    app = open_page("launch", what="weaver_sft")
    assert not [key for key in button_keys(app) if "back_to" in str(key)]
    app.number_input(key="config_max_steps").set_value(5)
    app.number_input(key="config_batch_size").set_value(2).run()
    marks = {button.key: button.label for button in app.button if "back_to" in str(button.key)}
    assert marks == {
        "config_back_to_max_steps": "Changed; default: all epochs",
        "config_back_to_batch_size": "Changed; default: 4",
    }
    app.button(key="config_back_to_max_steps").click().run()
    assert app.number_input(key="config_max_steps").value is None
    config = launched(app, studio)
    assert (config["max_steps"], config["batch_size"]) == (None, 2)


def test_default_that_comes_with_another_value_is_no_change(studio: Studio) -> None:
    app = open_page("launch", what="ltpo_eval")
    app.segmented_control(key="config_update").select("reinforce").run()
    marks = {key for key in button_keys(app) if "back_to" in str(key)}
    assert marks == {"config_back_to_update"}
    app.number_input(key="config_sigma").set_value(0.1).run()
    assert "config_back_to_sigma" in button_keys(app)


def test_step_of_run_all_marks_its_changes_too(studio: Studio) -> None:
    app = open_page("launch", what="all")
    app.number_input(key="trigger_grpo_max_steps").set_value(9)
    app.number_input(key="evaluations_num_questions").set_value(9)
    app.number_input(key="config_seed").set_value(9).run()
    for key in ("trigger_grpo_back_to_max_steps", "evaluations_back_to_num_questions", "config_back_to_seed"):
        app.button(key=key).click().run()
        assert not app.exception
    assert not [key for key in button_keys(app) if "back_to" in str(key)]
    assert app.number_input(key="trigger_grpo_max_steps").value is None


def test_form_that_starts_from_a_run_shows_only_what_differs_from_it(studio: Studio) -> None:
    studio.submit(num_questions=7, seed=5)
    app = open_page("launch", **{"from": "1"})
    assert "Starts from the settings of **run 1**" in shown(app)
    assert "Nothing differs from them yet" in shown(app)
    assert not [key for key in button_keys(app) if "back_to" in str(key)]
    app.number_input(key="config_num_questions").set_value(8).run()
    assert "- Questions: 7 → **8**" in said(app)
    assert app.button(key="config_back_to_num_questions").label == "Changed; run 1: 7"
    app.button(key="forget_source").click().run()
    assert "Starts from" not in shown(app)
    assert app.button(key="config_back_to_seed").label == "Changed; default: 42"
    assert app.number_input(key="config_num_questions").value == 8


def test_another_form_is_measured_against_its_defaults(studio: Studio) -> None:
    studio.submit(num_questions=7)
    app = open_page("launch", **{"from": "1"})
    app.segmented_control(key="what").select("weaver_sft").run()
    assert "Starts from" not in shown(app)


def test_address_has_nothing_of_the_page_before(studio: Studio) -> None:
    app = open_page("launch", run="7", what="weaver_sft", tab="Log")
    assert {*app.query_params} == {"what"}


def test_check_says_when_the_run_would_start_and_which_slot_holds_it(studio: Studio) -> None:
    studio.announce(slots=[SLOT, SLOT | {"name": "small", "total_memory": 2**20}])
    app = open_page("launch")
    assert "Starts at once" in said(app)
    assert ":green-badge[:material/check: fits] slot cpu of lab: " in said(app)
    assert ":red-badge[:material/block: does not fit] slot small of lab: " in said(app)
    held = studio.claimed()
    app.run()
    assert f"fits, busy with run {held.run_id}] slot cpu" in said(app)
    assert f"Starts after run {held.run_id}, which slot cpu of lab works on" in said(app)
    assert f"Starts after run {held.run_id}" in said(open_page("launch", what="all"))


def test_every_way_in_which_a_slot_and_a_run_go_together_has_words() -> None:
    states = SlotFit.model_json_schema()["properties"]["state"]["enum"]
    assert {*SLOT_LOOK} == {*states}
    assert MEMORY > 0


def test_checkpoint_that_brings_another_model_leaves_the_revision_behind(studio: Studio) -> None:
    first, second = studio.trained(), studio.trained(preset="Qwen/Qwen3-14B")
    app = open_page("launch", what="trigger_grpo", checkpoint=str(first))
    app.text_input(key="config_revision").set_value("0123456789abcdef0123456789abcdef01234567").run()
    app.selectbox(key="config_checkpoint").select(str(second)).run()
    config = launched(app, studio)
    assert (config["preset"], config["revision"]) == ("Qwen/Qwen3-14B", None)
    assert config["stage"] == GRPO["stage"]
