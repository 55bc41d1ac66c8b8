"""The page of a training, and of evaluations with latents."""

from datetime import UTC, datetime
from typing import Any

from streamlit.testing.v1 import AppTest

from backend.api.schemas import MetricSeries, RunDetail
from dashboard.parts.charts import curves_chart, curves_frame, step_title
from dashboard.parts.latents_charts import decision_chart, decision_frame, reward_chart, reward_frame
from dashboard.parts.latents_view import insertion_words, ltpo_words
from dashboard.parts.run_figures import run_figures
from memgen.contract.answers import AnswerRecord, Augmentation, LtpoTrace
from tests.dashboard.test_dashboard_pages import open_page, shown

SFT = {"stage": "weaver_sft", "data": "wordproblems", "max_steps": 16}
GRPO = {"stage": "trigger_grpo", "data": "wordproblems", "checkpoint": "2", "max_steps": 4}
NOW = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)
TRACE = {
    "token": 14, "rewards": [0.5, 0.52, 0.58, 0.55], "best_step": 2, "distance": 1.25, "entropy": [2.1, 1.9],
    "top1": [0.4, 0.45],
}  # fmt: skip


def series(name: str, values: list[float]) -> dict[str, Any]:
    """A metric as the backend sends it."""
    steps = list(range(1, len(values) + 1))
    return {"name": name, "steps": steps, "values": values, "times": [1.8e9 + step for step in steps]}


def tab_names(app: AppTest) -> list[str]:
    """Tabs of a run page."""
    return [tab.label for tab in app.tabs]


def links(app: AppTest) -> dict[str, str]:
    """Label and query of each link to a page."""
    return {link.proto.label: link.proto.query_string for link in app.get("page_link")}


def answer(**changes: Any) -> dict[str, Any]:
    """An answer with latents at two of three points."""
    points = [(0, False, True), (14, True, True), (30, True, False)]
    return {
        "id": "gsm8k:0", "index": 0, "prompt": [{"role": "user", "content": "Question: How many?"}],
        "solution": "#### 3", "completion": "three", "metrics": {"accuracy": 1.0, "format_ok": 1.0},
        "completion_tokens": 40, "truncated": False, "seconds": 1.5,
        "augmentations": [dict(zip(("token", "asked", "inserted"), point, strict=True)) for point in points],
    } | changes  # fmt: skip


def test_weaver_training_shows_its_curves_and_no_answers(backend: Any) -> None:
    backend.add_run(2, config=SFT, stage="weaver_sft", setting="", summary={"loss": 0.51, "steps": 16})
    names = ("train/loss", "eval/loss", "train/learning_rate", "train/grad_norm", "train/step_seconds")
    backend.series = [series(name, [1.5, 0.5]) for name in names]
    app = open_page("run", run="2")
    text = shown(app)
    assert tab_names(app)[:2] == ["Metrics", "Checkpoint"]
    assert "Answers" not in tab_names(app)
    assert len(app.get("vega_lite_chart")) == 4
    assert app.selectbox(key="metric").options == ["eval/loss", *sorted(names[:1] + names[2:])]
    for title in ("**Loss**", "**Learning rate**", "**Gradient norm**"):
        assert title in text
    assert "weaver\\_sft · wordproblems" in text
    assert "weaver\\_sft, " not in text


def test_trigger_training_shows_what_tells_whether_it_learns(backend: Any) -> None:
    backend.add_run(4, "running", config=GRPO, stage="trigger_grpo", setting="", parent_id=2)
    names = ("reward", "reward_std", "insert_rate", "frac_reward_zero_std", "completions/mean_length",
             "completions/truncated", "entropy", "grad_norm")  # fmt: skip
    backend.series = [series(f"train/{name}", [0.25]) for name in names]
    backend.runs[4]["progress"] = {"phase": "train", "detail": "", "done": 1, "total": 4, "unit": "steps"}
    app = open_page("run", run="4")
    text = shown(app)
    assert len(app.get("vega_lite_chart")) == 7 + 1
    assert "Checkpoint" not in tab_names(app)
    for word in ("Groups without signal", "Completion length", "Entropy", "**1 of 4**", "**0\\.250**"):
        assert word in text
    assert any("since=0" in str(request.url) for request in backend.asked)
    assert links(app)["starts from the checkpoint of run 2"] == "run=2"


def test_training_without_metrics_says_when_they_come(backend: Any) -> None:
    backend.add_run(2, "running", config=SFT, stage="weaver_sft", setting="")
    assert "the first come with the first step" in shown(open_page("run", run="2"))


def test_checkpoint_tab_says_what_it_is_and_what_can_follow(backend: Any) -> None:
    backend.add_run(2, config=SFT, stage="weaver_sft", setting="", pipeline_id=7, step="weaver_sft")
    backend.checkpoints[2] = {
        "id": 2, "stage": "weaver_sft", "preset": "p", "data": "gsm8k", "note": "", "run_status": "succeeded",
        "usable": True, "reason": "", "created_at": None, "content_hash": "0123456789abcdef", "base_model": "hub:q@1",
        "trained": ["weaver"], "latents": {"prompt_latents_len": 8}, "step": 16, "parent_id": None,
        "size_bytes": 2**20, "folder": "train/gsm8k/q/2/weaver_sft", "files": {"weaver.safetensors": "ab" * 32},
    }  # fmt: skip
    app = open_page("run", run="2", tab="Checkpoint")
    text = shown(app)
    for word in ("0123456789abcdef", "Prompt latents len", "train/gsm8k/q/2/weaver_sft", "1.0 MB".replace(".", "\\.")):
        assert word in text
    assert app.dataframe[0].value["File"].tolist() == ["weaver.safetensors"]
    found = links(app)
    assert found["Evaluate it"] == "what=weaver_eval&checkpoint=2"
    assert found["Train the trigger from it"] == "what=trigger_grpo&checkpoint=2"
    assert found["Lineage"] == "run=2"
    assert found["pipeline 7, Weaver SFT"] == "pipeline=7"


def test_checkpoint_that_is_gone_is_said_in_its_tab(backend: Any) -> None:
    backend.add_run(2, config=SFT, stage="weaver_sft", setting="")
    assert "No checkpoint of this number" in shown(open_page("run", run="2", tab="Checkpoint"))


def test_tab_of_another_kind_of_run_in_the_address_does_no_harm(backend: Any) -> None:
    backend.add_run(2, config=SFT, stage="weaver_sft", setting="")
    backend.series = [series("train/loss", [1.0])]
    app = open_page("run", run="2", tab="Answers")
    assert "Last value of train/loss" in shown(app)


def test_way_from_an_evaluation_to_its_parent_meets_no_leftover(backend: Any) -> None:
    backend.add_run(2, config=SFT, stage="weaver_sft", setting="")
    backend.add_run(3, setting="weaver", parent_id=2)
    backend.series = [series("eval/accuracy", [1.0])]
    app = open_page("run", run="3", tab="Answers")
    backend.series = [series("train/loss", [1.0])]
    app.query_params.clear()
    app.query_params["run"] = "2"
    app.run()
    assert not app.exception
    assert "Run 2" in shown(app)


def test_waiting_and_skipped_runs_say_why(backend: Any) -> None:
    backend.add_run(4, "waiting", config=GRPO, stage="trigger_grpo", setting="", parent_id=2)
    assert "It needs the checkpoint of run 2" in shown(open_page("run", run="4"))
    backend.runs[4]["waits_for"] = "Run 2, weaver_sft, is running."
    assert "Run 2, weaver\\_sft, is running" in shown(open_page("run", run="4"))
    backend.add_run(5, "skipped", setting="weaver", parent_id=2, pipeline_id=1, step="weaver_eval")
    backend.events = [{
        "time": "2026-11-22T20:00:00Z", "attempt": None, "kind": "run", "from_status": "waiting",
        "to_status": "skipped", "cause": None, "actor": "backend", "detail": "run 2 failed",
    }]  # fmt: skip
    text = shown(open_page("run", run="5"))
    assert "**Skipped:** Run 2 failed\\." in text
    assert "can be continued" in text


def test_figures_of_trainings_and_of_evaluations_with_latents(backend: Any) -> None:
    backend.add_run(
        2, config=SFT, stage="weaver_sft", setting="",
        summary={"loss": 0.5123, "eval_loss_before": 1.67, "eval_loss": 0.36, "steps": 93, "num_examples": 370},
    )  # fmt: skip
    backend.add_run(
        4, config=GRPO, stage="trigger_grpo", setting="",
        summary={"loss": 0.0, "reward": 0.25, "insert_rate": 0.5, "frac_reward_zero_std": 0.75, "steps": 4},
    )  # fmt: skip
    backend.add_run(
        6, setting="weaver+trigger+ltpo", stage="ltpo_evaluate",
        summary={"accuracy": 0.5, "mean_insertions": 2.5, "insert_rate": 0.4, "ltpo_reward_gain": 0.0312,
                 "ltpo_distance": 1.234},
    )  # fmt: skip
    weaver, trigger, ltpo = (run_figures(RunDetail.model_validate(backend.runs[number]), NOW) for number in (2, 4, 6))
    assert (weaver["Steps"], weaver["Last loss"], weaver["Validation loss"]) == ("93", "0.5123", "0.36")
    assert (trigger["Last reward"], trigger["Last insert rate"], trigger["Groups without signal"]) == (
        "0.250",
        "50.0 %",
        "75.0 %",
    )
    assert "Last loss" not in trigger
    assert (ltpo["Mean insertions"], ltpo["Insert rate"]) == ("2.50", "40.0 %")
    assert (ltpo["LTPO reward gain"], ltpo["LTPO distance"]) == ("+0.0312", "1.23")


def test_finished_evaluation_links_to_a_comparison(backend: Any) -> None:
    backend.add_run(3)
    assert links(open_page("run", run="3"))["Compare"] == "runs=3"


def test_answer_says_where_latents_were_inserted(backend: Any) -> None:
    backend.add_run(3, setting="weaver+trigger")
    backend.answers = [answer()]
    app = open_page("run", run="3", tab="Answers")
    assert [one.label for one in app.expander] == ["Latents inserted 2 times at 3 decision points"]
    app = _unfolded("latents_answer_0")
    frame = app.dataframe[0].value
    assert frame["token"].tolist() == [0, 14, 30]
    assert frame["decision"].tolist() == ["inserted", "inserted", "skipped"]
    assert frame["asked"].tolist() == [False, True, True]


def test_ltpo_answer_shows_a_reward_curve_per_insertion(backend: Any) -> None:
    backend.add_run(3, setting="weaver+trigger+ltpo", stage="ltpo_evaluate")
    backend.answers = [answer(ltpo=[TRACE, {**TRACE, "token": 0, "best_step": 0}])]
    app = _unfolded("ltpo_answer_0")
    assert app.expander[1].label == "LTPO: reward gain +0.040 over 2 insertions"
    text = shown(app)
    for word in ("in front of token 14", "at the end of the prompt", "best at step 2", "entropy 2\\.100", "1\\.25"):
        assert word in text
    assert len(app.get("vega_lite_chart")) == 2


def _unfolded(key: str) -> AppTest:
    app = open_page("run", run="3", tab="Answers")
    app.session_state[key] = True
    app.run()
    assert not app.exception, app.exception
    return app


def test_answer_without_latents_has_no_folded_part(backend: Any) -> None:
    backend.add_run(3)
    backend.answers = [answer(augmentations=[])]
    assert not open_page("run", run="3", tab="Answers").expander


def test_words_of_insertions() -> None:
    assert insertion_words(AnswerRecord.model_validate(answer())).startswith("Latents inserted 2 times")
    one = AnswerRecord.model_validate(answer(augmentations=[{"token": 0, "asked": False, "inserted": True}]))
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
    two = [MetricSeries.model_validate(series(name, [2.0, 1.0])) for name in ("train/loss", "eval/loss")]
    frame = curves_frame(two)
    assert frame["metric"].tolist() == ["train/loss"] * 2 + ["eval/loss"] * 2
    chart = curves_chart(frame, ["train/loss", "eval/loss"]).to_dict()["layer"][0]
    assert chart["encoding"]["color"]["legend"]["orient"] == "top-right"
    alone = curves_chart(curves_frame(two[:1]), ["train/loss"]).to_dict()["layer"][0]
    assert alone["encoding"]["color"]["legend"] is None
    assert curves_frame([]).empty


def test_validation_loss_belongs_to_steps_of_the_training() -> None:
    assert (step_title("eval/loss"), step_title("eval/accuracy")) == ("step", "questions answered")
