"""*Fix and continue*: the form of a failed run, or of its pipeline, with what its failure names."""

from typing import Any

import pytest

from tests.dashboard.launch.test_run_all import run_all
from tests.dashboard.pages import button_keys, open_page, said, shown
from tests.dashboard.studio import SFT, Studio, links

TOO_LONG = {
    "code": "examples_too_long",
    "message": "every example is longer than the config allows",
    "field": "max_completion_length",
    "way_out": "Raise max_completion_length or max_prompt_length.",
}
MEMORY = {"code": "out_of_memory", "message": "no room", "way_out": "Launch it with a smaller batch_size."}


def failed(studio: Studio, failure: dict[str, Any], **config: Any) -> int:
    held = studio.claimed(**config)
    held.finish("failed", "error", failure=failure)
    return held.run_id


def test_run_is_mended_from_its_page_with_the_blamed_setting_marked(studio: Studio) -> None:
    run_id = failed(studio, TOO_LONG, **SFT, max_completion_length=8)
    app = open_page("run", run=str(run_id))
    app.button(key="fix").click().run()
    assert not app.exception, app.exception
    assert app.segmented_control(key="what").value == "weaver_sft"
    assert f"**Mends run {run_id}**, which failed: every example is longer" in said(app)
    assert shown(app).count("The failure names this setting") == 2
    assert app.expander[[one.label for one in app.expander].index("More settings")].proto.expanded
    app = open_page("launch", fix=str(run_id))  # where AppTest goes on after another page's button
    app.number_input(key="config_max_completion_length").set_value(600).run()
    assert "- Longest answer (tokens): 8 → **600**" in said(app)
    app.button(key="launch").click().run()
    assert not app.exception, app.exception
    body, _ = studio.wire.sent("/runs")
    assert (body["fixes"], body["config"]["max_completion_length"]) == (run_id, 600)
    assert links(app)[f"mends run {run_id}"] == f"run={run_id}"
    again = open_page("run", run=str(run_id))
    assert f"is mended by run {run_id + 1}" in links(again)


def test_launch_after_that_mends_nothing(studio: Studio) -> None:
    run_id = failed(studio, MEMORY)
    app = open_page("launch", fix=str(run_id))
    app.button(key="launch").click().run()
    app.switch_page("app_pages/launch.py").run()
    assert "Mends" not in shown(app)
    app.button(key="launch").click().run()
    assert "fixes" not in studio.wire.sent("/runs")[0]


def test_run_whose_settings_are_not_to_blame_has_no_such_button(studio: Studio) -> None:
    disk = {"code": "disk_full", "message": "full", "way_out": "Make room, e.g. delete runs, then resume."}
    assert "fix" not in button_keys(open_page("run", run=str(failed(studio, disk))))
    assert "fix" not in button_keys(open_page("run", run=str(studio.failed())))


def broken(studio: Studio, failure: dict[str, Any]) -> None:
    """Pipeline 1: the base is evaluated (run 1), and the weaver (run 2) has failed."""
    studio.submit_pipeline(steps={"weaver_sft": {"batch_size": 8}}, evaluations={"num_questions": 6})
    studio.work()
    studio.held().finish("failed", "error", failure=failure)
    studio.reconciler.round()


@pytest.mark.parametrize("page", ["run", "pipeline"])
def test_pipeline_goes_on_with_a_changed_step_and_its_finished_ones(studio: Studio, page: str) -> None:
    broken(studio, MEMORY)
    app = open_page(page, **{page: "2" if page == "run" else "1"})
    app.button(key="fix").click().run()
    assert not app.exception, app.exception
    assert app.segmented_control(key="what").value == "all"
    assert "**Mends pipeline 1, Weaver SFT**, which failed: no room" in said(app)
    assert app.selectbox(key="base_eval_run").value == "1"
    unfolded = [one.label for one in app.expander if one.proto.expanded]
    assert [label for label in unfolded if label.startswith("2. Weaver SFT")]
    assert shown(app).count("The failure names this setting") == 1
    app = open_page("launch", fix="2")  # where AppTest goes on after another page's button
    app.number_input(key="weaver_sft_batch_size").set_value(2).run()
    spec = run_all(app, studio)
    assert (spec.fixes, spec.reuse, spec.steps["weaver_sft"]) == (1, {"base_eval": 1}, {"batch_size": 2})
    assert links(app)["mends pipeline 1"] == "pipeline=1"
    assert "is mended by pipeline 2" in links(open_page("pipeline", pipeline="1"))


def test_setting_that_all_steps_share_is_marked_where_the_pipeline_says_it(studio: Studio) -> None:
    broken(studio, TOO_LONG)
    app = open_page("launch", fix="2")
    assert shown(app).count("The failure names this setting") == 2
    app.number_input(key="config_max_completion_length").set_value(900).run()
    assert "max_completion_length" in said(app)
    assert app.button(key="run_all").disabled  # the base's answers were made under another length
    app.selectbox(key="base_eval_run").select("new").run()
    spec = run_all(app, studio)
    assert (spec.reuse, spec.fixes, spec.shared["max_completion_length"]) == ({}, 1, 900)


def test_pipeline_of_its_own_can_be_launched_instead(studio: Studio) -> None:
    broken(studio, MEMORY)
    app = open_page("launch", fix="2")
    app.button(key="forget_source").click().run()
    assert "Mends" not in shown(app)
    assert run_all(app, studio).fixes is None
