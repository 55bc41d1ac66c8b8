"""The page of a training, and of evaluations with latents."""

import json
from datetime import UTC, datetime
from typing import Any

from streamlit.testing.v1 import AppTest

from backend.api.schemas import MetricSeries
from dashboard.parts.charts import curves_chart, curves_frame, step_title
from dashboard.parts.latents_charts import decision_chart, decision_frame, reward_chart, reward_frame
from dashboard.parts.latents_view import insertion_words, ltpo_words
from dashboard.parts.run_figures import run_figures
from memgen.contract.answers import AnswerRecord, Augmentation, LtpoTrace, parse_line
from tests.backend.conftest import answer_line
from tests.dashboard.pages import open_page, said, shown, tiles
from tests.dashboard.studio import GRPO, SFT, Studio, links, metric, progress

NOW = datetime(2027, 11, 22, 22, 0, tzinfo=UTC)
TRACE = {
    "token": 14, "rewards": [0.5, 0.52, 0.58, 0.55], "best_step": 2, "distance": 1.25, "entropy": [2.1, 1.9],
    "top1": [0.4, 0.45],
}  # fmt: skip
POINTS = [
    {"token": token, "asked": asked, "inserted": inserted}
    for token, asked, inserted in ((0, False, True), (14, True, True), (30, True, False))
]


def series(name: str, values: list[float]) -> MetricSeries:
    """A metric as the backend sends it."""
    steps = list(range(1, len(values) + 1))
    return MetricSeries(name=name, steps=steps, values=values, times=[1.8e9 + step for step in steps])


def tab_names(app: AppTest) -> list[str]:
    """Tabs of a run page."""
    return [tab.label for tab in app.tabs]


def said_progress(app: AppTest) -> list[str]:
    """Texts of the bars of a page."""
    return [one.proto.text.replace("\\", "") for one in app.get("progress")]


def record(**changes: Any) -> AnswerRecord:
    """An answer with latents at two of three points."""
    answer = parse_line(answer_line(0, **{"completion_tokens": 40, "augmentations": POINTS, **changes}))
    assert isinstance(answer, AnswerRecord)
    return answer


def answered(studio: Studio, **changes: Any) -> None:
    """A finished evaluation whose one answer is `record`."""
    studio.evaluated(True, answers={0: {"completion_tokens": 40, "augmentations": POINTS, **changes}})


def test_weaver_training_shows_its_curves_and_no_answers(studio: Studio) -> None:
    names = ("train/loss", "eval/loss", "train/learning_rate", "train/grad_norm", "train/step_seconds")
    events = [event for name in names for event in metric(name, 1.5, 0.5)]
    studio.trained(SFT, *events, result={"loss": 0.51, "steps": 16})
    app = open_page("run", run="1", tab="Metrics")
    text = shown(app)
    assert tab_names(app)[:3] == ["Overview", "Metrics", "Checkpoint"]
    assert "Answers" not in tab_names(app)
    assert len(app.get("vega_lite_chart")) == 3 + 1 + 1  # of the stage, of the machine, the chosen one
    assert app.selectbox(key="metric").options == ["eval/loss", *sorted(names[:1] + names[2:])]
    for title in ("**Loss**", "**Learning rate**", "**Gradient norm**", "Machine", "**Seconds of a step**"):
        assert title in text
    assert "weaver\\_sft · wordproblems" in text
    assert "weaver\\_sft, " not in text


def test_look_at_a_metric_comes_from_the_address_and_returns_to_it(studio: Studio) -> None:
    losses = metric("train/loss", *(10.0 / step for step in range(1, 9)))
    epochs = metric("train/epoch", *(step / 4 for step in range(1, 9)))
    studio.trained(SFT, *losses, *epochs)
    address = {"metric": "train/loss", "smoothing": "much", "over": "epoch", "axis": "log", "first_step": "3"}
    app = open_page("run", run="1", tab="Metrics", **address)
    assert [app.session_state[key] for key in address] == ["train/loss", "much", "epoch", "log", 3]
    chart = json.loads(app.get("vega_lite_chart")[-1].proto.spec)
    encodings = [layer["encoding"] for layer in chart["layer"]]
    assert (encodings[0]["x"]["field"], encodings[0]["y"]["scale"]["type"]) == ("epoch", "log")
    assert encodings[-1]["y"]["field"] == "smooth"
    app.number_input(key="last_step").set_value(5).run()
    assert app.query_params["last_step"] in ("5", ["5"])
    assert "at step 5" in said(app)
    app.number_input(key="last_step").set_value(2).run()
    assert "no value between these steps" in said(app)
    app.number_input(key="first_step").set_value(None).run()
    assert "first_step" not in app.query_params
    assert "at step 2" in said(app)


def test_run_without_epochs_is_not_drawn_over_them(studio: Studio) -> None:
    studio.trained(SFT, *metric("train/loss", 2.0, 1.0))
    app = open_page("run", run="1", tab="Metrics", over="epoch")
    assert app.segmented_control(key="over").options == ["step", "time"]
    assert app.session_state["over"] == "step"


def test_machine_is_drawn_where_the_run_told_of_it(studio: Studio) -> None:
    studio.trained(SFT, *metric("train/loss", 2.0, 1.0))
    told = ("system/gpu_busy", "system/gpu_memory", "system/gpu_power", "system/memory")
    studio.trained(SFT, *metric("train/loss", 2.0), *(event for name in told for event in metric(name, 0.5, 0.75)))
    assert "Machine" not in shown(open_page("run", run="1", tab="Metrics"))
    app = open_page("run", run="2", tab="Metrics")
    for title in ("Machine", "**GPU at work**", "**GPU memory**", "**Power**", "**Memory**"):
        assert title in shown(app)
    busy = next(chart for chart in app.get("vega_lite_chart") if "gpu_busy" in chart.proto.spec)
    assert '".0%"' in busy.proto.spec


def test_trigger_training_shows_what_tells_whether_it_learns(studio: Studio) -> None:
    weaver = studio.trained()
    names = ("reward", "reward_std", "insert_rate", "frac_reward_zero_std", "completions/mean_length",
             "completions/truncated", "entropy", "grad_norm")  # fmt: skip
    held = studio.claimed(**GRPO, checkpoint=str(weaver))
    held.say({"event": "phase", "name": "train"}, *(metric(f"train/{name}", 0.25)[0] for name in names), progress(1, 4))
    app = open_page("run", run="2", tab="Metrics")
    text = shown(app)
    assert len(app.get("vega_lite_chart")) == 7 + 1
    assert "Checkpoint" not in tab_names(app)
    for word in ("Groups without signal", "Completion length", "Entropy"):
        assert word in text
    assert said_progress(app) == ["train: 1 of 4 steps"]
    assert (tiles(app)["Last reward"], tiles(app)["Last insert rate"]) == ("0.250", "25.0 %")
    assert links(open_page("run", run="2"))["starts from the checkpoint of run 1"] == "run=1&tab=Checkpoint"


def test_weaver_by_rewards_shows_its_rewards_and_how_true_its_replay_is(studio: Studio) -> None:
    names = ("reward", "reward_std", "frac_reward_zero_std", "completions/mean_length", "completions/truncated",
             "entropy", "grad_norm", "replay_gap")  # fmt: skip
    held = studio.claimed(**GRPO | {"stage": "weaver_grpo"})
    held.say({"event": "phase", "name": "train"}, *(metric(f"train/{name}", 0.25)[0] for name in names), progress(1, 4))
    app = open_page("run", run="1", tab="Metrics")
    assert len(app.get("vega_lite_chart")) == 7 + 1
    for word in ("Groups without signal", "Rollout and replay"):
        assert word in shown(app)
    assert tiles(app)["Last reward"] == "0.250"


def test_header_of_a_live_training_says_how_far_it_is_once(studio: Studio) -> None:
    held = studio.claimed(**SFT)
    held.say({"event": "phase", "name": "train"}, *metric("train/loss", 0.75, 0.5), progress(1, 4))
    app = open_page("run", run="1")
    assert tiles(app) == {"Last loss": "0.5"}
    assert said_progress(app) == ["train: 1 of 4 steps"]
    assert "1 of 4" not in said(app)


def test_training_without_metrics_says_when_they_come(studio: Studio) -> None:
    studio.claimed(**SFT).say({"event": "phase", "name": "load"})
    assert "the first come with the first step" in shown(open_page("run", run="1", tab="Metrics"))


def test_checkpoint_tab_says_what_it_is_and_what_can_follow(studio: Studio) -> None:
    studio.submit_pipeline(include=["base_eval", "weaver_sft"])
    for _ in range(2):
        studio.work()
    studio.reconciler.round()
    checkpoint = studio.get("/checkpoints/2")
    app = open_page("run", run="2", tab="Checkpoint")
    text = shown(app)
    for word in (
        checkpoint["content_hash"],
        checkpoint["folder"],
        f"{checkpoint['size_bytes']} B",
        "Latents at the prompt",
    ):
        assert word in text
    assert app.dataframe[0].value["File"].tolist() == ["parts.safetensors"]
    there = links(app)
    assert there["Evaluate it"] == "what=weaver_eval&checkpoint=2"
    assert there["Train the trigger from it"] == "what=trigger_grpo&checkpoint=2"
    assert there["Lineage"] == "run=2"
    assert links(open_page("run", run="2"))["pipeline 1, Weaver SFT"] == "pipeline=1"


def test_checkpoint_without_latents_has_no_heading_for_them(studio: Studio) -> None:
    run_id = studio.trained(SFT | {"stage": "lora_sft"}, manifest={"latents": {}})
    text = shown(open_page("run", run=str(run_id), tab="Checkpoint"))
    assert "Folder, relative to the home folder" in text
    assert "Latents" not in text


def test_checkpoint_that_is_damaged_is_said_in_its_tab(studio: Studio) -> None:
    weaver = studio.trained()
    next(studio.home.glob("runs/**/parts.safetensors")).write_bytes(b"other weights")
    text = said(open_page("run", run=str(weaver), tab="Checkpoint"))
    assert "is damaged: parts.safetensors: its content is not what the manifest's hash says" in text


def test_tab_of_another_kind_of_run_in_the_address_does_no_harm(studio: Studio) -> None:
    studio.trained(SFT, *metric("train/loss", 1.0))
    assert open_page("run", run="1", tab="Answers").session_state["tab"] == "Overview"


def test_way_from_an_evaluation_to_its_parent_meets_no_leftover(studio: Studio) -> None:
    weaver = studio.trained(SFT, *metric("train/loss", 1.0))
    held = studio.claimed(setting="weaver", checkpoint=str(weaver))
    held.say(*metric("eval/accuracy", 1.0))
    app = open_page("run", run="2", tab="Answers")
    app.query_params.clear()
    app.query_params["run"] = "1"
    app.run()
    assert not app.exception
    assert "Run 1" in shown(app)


def test_waiting_and_skipped_runs_say_why(studio: Studio) -> None:
    studio.submit_pipeline(include=["base_eval", "weaver_sft", "weaver_eval"])
    assert "**Waits:** Weaver SFT (run 2), whose checkpoint it needs, is queued" in said(open_page("run", run="3"))
    studio.work()
    studio.work("failed")
    studio.reconciler.round()
    text = said(open_page("run", run="3"))
    assert "**Skipped:** Weaver SFT (run 2) failed" in text
    assert "can be continued" in text


def test_figures_of_trainings_and_of_evaluations_with_latents(studio: Studio) -> None:
    weaver = studio.trained(
        result={"loss": 0.5123, "eval_loss_before": 1.67, "eval_loss": 0.36, "steps": 93, "num_examples": 370}
    )
    trigger = studio.trained(
        GRPO, checkpoint=str(weaver),
        result={"loss": 0.0, "reward": 0.25, "insert_rate": 0.5, "frac_reward_zero_std": 0.75, "steps": 4},
    )  # fmt: skip
    ltpo = studio.evaluated(
        stage="ltpo_evaluate", checkpoint=str(trigger),
        result={
            "mean_insertions": 2.5, "insert_rate": 0.4, "ltpo_reward_gain": 0.0312, "ltpo_distance": 1.234,
            "ltpo_step_ulps": 1.503,
        },
    )  # fmt: skip
    of_weaver, of_trigger, of_ltpo = (run_figures(studio.client.run(number), NOW) for number in (weaver, trigger, ltpo))
    assert (of_weaver["Steps"], of_weaver["Last loss"], of_weaver["Validation loss"]) == ("93", "0.5123", "0.36")
    assert (of_trigger["Last reward"], of_trigger["Last insert rate"], of_trigger["Groups without signal"]) == (
        "0.250",
        "50.0 %",
        "75.0 %",
    )
    assert "Last loss" not in of_trigger
    assert (of_ltpo["Mean insertions"], of_ltpo["Insert rate"]) == ("2.50", "40.0 %")
    assert (of_ltpo["LTPO reward gain"], of_ltpo["LTPO distance"]) == ("+0.0312", "1.23")
    assert of_ltpo["LTPO step in roundings"] == "1.5"


def test_finished_evaluation_links_to_a_comparison(studio: Studio) -> None:
    studio.evaluated(True)
    assert links(open_page("run", run="1"))["Compare"] == "runs=1"


def test_answer_says_where_latents_were_inserted(studio: Studio) -> None:
    answered(studio)
    app = open_page("run", run="1", tab="Answers")
    assert [one.label for one in app.expander] == ["Latents inserted 2 times at 3 decision points"]
    app = _unfolded("latents_answer_0")
    frame = app.dataframe[1].value
    assert frame["token"].tolist() == [0, 14, 30]
    assert frame["decision"].tolist() == ["inserted", "inserted", "skipped"]
    assert frame["asked"].tolist() == [False, True, True]


def test_ltpo_answer_shows_a_reward_curve_per_insertion(studio: Studio) -> None:
    answered(studio, ltpo=[TRACE, {**TRACE, "token": 0, "best_step": 0, "step_ulps": 1.4}])
    app = _unfolded("ltpo_answer_0")
    assert app.expander[1].label == "LTPO: reward gain +0.040 over 2 insertions"
    text = shown(app)
    for word in ("in front of token 14", "at the end of the prompt", "best at step 2", "entropy 2\\.100", "1\\.25"):
        assert word in text
    assert text.count("units in the last place") == 1, "older answers have no size of steps"
    assert "step 1\\.4 units in the last place" in text
    assert len(app.get("vega_lite_chart")) == 2


def _unfolded(key: str) -> AppTest:
    app = open_page("run", run="1", tab="Answers")
    app.session_state[key] = True
    app.run()
    assert not app.exception, app.exception
    return app


def test_answer_without_latents_has_no_folded_part(studio: Studio) -> None:
    answered(studio, augmentations=[])
    assert not open_page("run", run="1", tab="Answers").expander


def test_words_of_insertions() -> None:
    assert insertion_words(record()).startswith("Latents inserted 2 times")
    one = record(augmentations=[{"token": 0, "asked": False, "inserted": True}])
    assert insertion_words(one) == "Latents inserted once at 1 decision point"
    assert ltpo_words([LtpoTrace.model_validate(TRACE)]) == "LTPO: reward gain +0.080 over 1 insertion"


def test_decision_chart_reaches_over_the_whole_completion() -> None:
    frame = decision_frame([Augmentation(token=14, asked=True, inserted=False)])
    chart = decision_chart(frame, 40).to_dict()
    assert chart["encoding"]["x"]["scale"]["domain"] == [0, 40]
    assert frame["where"].tolist() == ["completion"]


def test_reward_chart_marks_the_best_step() -> None:
    frame = reward_frame(LtpoTrace.model_validate(TRACE))
    assert frame["best"].tolist() == [False, False, True, False]
    assert reward_chart(frame).to_dict()["layer"][2]["transform"] == [{"filter": "datum.best"}]


def test_curves_share_their_steps_and_have_a_legend_where_several() -> None:
    two = [series(name, [2.0, 1.0]) for name in ("train/loss", "eval/loss")]
    frame = curves_frame(two)
    assert frame["metric"].tolist() == ["train/loss"] * 2 + ["eval/loss"] * 2
    chart = curves_chart(frame, ["train/loss", "eval/loss"]).to_dict()["layer"][0]
    assert chart["encoding"]["color"]["legend"]["orient"] == "top-right"
    alone = curves_chart(curves_frame(two[:1]), ["train/loss"]).to_dict()["layer"][0]
    assert alone["encoding"]["color"]["legend"] is None
    assert curves_frame([]).empty


def test_validation_loss_belongs_to_steps_of_the_training() -> None:
    assert (step_title("eval/loss"), step_title("eval/accuracy")) == ("step", "questions answered")


def test_attempts_are_drawn_apart_and_looks_are_kept_in_the_address(studio: Studio) -> None:
    first = studio.claimed(**SFT)
    first.say({"event": "checkpoint", "step": 2, "path": "x"}, *metric("train/loss", 3.0, 2.0, 1.0))
    first.finish("stopped", "stopped")
    studio.client.resume(1)
    studio.held().say(*metric("train/loss", 3.0, 1.5), progress(2, 16))
    app = open_page("run", run="1", tab="Metrics", attempts="apart", smoothing="much", axis="log", over="time")
    asked = [one.url.params.get("attempt") for one in studio.wire.asked if one.url.path.endswith("/metrics")]
    assert asked == [None, "1", "2"]
    chart = app.get("vega_lite_chart")[-1].proto.spec
    for word in ("temporal", '"log"', "smooth"):
        assert word in chart
    studio.wire.asked.clear()
    app.run()
    assert "GET /runs/1/metrics" not in studio.wire.paths()
    app.segmented_control(key="axis").set_value("linear").run()
    assert "axis" not in app.query_params
    assert app.query_params["smoothing"] == "much"
