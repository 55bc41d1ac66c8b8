"""Settings that are kept under a name: saved from the form, opened into it, deleted."""

import pytest
from streamlit.testing.v1 import AppTest

from backend.store.models import SavedLaunch
from memgen.contract.pipeline import PipelineSpec
from tests.dashboard.launch.test_launch import launched
from tests.dashboard.launch.test_run_all import run_all
from tests.dashboard.pages import button_keys, open_page, said, shown
from tests.dashboard.studio import Studio


def save(app: AppTest, name: str, *, replace: bool = False) -> None:
    app.text_input(key="saved_name").set_value(name)
    app.checkbox(key="saved_replace").set_value(replace)
    app.button(key="save_launch").click().run()
    assert not app.exception, app.exception


def test_settings_of_a_run_are_saved_and_opened_by_another_visitor(studio: Studio) -> None:
    app = open_page("launch", what="weaver_sft")
    assert "open_saved" not in button_keys(app)
    app.number_input(key="config_max_steps").set_value(9).run()
    save(app, " mine ")
    assert [one.value for one in app.success] == ["Saved as mine."]
    other = open_page("launch")
    other.button(key="open_saved").click().run()
    assert not other.exception, other.exception
    assert other.segmented_control(key="what").value == "weaver_sft"
    assert "Starts from the saved settings **mine**" in said(other)
    other.number_input(key="config_seed").set_value(1).run()
    assert "- Seed: 42 → **1**" in said(other)
    config = launched(other, studio)
    assert (config["stage"], config["max_steps"], config["seed"]) == ("weaver_sft", 9, 1)


def test_settings_of_run_all_are_saved_and_opened(studio: Studio) -> None:
    app = open_page("launch", what="all")
    app.number_input(key="ltpo_eval_max_steps").set_value(2).run()
    save(app, "chain")
    other = open_page("launch")
    other.button(key="open_saved").click().run()
    assert other.segmented_control(key="what").value == "all"
    assert run_all(other, studio).steps == {"ltpo_eval": {"max_steps": 2}}


def test_name_that_is_bad_or_taken_is_refused_on_the_page(studio: Studio) -> None:
    app = open_page("launch")
    save(app, "a/b")
    assert "can't be the name of settings" in said(app).lower()
    save(app, "one")
    app.number_input(key="config_seed").set_value(1).run()
    save(app, "one")
    assert "other settings have this name" in said(app).lower()
    save(app, "one", replace=True)
    assert [one.config and one.config["seed"] for one in studio.client.saved_launches()] == [1]


def test_saved_settings_are_deleted(studio: Studio) -> None:
    studio.client.save_launch("old", dict(studio.config), note="for *nothing*")
    app = open_page("launch")
    assert "for \\*nothing\\*" in shown(app)
    app.button(key="delete_saved").click().run()
    assert not app.exception
    assert "delete_saved" not in button_keys(app)
    assert studio.client.saved_launches() == []


def test_opened_settings_take_the_place_of_what_the_address_named(studio: Studio) -> None:
    studio.client.save_launch("chain", PipelineSpec.model_validate(studio.spec()))
    studio.submit(seed=3)
    app = open_page("launch", **{"from": "1"})
    app.button(key="open_saved").click().run()
    assert {*app.query_params} == {"what"}
    assert "Starts from" not in shown(app)


def test_settings_of_a_version_before_open_with_what_they_meant(studio: Studio) -> None:
    studio.client.save_launch("old", {"stage": "weaver_sft", "max_steps": 5})
    with studio.context.database.write() as session:
        row = session.get_one(SavedLaunch, "old")
        row.config = {name: value for name, value in (row.config or {}).items() if name != "micro_batch_size"}
        session.add(row)
    app = open_page("launch")
    app.button(key="open_saved").click().run()
    assert app.checkbox(key="config_micro_batch_size_as_before").value
    config = launched(app, studio)
    assert (config["max_steps"], config["micro_batch_size"]) == (5, None)
    app = open_page("launch")
    app.button(key="open_saved").click().run()
    app.checkbox(key="config_micro_batch_size_as_before").uncheck().run()
    assert "Changed; old: as in versions before" in [button.label for button in app.button]
    assert launched(app, studio)["micro_batch_size"] == "auto"


@pytest.mark.parametrize("what", ["base_eval", "all"])
def test_page_asks_for_saved_settings_no_more_than_once_a_minute(studio: Studio, what: str) -> None:
    app = open_page("launch", what=what)
    assert "GET /saved-launches" in studio.wire.paths()
    studio.wire.asked.clear()
    app.run()
    assert "GET /saved-launches" not in studio.wire.paths()
