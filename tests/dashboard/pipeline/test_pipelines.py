"""The pages of pipelines, and the demo of an empty dashboard."""

from streamlit.testing.v1 import AppTest

from memgen.contract.demo import LIVE_NOTE, demo_spec, live_config
from memgen.contract.pipeline import PipelineSpec
from tests.backend.conftest import Held
from tests.dashboard.pages import button_keys, open_page, said, shown
from tests.dashboard.studio import Studio, links, progress

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
    assert "five minutes on 2 CPU cores" in shown(app)
    app.button(key="run_demo").click().run()
    assert not app.exception
    body, key = studio.wire.sent("/pipelines")
    assert len(key) == 32
    assert PipelineSpec.model_validate(body) == demo_spec({"trigger": 1, "lora": 2})
    assert studio.wire.sent("/runs") == (
        {"config": live_config().model_dump(mode="json"), "note": LIVE_NOTE},
        f"{key}-live",
    )
    assert "Pipeline 1" in shown(app)
    assert links(app)["Checkpoint 1"] == "checkpoint=1"


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
        "**1. Base evaluation**", "**25.0 %** of 4", "**2. Weaver SFT**", "2 attempts",
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


def rows_of(app: AppTest) -> list[list[str]]:
    """Rows of the table of results."""
    return [[str(cell).replace("\\", "") for cell in row] for row in app.table[0].value.to_numpy().tolist()]


def test_results_fill_in_while_the_pipeline_runs(studio: Studio) -> None:
    studio.submit_pipeline(include=INCLUDED)
    held = studio.held()
    held.answer(0, right=True)
    held.answer(1, 2, 3, right=False)
    base, weaver = rows_of(open_page("pipeline", pipeline="1"))
    assert base == ["base", "**25.0 %** so far", "4.6 to 69.9", "4", "the base"]
    assert weaver[:2] == ["weaver", "–"]
    assert "waiting" in weaver[-1]


def finished(studio: Studio, warning: str = "") -> None:
    """A pipeline whose weaver answers all of 24 questions that the base has wrong."""
    studio.submit_pipeline(include=INCLUDED, steps={"weaver_sft": {"max_steps": 3, "seed": 42}})
    for right in (False, None, True):
        held = studio.held()
        if right is None and warning:
            held.say({"event": "warning", "code": "flat", "message": warning})
        if right is not None:
            held.answer(*range(24), right=right)
            studio.complete(held, result={"num_questions": 24, "accuracy": float(right)})
        else:
            studio.complete(held)
        studio.reconciler.round()


def test_finished_pipeline_shows_change_with_verdict_and_the_warnings_of_its_runs(studio: Studio) -> None:
    finished(studio, "the reward is 0 in *every* group")
    app = open_page("pipeline", pipeline="1")
    base, weaver = rows_of(app)
    assert base[-1] == "the base"
    assert weaver[-1].startswith("**+100.0** points (")
    assert "better]" in weaver[-1]
    assert [one.value.replace("\\", "") for one in app.warning if "run 2" in one.value] == [
        "**Weaver SFT, run 2:** The reward is 0 in *every* group."
    ]
    assert "from its submission to its end" in shown(app)


def test_settings_of_a_pipeline_that_differ_are_named_with_their_defaults(studio: Studio) -> None:
    finished(studio)
    app = open_page("pipeline", pipeline="1")
    settings = app.table[1].value.to_numpy().tolist()
    assert ["Weaver SFT", "Most steps", "3", "empty"] in settings
    assert not [row for row in settings if row[1] == "Seed"]
    labels = [one.label for one in app.expander]
    assert f"Settings that differ from the defaults ({len(settings)})" in labels


def test_change_is_against_the_base_that_the_pipeline_reuses(studio: Studio) -> None:
    finished(studio)
    studio.submit_pipeline(include=["base_eval"])
    studio.work()  # a newer base, of no concern here
    studio.submit_pipeline(include=["weaver_sft", "weaver_eval"], reuse={"base_eval": 1})
    studio.work()
    studio.reconciler.round()
    held = studio.held()
    held.answer(*range(24))
    studio.complete(held, result={"num_questions": 24, "accuracy": 1.0})
    steps = {one.step: one for one in studio.client.pipeline(3).steps}
    gain = steps["weaver_eval"].gain
    assert gain is not None
    assert gain.base_id == 1
    assert all(one.gain is None and one.warnings == [] for one in studio.client.pipelines().items[0].steps)


def test_all_pipelines_that_match_are_tagged_and_their_runs_stopped(studio: Studio) -> None:
    for number in range(52):
        studio.submit_pipeline(include=["base_eval"], note="sweep" if number else "other")
    app = open_page("pipelines", text="sweep")
    assert not [box for box in app.checkbox if str(box.key).startswith("bulk_all")][1:]
    app.checkbox[0].check().run()
    assert app.checkbox[0].label == "All 51 that match"
    app.button(key="bulk_stop").click().run()
    assert not app.exception
    assert "**Each of 51 runs** leaves the queue" in said(app)
    app.button(key="confirm_bulk_stop").click().run()
    counts = [one["status"] for one in studio.get("/pipelines", limit=100)["items"]]
    assert (counts.count("cancelled"), counts.count("running")) == (51, 1)
    app.button(key="bulk_tag").click().run()
    app.multiselect(key="tags_add").set_value(["sweep"]).run()
    app.button(key="confirm_bulk_tag").click().run()
    assert len(studio.get("/pipelines", tag="sweep", limit=100)["items"]) == 51
