"""Comparing evaluations: tables and charts as pure functions, the page over canned replies."""

from typing import Any

import httpx
import pytest

from backend.api.schemas import CompareOut, InsertionGroups
from dashboard.compare.charts import accuracy_chart, change_chart, interval_frame
from dashboard.compare.insertions import insertions_frame
from dashboard.compare.table import cost_frame, p_value, points, result_frame, verdict_text
from dashboard.parts.url_state import run_numbers
from tests.dashboard.test_dashboard_pages import open_page, shown


def change(**changes: Any) -> dict[str, Any]:
    """A change that is clear."""
    return {
        "num_questions": 1319, "points": 18.65, "low": 15.6, "high": 21.7, "expected": [5, 10], "fixed": ["a"] * 300,
        "broken": ["b"] * 54, "p_value": 1e-40, "smallest_detectable": 3.9, "verdict": "better",
        "text": "Better than the base.",
    } | changes  # fmt: skip


def compared_run(run_id: int, setting: str, change: dict[str, Any] | None, **changes: Any) -> dict[str, Any]:
    """One evaluation of a comparison."""
    return {
        "run_id": run_id, "setting": setting, "preset": "p", "note": "", "num_questions": 1319, "accuracy": 0.395,
        "low": 0.369, "high": 0.422, "is_base": change is None, "change": change,
        "summary": {"format_ok": 0.98, "truncated": 0.01, "mean_completion_tokens": 187.25, "seconds": 754.0},
    } | changes  # fmt: skip


def comparison() -> dict[str, Any]:
    """A base, a setting that is better and one with too few questions."""
    unsure = change(
        num_questions=40, points=-2.5, low=-12.5, high=7.5, expected=None, fixed=["c"], broken=["d", "e"], p_value=1.0,
        smallest_detectable=None, verdict="too_few_questions", text="40 questions can't show 2.5 points.",
    )  # fmt: skip
    return {
        "base_id": 1,
        "conditions": {"preset": "Qwen", "max_completion_length": "1024"},
        "warnings": ["The *devices* differ."],
        "items": [
            compared_run(1, "base", None),
            compared_run(5, "weaver", change(), accuracy=0.582, low=0.555, high=0.608),
            compared_run(6, "weaver+trigger", unsure, note="fewer"),
        ],
    }


def answer(right: bool, completion: str) -> dict[str, Any]:
    """An answer to one question."""
    return {
        "id": "gsm8k:0", "index": 3, "prompt": [{"role": "user", "content": "Question: How *many*?"}],
        "solution": "#### 3", "completion": completion, "metrics": {"accuracy": float(right), "format_ok": 1.0},
        "completion_tokens": 9, "truncated": False, "seconds": 1.5,
    }  # fmt: skip


@pytest.fixture
def page_of_three(backend: Any) -> Any:
    """A backend with three evaluations, a training, and what becomes of one question."""
    for number, setting in ((1, "base"), (5, "weaver"), (6, "weaver+trigger")):
        backend.add_run(number, setting=setting, summary={"accuracy": 0.395, "num_questions": 1319})
    backend.add_run(4, stage="weaver_sft", setting="")
    backend.compared = comparison()
    backend.pairs = [{
        "id": "gsm8k:0", "kind": "fixed", "before": answer(False, "**four**"), "after": answer(True, "$three$"),
    }]  # fmt: skip
    return backend


def test_table_says_change_interval_band_and_verdict_in_words() -> None:
    frame = result_frame(CompareOut.model_validate(comparison()))
    assert frame["accuracy"].tolist()[1] == "58.2 % (55.5 to 60.8)"
    assert frame["change"].tolist() == ["base", "+18.6 (+15.6 to +21.7)", "−2.5 (−12.5 to +7.5)"]
    assert frame["expected"].tolist() == ["", "+5 to +10", ""]
    assert frame["verdict"].tolist() == [["base"], ["better"], ["too few questions to tell"]]
    assert frame["p"].tolist() == ["", "< 0.001", "1.000"]
    assert frame["fixed"].tolist()[1:] == [300, 1]


def test_table_of_costs_says_what_could_be_detected() -> None:
    frame = cost_frame(CompareOut.model_validate(comparison()))
    assert frame["smallest"].tolist() == ["–", "3.9 points", "–"]
    assert frame.loc[0, ["format", "truncated", "tokens", "seconds"]].tolist() == [
        "98.0 %",
        "1.0 %",
        "187.2",
        "12 min 34 s",
    ]


def test_verdict_names_the_questions_that_both_answered_where_they_are_fewer() -> None:
    items = CompareOut.model_validate(comparison()).items
    assert verdict_text(items[1]) == "weaver, run 5: Better than the base."
    assert verdict_text(items[2]).endswith("On the 40 questions that both answered.")


def test_small_words() -> None:
    assert [points(value) for value in (18.65, -0.04, 0.0, -3)] == ["+18.6", "+0.0", "+0.0", "−3.0"]
    assert [p_value(value) for value in (0.0321, 1e-9)] == ["0.032", "< 0.001"]
    assert run_numbers("1, 3,x,3,-2,²") == [1, 3]


def test_charts_draw_each_evaluation_in_the_order_of_the_table() -> None:
    frame = interval_frame(CompareOut.model_validate(comparison()))
    labels = ["base, run 1", "weaver, run 5", "weaver+trigger, run 6"]
    accuracy = accuracy_chart(frame).to_dict()["layer"]
    assert accuracy[0]["encoding"]["y"]["scale"]["domain"] == labels
    assert accuracy[0]["encoding"]["x2"]["field"] == "high"
    changes = change_chart(frame).to_dict()
    band, zero, interval, _ = changes["layer"]
    assert (band["mark"]["type"], band["encoding"]["x2"]["field"]) == ("bar", "expected_high")
    assert zero["encoding"]["x"]["field"] == "zero"
    assert interval["encoding"]["y"]["scale"]["domain"] == labels
    drawn = changes["datasets"][changes["layer"][0]["data"]["name"]]
    assert [row["label"] for row in drawn] == labels[1:2]  # only one of the two has an expected band


def test_comparison_of_the_address_shows_conditions_verdicts_and_warnings(page_of_three: Any) -> None:
    app = open_page("compare", runs="1,5,6", base="1")
    text = shown(app)
    asked = next(request.url for request in page_of_three.asked if request.url.path.endswith("/compare"))
    assert (asked.params["runs"], asked.params["base"]) == ("1,5,6", "1")
    assert app.dataframe[0].value["run"].tolist() == [1, 5, 6]
    assert "Max completion length" in text
    assert "The \\*devices\\* differ" in text
    assert "too few questions to tell" in text
    assert "40 questions can't show 2\\.5 points" in text


def test_choice_knows_finished_evaluations_only_and_stays_in_the_address(page_of_three: Any) -> None:
    page_of_three.add_run(7, "running", setting="base")
    app = open_page("compare", runs="5")
    assert "Choose a second evaluation" in shown(app)
    assert [option.split(" · ")[0] for option in app.multiselect[0].options] == ["run 6", "run 5", "run 1"]
    app.multiselect(key="compare_runs").set_value([5, 1]).run()
    assert not app.exception
    assert app.query_params["runs"] in ("5,1", ["5,1"])
    assert app.dataframe[0].value["run"].tolist() == [1, 5, 6]


def test_base_is_chosen_among_the_compared_and_kept_in_the_address(page_of_three: Any) -> None:
    app = open_page("compare", runs="1,5")
    app.selectbox(key="compare_base").select(5).run()
    assert app.query_params["base"] in ("5", ["5"])
    app.multiselect(key="compare_runs").set_value([1, 6]).run()
    assert not app.exception
    assert app.selectbox(key="compare_base").value is None
    last = [request.url for request in page_of_three.asked if request.url.path.endswith("/compare")][-1]
    assert "base" not in last.params


def test_run_of_the_address_that_is_gone_is_said(page_of_three: Any) -> None:
    assert "no run 99" in shown(open_page("compare", runs="1,99"))


def test_nothing_chosen_says_what_to_do(backend: Any) -> None:
    assert "Choose the evaluations to compare" in shown(open_page("compare"))


def test_refusal_is_shown_as_the_backend_words_it(page_of_three: Any) -> None:
    page_of_three.compared = {
        "title": "These evaluations can't be compared.", "status": 422, "code": "not_comparable", "field": "data",
        "value": "gsm8k, wordproblems", "way_out": "Choose evaluations of the same data.",
    }  # fmt: skip
    app = open_page("compare", runs="1,5")
    text = shown(app)
    assert "can't be compared" in text
    assert "**data** \\= gsm8k, wordproblems" in text or "**data** = gsm8k, wordproblems" in text
    assert "Choose evaluations of the same data" in text
    assert not app.dataframe


def test_texts_of_both_evaluations_stand_side_by_side_as_plain_text(page_of_three: Any) -> None:
    app = open_page("compare", runs="1,5,6")
    assert [code.value for code in app.code] == ["**four**", "$three$", "#### 3"]
    assert [text.value for text in app.text] == ["Question: How *many*?"]  # answers of an earlier version
    assert "Question 4" in shown(app)
    asked = _asked(page_of_three, "answers")[-1]
    assert dict(asked.params) == {"before": "1", "after": "5", "show": "all", "limit": "10"}


def test_pairs_follow_the_filter_and_the_two_chosen(page_of_three: Any) -> None:
    app = open_page("compare", runs="1,5,6", pairs="broken", after="6")
    assert "No question matches" in shown(app)
    asked = _asked(page_of_three, "answers")[-1]
    assert (asked.params["after"], asked.params["show"]) == ("6", "broken")
    app.selectbox(key="before").select("6").run()
    assert "Choose two different evaluations" in shown(app)


def test_comparison_of_two_scorers_offers_to_rescore_the_older_runs(page_of_three: Any) -> None:
    problem = {
        **page_of_three.compared,  # what is answered once they are scored anew
        "title": "The answers were scored by different versions.", "status": 422, "code": "scorers_differ",
        "field": "runs", "value": "1,5", "way_out": "Score the older ones anew.",
    }  # fmt: skip
    fine = page_of_three.compared
    page_of_three.compared = problem
    app = open_page("compare", runs="1,5,6")
    assert "scored by different versions" in shown(app)
    assert app.button(key="rescore").label == "Rescore runs 1, 5"
    page_of_three.compared = {**fine, "status": 200}
    app.button(key="rescore").click().run()
    assert page_of_three.rescored == []  # the comparison went well meanwhile: there is nothing to press
    page_of_three.compared = problem
    app = open_page("compare", runs="1,5,6")
    app.button(key="rescore").click().run()
    assert page_of_three.rescored == [1, 5]


def test_insertions_are_fetched_when_unfolded(page_of_three: Any) -> None:
    app = open_page("compare", runs="1,5,6")
    assert not _asked(page_of_three, "insertions")
    page_of_three.insertions = [group(True, 0, 150), group(None, 2, 50)]
    app.session_state["insertions"] = True
    app.run()
    assert dict(_asked(page_of_three, "insertions")[-1].params) == {"before": "1", "after": "5"}
    assert app.dataframe[-1].value["n"].tolist() == [150, 50]
    page_of_three.insertions = []
    assert "inserts no latents" in shown(app.run())


def test_rows_of_insertions() -> None:
    groups = [group(True, 3, 9), group(False, 1, 2), group(None, 0, 2)]
    frame = insertions_frame(InsertionGroups.model_validate({"items": groups}))
    assert frame["prompt"].tolist() == ["inserted", "skipped", "–"]
    assert frame.loc[0, ["completion", "n", "before", "after", "fixed", "broken"]].tolist() == [3, 9, 8, 7, 0, 1]


def group(at_prompt: bool | None, in_completion: int, n: int) -> dict[str, Any]:
    """Questions with the same insertions, of which one broke."""
    return {
        "at_prompt": at_prompt, "in_completion": in_completion, "num_questions": n, "right_before": n - 1,
        "right_after": n - 2, "fixed": 0, "broken": 1,
    }  # fmt: skip


def _asked(backend: Any, part: str) -> list[httpx.URL]:
    return [request.url for request in backend.asked if request.url.path.endswith(f"/compare/{part}")]
