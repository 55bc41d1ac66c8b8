"""The pages of pipelines over canned replies, and the demo of an empty dashboard."""

from typing import Any

from memgen.contract.pipeline import PipelineSpec, demo_spec
from tests.dashboard.test_dashboard_pages import button_keys, open_page, shown

SPEC = PipelineSpec(shared={"preset": "HuggingFaceTB/SmolLM2-135M-Instruct"}).model_dump(mode="json")
PROGRESS = {"phase": "train", "detail": "", "done": 4, "total": 16, "unit": "steps", "seconds_left": 90}


def add_mixed(backend: Any, status: str = "running", **changes: Any) -> None:
    """A pipeline whose weaver is trained while the base evaluation is done."""
    backend.add_run(1, summary={"accuracy": 0.25, "num_questions": 24})
    backend.add_run(2, "running", config={"stage": "weaver_sft"}, progress=PROGRESS, num_attempts=2)
    backend.add_run(3, "waiting", config={"stage": "evaluate", "setting": "weaver", "checkpoint": "2"})
    backend.add_pipeline(5, status, {"base_eval": 1, "weaver_sft": 2, "weaver_eval": 3}, spec=SPEC, **changes)
    backend.pipelines[5]["steps"][2]["reason"] = "waits for the checkpoint of run 2, step *Weaver*"


def test_empty_dashboard_starts_the_demo_with_one_click(backend: Any) -> None:
    app = open_page()
    assert "15 minutes on 2 CPU cores" in shown(app)
    app.button(key="run_demo").click().run()
    assert not app.exception
    key, body = backend.submitted_pipelines[0]
    assert len(key) == 32
    assert PipelineSpec.model_validate(body) == demo_spec()
    assert "Pipeline 201" in shown(app)


def test_no_pipelines_offer_the_demo(backend: Any) -> None:
    app = open_page("pipelines")
    assert "No pipelines yet" in shown(app)
    assert "run_demo" in button_keys(app)


def test_list_shows_how_far_each_pipeline_is_and_what_it_measured(backend: Any) -> None:
    add_mixed(backend, note="first")
    row = open_page("pipelines").dataframe[0].value.iloc[0]
    assert (row["pipeline"], row["note"], row["base_eval"]) == (5, "first", 25.0)
    assert round(row["steps"]) == 33


def test_pipeline_shows_its_steps_with_progress_accuracy_and_reasons(backend: Any) -> None:
    add_mixed(backend, note="a *note*")
    app = open_page("pipeline", pipeline="5")
    text = shown(app)
    for part in (
        "**1. Base evaluation**", "accuracy **25.0 %** of 24", "**2. Weaver SFT**", "2 attempts",
        "waits for the checkpoint of run 2, step \\*Weaver\\*", "a \\*note\\*",
    ):  # fmt: skip
        assert part in text
    bars = [bar.proto.text.replace("\\", "") for bar in app.progress]
    assert bars == ["1 of 3 steps are done", "train: 4 of 16 steps, 1 min 30 s left"]
    assert [link.label for link in app.page_link if link.label.startswith("Run ")] == ["Run 1", "Run 2", "Run 3"]


def test_running_pipeline_can_be_stopped_and_not_continued(backend: Any) -> None:
    add_mixed(backend)
    app = open_page("pipeline", pipeline="5")
    assert app.button(key="continue").disabled
    app.button(key="stop").click().run()
    app.radio(key="stop_mode").set_value("discard")
    app.button(key="stop").click()  # AppTest runs the whole script: the dialog must be opened anew
    app.button(key="confirm_stop").click().run()
    assert backend.stopped_pipelines == [(5, "discard")]


def test_failed_pipeline_continues_with_the_reason_on_the_page(backend: Any) -> None:
    add_mixed(backend, "failed", can_continue=True, continue_reason="Goes on with Weaver SFT.")
    backend.runs[2] |= {"status": "failed", "cause": "out_of_memory"}
    backend.pipelines[5]["steps"][1]["reason"] = "no memory"
    app = open_page("pipeline", pipeline="5")
    assert "Goes on with Weaver SFT" in shown(app)
    assert "Failed: memory ran out.] no memory" in shown(app)
    assert "stop" not in button_keys(app)
    app.button(key="continue").click().run()
    assert backend.pipelines[5]["status"] == "running"
    assert "stop" in button_keys(app)


def test_finished_evaluations_can_be_compared_once_there_are_two(backend: Any) -> None:
    add_mixed(backend)
    assert open_page("pipeline", pipeline="5").button(key="compare").disabled
    backend.runs[3]["status"] = "succeeded"
    assert not open_page("pipeline", pipeline="5").button(key="compare").disabled


def test_run_all_again_opens_the_launch_page_with_these_settings(backend: Any) -> None:
    add_mixed(backend, "succeeded")
    app = open_page("pipeline", pipeline="5")
    app.button(key="run_all_again").click().run()
    assert not app.exception
    assert app.segmented_control(key="what").value == "all"
    assert app.query_params["from_pipeline"] in ("5", ["5"])


def test_reused_and_deleted_runs_are_said(backend: Any) -> None:
    add_mixed(backend, "succeeded")
    backend.pipelines[5]["steps"][0]["reused"] = True
    backend.pipelines[5]["steps"][2]["run"] = None
    text = shown(open_page("pipeline", pipeline="5"))
    assert "reused" in text
    assert "Its run was deleted" in text


def test_pipeline_that_does_not_exist_is_said(backend: Any) -> None:
    assert "no pipeline 99" in shown(open_page("pipeline", pipeline="99"))
    assert "not the number" in shown(open_page("pipeline", pipeline="x"))
    assert "No pipeline is chosen" in shown(open_page("pipeline"))


def test_backend_that_does_not_answer_is_said_on_the_pages_of_pipelines(backend: Any) -> None:
    backend.down = True
    for page, query in (("pipelines", {}), ("pipeline", {"pipeline": "1"}), ("launch", {"what": "all"})):
        assert "does not answer" in shown(open_page(page, **query))
