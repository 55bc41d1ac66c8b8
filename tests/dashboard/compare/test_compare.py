"""Comparing evaluations: tables and charts as pure functions, and the page."""

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from backend.api.schemas import CompareOut, InsertionGroups
from dashboard.compare.charts import accuracy_chart, change_chart, interval_frame, nll_chart
from dashboard.compare.downloads import COMPARE_DOWNLOADS
from dashboard.compare.insertions import insertions_frame
from dashboard.compare.table import cost_frame, p_value, result_frame, run_label, verdict_text
from dashboard.parts.url_state import run_numbers
from dashboard.parts.verdicts import points
from memgen.scoring import SCORER_VERSIONS
from tests.dashboard.pages import button_keys, open_page, said, shown
from tests.dashboard.studio import Studio, links, metric

SCORER_VERSION = SCORER_VERSIONS["number"]  # of the kind that our data sets have

ENVIRONMENT = {"model": "folder:1", "prompt_hash": "p", "scorer_version": SCORER_VERSION}


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
        "run_id": run_id, "stage": "evaluate", "setting": setting, "preset": "p", "note": "",
        "num_questions": 1319, "accuracy": 0.395, "low": 0.369, "high": 0.422, "is_base": change is None,
        "change": change,
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


ANSWERED: dict[str, Any] = {
    "question": "How *many*?", "prompt": [{"role": "user", "content": "Question: How *many*?"}], "solution": "#### 3"
}  # fmt: skip


@pytest.fixture
def three(studio: Studio) -> Studio:
    """Evaluations 2, 3 and 4 of one weaver, run 1: a base, one that mends half of the questions, a shorter one."""
    before, after = ({0: ANSWERED | {"completion": text}} for text in ("**four**", "$three$"))
    weaver = str(studio.trained())
    studio.evaluated(*[False] * 80, answers=before)
    augmented = {i: {"augmentations": [{"token": 0, "asked": True, "inserted": i < 60}]} for i in range(1, 80)}
    studio.evaluated(
        *[True] * 40, *[False] * 40, answers=after | augmented, setting="weaver", checkpoint=weaver
    )  # fmt: skip
    studio.evaluated(
        *[False] * 8, setting="weaver+random", insert_probability=0.5, checkpoint=weaver, num_questions=8
    )  # fmt: skip
    return studio


def test_ablated_weaver_is_named_in_tables_and_labels() -> None:
    reply = comparison()
    reply["items"][1]["ablation"] = "static latents"
    parsed = CompareOut.model_validate(reply)
    assert result_frame(parsed)["setting"].tolist() == ["base", "weaver (static latents)", "weaver+trigger"]
    assert run_label(parsed.items[1]) == "weaver (static latents), run 5"


def test_table_says_change_interval_band_and_verdict_in_words() -> None:
    frame = result_frame(CompareOut.model_validate(comparison()))
    assert frame["accuracy"].tolist()[1] == "58.2 % (55.5 to 60.8)"
    assert frame["change"].tolist() == ["base", "+18.6 (+15.6 to +21.7)", "−2.5 (−12.5 to +7.5)"]
    assert frame["expected"].tolist() == ["", "+5 to +10", ""]
    assert frame["verdict"].tolist() == [["base"], ["better"], ["too few questions to tell"]]
    assert frame["p"].tolist() == ["", "< 0.001", "1.000"]
    assert frame["fixed"].tolist()[1:] == [300, 1]


def test_table_and_charts_say_accuracy_with_the_box_required_or_that_it_was_not_measured() -> None:
    reply = comparison()
    reply["items"][1] |= {"accuracy_strict": {"value": 0.5, "low": 0.47, "high": 0.53}}
    reply["items"][1]["change"]["strict"] = {"value": 12.0, "low": 9.0, "high": 15.0}
    out = CompareOut.model_validate(reply)
    assert result_frame(out)["strict"].tolist() == ["–", "50.0 % (+12.0)", "–"]
    drawn = interval_frame(out).loc[1, ["strict", "change_strict"]].tolist()
    assert drawn == [50.0, 12.0]


def test_table_and_chart_say_how_the_likelihood_of_the_solutions_changed() -> None:
    reply = comparison()
    assert nll_chart(interval_frame(CompareOut.model_validate(reply))) is None
    reply["items"][0]["nll"] = {"value": 0.7, "low": 0.6, "high": 0.8}
    reply["items"][1]["nll"] = {"value": 0.5, "low": 0.4, "high": 0.6}
    reply["items"][1]["change"]["nll"] = {"value": -0.2, "low": -0.25, "high": -0.15}
    out = CompareOut.model_validate(reply)
    assert cost_frame(out)["nll"].tolist() == ["0.700", "0.500 (−0.200, −0.250 to −0.150)", "–"]
    chart = nll_chart(interval_frame(out))
    assert chart is not None
    assert [layer["encoding"]["x"]["field"] for layer in chart.to_dict()["layer"]] == ["zero", "nll_low", "nll_change"]


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
    assert verdict_text(items[1]) == "weaver, run 5: Better: +18.6 points, p = 1e-40."
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
    band, zero, interval, ring, _ = changes["layer"]
    assert ring["encoding"]["x"]["field"] == "change_strict"
    assert (band["mark"]["type"], band["encoding"]["x2"]["field"]) == ("bar", "expected_high")
    assert zero["encoding"]["x"]["field"] == "zero"
    assert interval["encoding"]["y"]["scale"]["domain"] == labels
    drawn = changes["datasets"][changes["layer"][0]["data"]["name"]]
    assert [row["label"] for row in drawn] == labels[1:2]  # only one of the two has an expected band


def test_comparison_of_the_address_shows_conditions_verdicts_and_warnings(three: Studio) -> None:
    app = open_page("compare", runs="2,3,4", base="2")
    assert three.wire.query("/compare") == {"runs": "2,3,4", "base": "2"}
    assert app.dataframe[0].value["run"].tolist() == [2, 3, 4]
    assert "Longest answer" in shown(app)
    assert "answered different numbers of questions" in said(app)
    assert "too few questions to tell" in shown(app)
    assert "better] weaver, run 3: " in said(app)


def test_warnings_of_a_comparison_are_shown_as_plain_text(three: Studio) -> None:
    three.evaluated(*[True] * 80, environment={"device": "a *GPU*"})
    three.evaluated(*[True] * 80, environment={"device": "cpu"})
    assert "a \\*GPU\\*" in shown(open_page("compare", runs="5,6"))


def test_choice_knows_finished_evaluations_only_and_stays_in_the_address(three: Studio) -> None:
    three.claimed()
    app = open_page("compare", runs="3")
    assert "Choose a second evaluation" in shown(app)
    assert [option.split(" · ")[0] for option in app.multiselect[0].options] == ["run 4", "run 3", "run 2"]
    app.multiselect(key="compare_runs").set_value([3, 2]).run()
    assert not app.exception
    assert app.query_params["runs"] in ("3,2", ["3,2"])
    assert app.dataframe[0].value["run"].tolist() == [2, 3]


def test_base_is_chosen_among_the_compared_and_kept_in_the_address(three: Studio) -> None:
    app = open_page("compare", runs="2,3")
    app.selectbox(key="compare_base").select(3).run()
    assert app.query_params["base"] in ("3", ["3"])
    app.multiselect(key="compare_runs").set_value([2, 4]).run()
    assert not app.exception
    assert app.selectbox(key="compare_base").value is None
    assert "base" not in three.wire.query("/compare")


def test_run_of_the_address_that_is_gone_is_said(three: Studio) -> None:
    assert "no run 99" in shown(open_page("compare", runs="2,99"))


def test_nothing_chosen_says_what_to_do(studio: Studio) -> None:
    assert "Choose the evaluations to compare" in shown(open_page("compare"))


def test_refusal_is_shown_as_the_backend_words_it(studio: Studio) -> None:
    studio.evaluated(True)
    studio.evaluated(True, data="wordproblems")
    app = open_page("compare", runs="1,2")
    problem = studio.user("GET", "/compare", params={"runs": "1,2"}).json()
    assert "differ in data (gsm8k and wordproblems)" in problem["title"]
    for part in ("differ in data (gsm8k and wordproblems)", problem["way_out"].rstrip(".")):
        assert part in said(app)
    assert not app.dataframe


def test_texts_of_both_evaluations_stand_side_by_side_as_plain_text(three: Studio) -> None:
    app = open_page("compare", runs="2,3,4", tab="Answers")
    assert [code.value for code in app.code][:3] == ["▶⟦**four**⟧", "▶⟦$three$⟧", "#### 3"]
    assert next(text.value for text in app.text) == "How *many*?"
    assert "Question 1**" in shown(app)
    assert three.wire.query("/compare/answers") == {"before": "2", "after": "3", "show": "all", "limit": "10"}
    assert links(app)["Ask this one again"].startswith("run=2&beside=3&answer=")


def test_pairs_follow_the_filter_and_the_two_chosen(three: Studio) -> None:
    app = open_page("compare", runs="2,3,4", tab="Answers", pairs="broken", after="4")
    assert "No question matches" in shown(app)
    asked = three.wire.query("/compare/answers")
    assert (asked["after"], asked["show"]) == ("4", "broken")
    app.selectbox(key="before").select("4").run()
    assert "Choose two different evaluations" in shown(app)


def test_pair_that_is_fixed_without_a_box_says_so(studio: Studio) -> None:
    weaver = str(studio.trained())
    studio.evaluated(False)
    loose = {0: {"metrics": {"accuracy": 1.0, "format_ok": 0.0}}}
    studio.evaluated(True, answers=loose, setting="weaver", checkpoint=weaver)
    app = open_page("compare", runs="2,3", tab="Answers", pairs="without_box")
    assert "only without a box" in shown(app)
    assert studio.wire.query("/compare/answers")["show"] == "without_box"
    assert "1 of the fixed and 0 of the broken had their right answer without a box" in said(app)


def rescored(studio: Studio, run_id: int) -> int:
    return len([event for event in studio.history(run_id) if event["kind"] == "rescored"])


def test_comparison_of_two_scorers_offers_to_rescore_the_older_runs(studio: Studio) -> None:
    for version in (1, 1, SCORER_VERSION):
        studio.evaluated(True, environment={"scorer_version": version})
    app = open_page("compare", runs="1,2,3")
    assert "scored by different versions" in shown(app)
    assert app.button(key="rescore").label == "Rescore runs 1, 2"
    app.button(key="rescore").click().run()
    assert [rescored(studio, number) for number in (1, 2, 3)] == [1, 1, 0]
    assert app.dataframe[0].value["run"].tolist() == [1, 2, 3]


def test_offer_to_rescore_does_nothing_once_others_have_done_it(studio: Studio) -> None:
    for version in (1, SCORER_VERSION):
        studio.evaluated(True, environment={"scorer_version": version})
    app = open_page("compare", runs="1,2")
    studio.client.rescore(1)
    app.button(key="rescore").click().run()
    assert not app.exception
    assert rescored(studio, 1) == 1
    assert app.dataframe[0].value["run"].tolist() == [1, 2]


def test_insertions_are_fetched_when_their_tab_is_open(three: Studio) -> None:
    app = open_page("compare", runs="2,3,4")
    assert "GET /compare/insertions" not in three.wire.paths()
    app = open_page("compare", runs="2,3,4", tab="Insertions")
    assert three.wire.query("/compare/insertions") == {"before": "2", "after": "3"}
    assert app.dataframe[-1].value["n"].tolist() == [59, 20, 1]
    app.selectbox(key="after").select("4").run()
    assert "inserts no latents" in shown(app)


def test_tab_of_the_address_is_open_and_shows_what_differs(three: Studio) -> None:
    app = open_page("compare", runs="2,3,4", tab="Settings that differ")
    assert [tab.label for tab in app.tabs] == ["Results", "Answers", "Insertions", "Settings that differ", "Curves"]
    frame = app.dataframe[0].value
    assert list(frame.columns) == ["field", "base, run 2", "weaver, run 3", "weaver+random, run 4"]
    rows = frame.set_index("field")
    assert rows.loc["Setting"].tolist() == ["base", "weaver", "weaver+random"]
    assert rows.loc["Probability of an insertion"].tolist() == ["–", "–", "0.5"]
    assert not any("weaver_sft" in field for field in rows.index)  # both have the same weaver


def test_curves_of_the_compared_are_drawn_in_their_tab(three: Studio) -> None:
    for _ in range(2):
        held = three.claimed()
        held.say(*metric("eval/accuracy", 0.5, 1.0))
        held.answer(0)
        three.complete(held, result={"num_questions": 1, "accuracy": 1.0}, environment=ENVIRONMENT)
    app = open_page("compare", runs="5,6", tab="Curves")
    assert three.wire.query("/curves")["runs"] == "5,6"
    assert app.selectbox(key="compare_metric").value == "eval/accuracy"
    assert len(app.get("vega_lite_chart")) == 2  # of the changes, and the curves


@pytest.mark.parametrize(
    ("view", "own"), [("Results", []), ("Answers", ["GET /compare/answers"]), ("Curves", ["GET /curves"])]
)
def test_rerun_of_a_comparison_sends_at_most_three_requests(three: Studio, view: str, own: list[str]) -> None:
    app = open_page("compare", runs="2,3,4", tab=view)
    three.wire.asked.clear()
    app.run()
    assert set(three.wire.paths()) <= {"GET /compare", "GET /health", *own}
    assert len(three.wire.paths()) <= 3


def test_evaluations_are_searched_for_where_they_are_stored(three: Studio) -> None:
    app = open_page("compare", runs="2,3")
    assert three.wire.query("/runs") == {
        "status": "succeeded", "stage": "evaluate,ltpo_evaluate", "limit": "100",
    }  # fmt: skip
    app.text_input(key="compare_text").set_value("no such note").run()
    assert three.wire.query("/runs")["text"] == "no such note"
    assert [option.split(" · ")[0] for option in app.multiselect[0].options] == ["run 3", "run 2"]


def test_many_warnings_are_folded_to_their_count(three: Studio) -> None:
    for device in ("a", "b", "c"):
        three.evaluated(*[True] * 80, environment={"device": device})
    assert len(open_page("compare", runs="5,6").warning) == 1
    app = open_page("compare", runs="2,5,6,7")
    assert not app.warning
    assert [one.label for one in app.expander] == ["3 warnings"]


def test_base_is_pinned_and_unpinned_and_home_says_so(three: Studio) -> None:
    app = open_page("compare", runs="2,3")
    assert app.button(key="pin_baseline").label == "Pin run 2 as the baseline"
    app.selectbox(key="compare_base").select(3).run()
    app.button(key="pin_baseline").click().run()
    assert three.client.baseline().run_id == 3
    assert "pin_baseline" not in button_keys(app)
    home = open_page()
    assert links(home)["Pinned baseline: run 3, weaver"] == "run=3"
    assert "**−50.0** points" in shown(home)
    home.button(key="unpin_baseline").click().run()
    assert three.client.baseline().run_id is None
    assert "unpin_baseline" not in button_keys(home)


def test_deleted_baseline_is_said_on_home_until_it_is_unpinned(three: Studio) -> None:
    three.client.pin_baseline(3)
    three.client.delete(3, confirm=True)
    home = open_page()
    assert "The pinned baseline, run 3, was deleted" in shown(home)
    home.button(key="unpin_baseline").click().run()
    assert "was deleted" not in shown(home)


def test_pinned_baseline_beside_another_base_is_named(three: Studio) -> None:
    three.client.pin_baseline(4)
    app = open_page("compare", runs="2,3", base="2")
    assert "Pinned is run 4" in shown(app)
    assert {"pin_baseline", "unpin_baseline"} <= button_keys(app)


@pytest.mark.parametrize(("form", "media"), [("csv", "text/csv; charset=utf-8"), ("jsonl", "application/jsonl")])
def test_downloads_hand_the_backends_files_on(three: Studio, form: str, media: str) -> None:
    with TestClient(Starlette(routes=COMPARE_DOWNLOADS)) as files:
        table = files.get("/download/compare/results", params={"runs": "2,3", "base": "3", "format": form})
        pairs = files.get("/download/compare/answers", params={"before": "2", "after": "3", "format": form})
        assert table.content == b"".join(three.client.export_comparison([2, 3], base=3, form=form))  # type: ignore[arg-type]
        assert pairs.content == b"".join(three.client.export_answers(2, 3, form=form))  # type: ignore[arg-type]
        assert {reply.headers["content-type"] for reply in (table, pairs)} == {media}
        assert table.headers["content-disposition"] == f'attachment; filename="comparison-2-3.{form}"'
        refused = files.get("/download/compare/answers", params={"before": "2", "after": "99", "format": form})
        assert (refused.status_code, "no run with this id" in refused.text) == (404, True)
        three.wire.down = True
        assert files.get("/download/compare/results", params={"runs": "2,3", "format": form}).status_code == 503


@pytest.mark.parametrize("query", ["runs=2,3&format=exe", "format=csv", "runs=x&format=csv"])
def test_download_that_is_none_is_not_found(three: Studio, query: str) -> None:
    with TestClient(Starlette(routes=COMPARE_DOWNLOADS)) as files:
        assert files.get(f"/download/compare/results?{query}").status_code == 404
        assert files.get(f"/download/compare/answers?{query}").status_code == 404


def test_nothing_of_a_chart_is_cut_at_its_edge() -> None:
    reply = comparison()
    reply["items"][1]["change"] |= {"points": 1.0, "low": 0.0, "high": 2.0}
    changes = change_chart(interval_frame(CompareOut.model_validate(reply))).to_dict()["layer"]
    low, high = next(
        layer["encoding"]["x"]["scale"]["domain"] for layer in changes if "scale" in layer["encoding"]["x"]
    )
    assert low < -12.5 and high > 10  # the interval of run 6, the expected band of run 5
    accuracy = accuracy_chart(interval_frame(CompareOut.model_validate(reply))).to_dict()["layer"]
    low, high = accuracy[0]["encoding"]["x"]["scale"]["domain"]
    assert low < 36.9 and high > 60.8


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
