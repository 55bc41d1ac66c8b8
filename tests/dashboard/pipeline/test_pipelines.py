"""The pages of pipelines, and the demo of an empty dashboard."""

from memgen.contract.pipeline import PipelineSpec, demo_spec
from tests.backend.conftest import Held
from tests.dashboard.pages import button_keys, open_page, said, shown
from tests.dashboard.studio import Studio, progress

INCLUDED = ["base_eval", "weaver_sft", "weaver_eval"]


def mixed(studio: Studio, note: str = "") -> Held:
    """A pipeline whose base evaluation is done and whose weaver is trained, in its second attempt."""
    studio.submit_pipeline(include=INCLUDED, note=note)
    base = studio.held()
    base.answer(0, 1, 2, right=False)
    base.answer(3)
    studio.complete(base, result={"num_questions": 4, "accuracy": 0.25})
    studio.work("failed")
    assert studio.user("POST", "/runs/2/retry").status_code == 200
    weaver = studio.held()
    start = {"event": "phase", "name": "train"}
    weaver.say(start, progress(0, 16) | {"time": 100.0}, progress(4, 16) | {"time": 130.0})
    return weaver


def test_empty_dashboard_starts_the_demo_with_one_click(studio: Studio) -> None:
    app = open_page()
    assert "15 minutes on 2 CPU cores" in shown(app)
    app.button(key="run_demo").click().run()
    assert not app.exception
    body, key = studio.wire.sent("/pipelines")
    assert len(key) == 32
    assert PipelineSpec.model_validate(body) == demo_spec()
    assert "Pipeline 1" in shown(app)


def test_no_pipelines_offer_the_demo(studio: Studio) -> None:
    app = open_page("pipelines")
    assert "No pipelines yet" in shown(app)
    assert "run_demo" in button_keys(app)


def test_list_shows_how_far_each_pipeline_is_and_what_it_measured(studio: Studio) -> None:
    mixed(studio, note="first")
    row = open_page("pipelines").dataframe[0].value.iloc[0]
    assert (row["pipeline"], row["note"], row["base_eval"]) == (1, "first", 25.0)
    assert round(row["steps"]) == 33


def test_pipeline_shows_its_steps_with_progress_accuracy_and_reasons(studio: Studio) -> None:
    mixed(studio, note="a *note*")
    app = open_page("pipeline", pipeline="1")
    for part in (
        "**1. Base evaluation**", "accuracy **25.0 %** of 4", "**2. Weaver SFT**", "2 attempts",
        "Weaver SFT (run 2), whose checkpoint it needs, is running",
    ):  # fmt: skip
        assert part in said(app)
    assert "a \\*note\\*" in shown(app)
    bars = [bar.proto.text.replace("\\", "") for bar in app.progress]
    assert bars == ["1 of 3 steps are done", "train: 4 of 16 steps, 1 min 30 s left"]
    assert [link.label for link in app.page_link if link.label.startswith("Run ")] == ["Run 1", "Run 2", "Run 3"]


def test_running_pipeline_can_be_stopped_and_not_continued(studio: Studio) -> None:
    weaver = mixed(studio)
    app = open_page("pipeline", pipeline="1")
    assert app.button(key="continue").disabled
    app.button(key="stop").click().run()
    app.radio(key="stop_mode").set_value("discard")
    app.button(key="stop").click()  # AppTest runs the whole script: the dialog must be opened anew
    app.button(key="confirm_stop").click().run()
    assert weaver.beat().json()["stop"] == "discard"


def test_failed_pipeline_continues_with_the_reason_on_the_page(studio: Studio) -> None:
    failure = {"code": "oom", "message": "no memory", "way_out": ""}
    mixed(studio).finish("failed", "killed", failure=failure)
    studio.reconciler.round()
    app = open_page("pipeline", pipeline="1")
    assert "Goes on with Weaver SFT" in shown(app)
    assert "Failed: the trainer was killed by a signal.] no memory" in shown(app)
    assert "stop" not in button_keys(app)
    app.button(key="continue").click().run()
    assert studio.get("/pipelines/1")["status"] == "running"
    assert "stop" in button_keys(app)


def test_finished_evaluations_can_be_compared_once_there_are_two(studio: Studio) -> None:
    studio.complete(mixed(studio))
    studio.reconciler.round()
    assert open_page("pipeline", pipeline="1").button(key="compare").disabled
    studio.work()
    assert not open_page("pipeline", pipeline="1").button(key="compare").disabled


def test_run_all_again_opens_the_launch_page_with_these_settings(studio: Studio) -> None:
    mixed(studio)
    app = open_page("pipeline", pipeline="1")
    app.button(key="run_all_again").click().run()
    assert not app.exception
    assert app.segmented_control(key="what").value == "all"
    assert app.query_params["from_pipeline"] in ("1", ["1"])


def test_reused_and_deleted_runs_are_said(studio: Studio) -> None:
    studio.submit_pipeline(include=["base_eval"])
    studio.work()
    studio.submit_pipeline(include=["weaver_sft"], reuse={"base_eval": 1})
    assert "reused" in shown(open_page("pipeline", pipeline="2"))
    assert studio.user("DELETE", "/runs/1", params={"confirm": "true"}).status_code == 200
    assert "Its run was deleted" in shown(open_page("pipeline", pipeline="2"))


def test_pipeline_that_does_not_exist_is_said(studio: Studio) -> None:
    assert "no pipeline 99" in shown(open_page("pipeline", pipeline="99"))
    assert "not the number" in shown(open_page("pipeline", pipeline="x"))
    assert "No pipeline is chosen" in shown(open_page("pipeline"))


def test_backend_that_does_not_answer_is_said_on_the_pages_of_pipelines(studio: Studio) -> None:
    studio.wire.down = True
    for page, query in (("pipelines", {}), ("pipeline", {"pipeline": "1"}), ("launch", {"what": "all"})):
        assert "does not answer" in shown(open_page(page, **query))
