"""Evaluations side by side: paired numbers, texts, and what is refused."""

from typing import Any

import pytest

from backend.api.schemas import CompareOut, LineageOut, RunDetail, RunList
from tests.backend.conftest import Backend, answer_line, check_problem

CONDITIONS = {"model": "folder:1", "prompt_hash": "p", "device": "cpu"}


def evaluation(
    backend: Backend,
    right: list[bool],
    environment: dict[str, str] | None = None,
    decisions: list[str] | None = None,
    **config: Any,
) -> int:
    """A finished evaluation with these verdicts; `decisions` such as `I-`: inserted, skipped."""
    backend.submit(**config)
    held = backend.held()
    lines = []
    for number, value in enumerate(right):
        made = enumerate(decisions[number]) if decisions else ()
        points = [{"token": token, "asked": True, "inserted": mark == "I"} for token, mark in made]
        lines.append(answer_line(number, right=value, augmentations=points))
    held.send("answers", b"".join(lines))
    result = {"num_questions": len(right), "accuracy": sum(right) / len(right)}
    held.finish(result=result, environment=CONDITIONS | (environment or {}))
    return held.run_id


@pytest.fixture
def weaver(backend: Backend) -> str:
    backend.submit(stage="weaver_sft", num_questions=8, batch_size=4)
    run_id = backend.work()
    backend.reconciler.round()
    return str(run_id)


def test_settings_are_compared_question_by_question(backend: Backend, weaver: str) -> None:
    base = evaluation(backend, [True] * 10 + [False] * 30)
    tuned = evaluation(backend, [False] * 2 + [True] * 24 + [False] * 14, setting="weaver", checkpoint=weaver)
    reply = backend.get("/compare", runs=f"{tuned},{base}")
    first, second = reply["items"]
    assert (reply["base_id"], first["run_id"], first["is_base"], first["change"]) == (base, base, True, None)
    assert (first["accuracy"], first["num_questions"]) == (0.25, 40)
    assert first["low"] == pytest.approx(0.1419, abs=1e-4)
    assert first["high"] == pytest.approx(0.4019, abs=1e-4)
    change = second["change"]
    assert (change["points"], change["expected"], change["num_questions"]) == (35.0, [5, 10], 40)
    assert change["fixed"] == [f"t:{number}" for number in range(10, 26)]
    assert change["broken"] == ["t:0", "t:1"]
    assert change["p_value"] == pytest.approx(0.001312, abs=1e-6)
    assert 15 < change["low"] < 35 < change["high"] < 55
    assert change["verdict"] == "better"
    assert reply["conditions"]["preset"] == "tiny/qwen2-242k"


def test_weaver_by_rewards_is_named_so_and_is_not_measured_by_what_is_expected_of_another(
    backend: Backend, weaver: str
) -> None:
    backend.submit(stage="weaver_grpo", num_questions=8, batch_size=8, checkpoint=weaver)
    rewarded = str(backend.work())
    backend.reconciler.round()
    base = evaluation(backend, [False] * 4)
    runs = [evaluation(backend, [True] * 4, setting="weaver", checkpoint=one) for one in (weaver, rewarded)]
    _, usual, other = backend.get("/compare", runs=f"{base},{runs[0]},{runs[1]}")["items"]
    assert (usual["trainings"], usual["change"]["expected"]) == ("", [5, 10])
    assert (other["trainings"], other["change"]["expected"]) == ("weaver_sft + weaver_grpo", None)


def test_list_page_lineage_and_comparison_name_an_evaluation_by_what_made_its_checkpoint(
    backend: Backend, weaver: str
) -> None:
    words = "(weaver_sft + weaver_grpo; rank 4)"
    backend.submit(stage="weaver_grpo", num_questions=8, batch_size=8, checkpoint=weaver, lora_r=4)
    rewarded = str(backend.work())
    backend.submit(stage="trigger_grpo", num_questions=8, batch_size=8, checkpoint=rewarded)
    trigger = backend.work()
    base = evaluation(backend, [False] * 4)
    usual = evaluation(backend, [True] * 4, setting="weaver", checkpoint=weaver)
    other = evaluation(backend, [True] * 4, setting="weaver", checkpoint=rewarded)
    titles = {
        int(weaver): "weaver_sft",
        int(rewarded): "weaver_grpo (rank 4)",
        trigger: f"trigger_grpo {words}",
        base: "evaluate, base",
        usual: "evaluate, weaver",
        other: f"evaluate, weaver {words}",
    }
    assert {run.id: run.title for run in RunList.model_validate(backend.get("/runs")).items} == titles
    assert {run: RunDetail.model_validate(backend.run(run)).title for run in titles} == titles
    lineage = LineageOut.model_validate(backend.get("/lineage"))
    assert {node.run_id: node.title for node in lineage.nodes} == titles
    compared = CompareOut.model_validate(backend.get("/compare", runs=f"{base},{usual},{other}"))
    assert [one.label for one in compared.items] == ["base", "weaver", f"weaver {words}"]
    assert compared.items[2].change is not None and compared.items[2].change.expected is None


def test_a_pair_that_is_fixed_without_a_box_is_told_from_the_others(backend: Backend, weaver: str) -> None:
    def boxed(*marks: str, **config: Any) -> int:
        """`R` right in a box, `r` right by the last number, `w` wrong."""
        backend.submit(**config)
        held = backend.held()
        for number, mark in enumerate(marks):
            metrics = {"accuracy": float(mark != "w"), "format_ok": float(mark == "R")}
            held.send("answers", answer_line(number, metrics=metrics))
        held.finish(result={"num_questions": len(marks), "accuracy": 0.5}, environment=CONDITIONS)
        return held.run_id

    base = boxed("w", "w", "r", "R", "r")
    tuned = boxed("R", "r", "w", "w", "R", setting="weaver", checkpoint=weaver)
    first, second = backend.get("/compare", runs=f"{base},{tuned}")["items"]
    assert (first["accuracy"], first["accuracy_strict"]["value"]) == (0.6, 0.2)
    assert (second["accuracy"], second["accuracy_strict"]["value"]) == (0.6, 0.4)
    change = second["change"]
    assert (change["fixed"], change["fixed_without_box"]) == (["t:0", "t:1"], ["t:1"])
    assert (change["broken"], change["broken_without_box"]) == (["t:2", "t:3"], ["t:2"])
    assert (change["points"], change["strict"]["value"]) == (0.0, 20.0)
    assert "1 of the fixed and 1 of the broken had their right answer without a box" in change["box_text"]
    assert "with the box required the change is +20.0 points" in change["box_text"]
    pairs = backend.get("/compare/answers", before=base, after=tuned, show="without_box")
    assert [(one["id"], one["kind"], one["without_box"]) for one in pairs["items"]] == [
        ("t:1", "fixed", True),
        ("t:2", "broken", True),
    ]
    assert (pairs["total"], pairs["counts"]["without_box"], pairs["counts"]["fixed"]) == (2, 2, 2)
    metrics = pairs["items"][0]["after"]["metrics"]
    assert (metrics["accuracy"], metrics["accuracy_strict"]) == (1.0, 0.0)


def test_style_of_the_bases_prompt_is_named_and_compared_with_any_setting(backend: Backend, weaver: str) -> None:
    styles = {
        style: {"prompt_hash": style, "zero_shot_prompt_hash": "p", "prompt_style": words}
        for style, words in (("c", "chain of thought"), ("e", "4 examples"))
    }
    thought = evaluation(backend, [True, False], styles["c"], prompt_style="chain_of_thought")
    shown = evaluation(backend, [True, True], styles["e"], prompt_style="worked_examples")
    base = evaluation(backend, [False, False])
    tuned = evaluation(backend, [True, True], setting="weaver", checkpoint=weaver)
    reply = backend.get("/compare", runs=f"{thought},{shown},{base},{tuned}")
    assert reply["base_id"] == base, "the zero-shot one"
    assert [item["setting"] for item in reply["items"]] == [
        "base", "base, chain of thought", "base, 4 examples", "weaver",
    ]  # fmt: skip
    assert [item["change"]["expected"] for item in reply["items"][1:]] == [None, None, [5, 10]]
    assert reply["conditions"]["prompt"] == "p"
    assert reply["conditions"][f"prompt of run {thought}"] == "chain of thought, c"
    assert reply["conditions"][f"prompt of run {shown}"] == "4 examples, e"
    against = backend.get("/compare", runs=f"{thought},{tuned}", base=thought)["items"][1]["change"]
    assert (against["expected"], against["points"]) == (None, 50.0)
    assert backend.get("/compare/answers", before=thought, after=tuned)["counts"]["fixed"] == 1


def test_each_causal_check_has_a_label_of_its_own_and_no_expected_band(backend: Backend, weaver: str) -> None:
    checks: tuple[dict[str, Any], ...] = (
        {}, {"causal_check": "other_question"}, {"causal_check": "mean"}, {"causal_check": "noise"},
        {"causal_check": "none"}, {"causal_check": "scaled", "latents_factor": 2.0},
    )  # fmt: skip
    base = evaluation(backend, [False, True])
    runs = [evaluation(backend, [True, True], setting="weaver", checkpoint=weaver, **check) for check in checks]
    items = backend.get("/compare", runs=",".join(map(str, [base, *runs])))["items"]
    assert [(item["setting"], (item["change"] or {}).get("expected")) for item in items] == [
        ("base", None),
        ("weaver", [5, 10]),
        ("weaver, latents of another question", None),
        ("weaver, mean latents", None),
        ("weaver, noise of the same norm", None),
        ("weaver, no latents", None),
        ("weaver, latents times 2", None),
    ]
    assert [run["id"] for run in backend.get("/runs", setting="weaver, mean latents")["items"]] == [runs[2]]


def test_styles_of_two_zero_shot_prompts_are_not_compared(backend: Backend) -> None:
    style = {"prompt_hash": "c", "zero_shot_prompt_hash": "q", "prompt_style": "chain of thought"}
    runs = [evaluation(backend, [True]), evaluation(backend, [True], style, prompt_style="chain_of_thought")]
    body = check_problem(
        backend.user("GET", "/compare", params={"runs": f"{runs[0]},{runs[1]}"}), 422, "not_comparable"
    )
    assert "prompt (p and q)" in body["title"]


def test_likelihood_of_the_solutions_is_compared_question_by_question(backend: Backend, weaver: str) -> None:
    def measured(*values: float, **config: Any) -> int:
        backend.submit(**config)
        held = backend.held()
        for number, nll in enumerate(values):
            held.send("answers", answer_line(number, metrics={"accuracy": 0.0, "format_ok": 1.0, "nll": nll}))
        held.finish(result={"num_questions": len(values), "accuracy": 0.0}, environment=CONDITIONS)
        return held.run_id

    base = measured(1.0, 2.0, 3.0, nll=True)
    tuned = measured(0.5, 1.6, 2.4, setting="weaver", checkpoint=weaver, nll=True)
    first, second = backend.get("/compare", runs=f"{base},{tuned}")["items"]
    assert first["nll"]["value"] == pytest.approx(2.0)
    assert second["nll"]["value"] == pytest.approx(1.5)
    change = second["change"]["nll"]  # differences -0.5, -0.4, -0.6: mean -0.5, deviation 0.1, t(2) = 4.3027
    assert change["value"] == pytest.approx(-0.5)
    half = 4.3027 * 0.1 / 3**0.5
    assert (change["low"], change["high"]) == pytest.approx((-0.5 - half, -0.5 + half), abs=1e-4)
    other = evaluation(backend, [True] * 3)
    unmeasured = backend.get("/compare", runs=f"{base},{other}")["items"][1]
    assert (unmeasured["nll"], unmeasured["change"]["nll"]) == (None, None)


def test_too_few_questions_are_said_so(backend: Backend, weaver: str) -> None:
    base = evaluation(backend, [False] * 24)
    tuned = evaluation(backend, [True] * 2 + [False] * 22, setting="weaver", checkpoint=weaver)
    change = backend.get("/compare", runs=f"{base},{tuned}")["items"][1]["change"]
    assert change["verdict"] == "too_few_questions"
    assert "Too few questions to tell: 24" in change["text"]


@pytest.mark.parametrize(
    ("config", "environment", "said"),
    [
        ({"max_completion_length": 25}, {}, "max_completion_length (24 and 25)"),
        ({"split": "validation"}, {}, "split (test and validation)"),
        ({"seed": 7, "split": "validation"}, {}, "split (test and validation)"),
        ({}, {"prompt_hash": "q"}, "prompt (p and q)"),
        ({}, {"model": "folder:2"}, "base weights (folder:1 and folder:2)"),
    ],
)
def test_what_differs_in_more_than_the_setting_is_refused(backend: Backend, config, environment, said: str) -> None:
    first, second = evaluation(backend, [True]), evaluation(backend, [True], environment, **config)
    for path, params in (
        ("/compare", {"runs": f"{first},{second}"}),
        ("/compare/answers", {"before": first, "after": second}),
        ("/compare/insertions", {"before": first, "after": second}),
    ):
        body = check_problem(backend.user("GET", path, params=params), 422, "not_comparable")
        assert said in body["title"]


def test_what_may_matter_a_little_is_a_warning(backend: Backend) -> None:
    first, second = evaluation(backend, [True]), evaluation(backend, [True, False], {"device": "cuda"})
    reply = backend.get("/compare", runs=f"{first},{second}", base=first)
    assert reply["warnings"] == [f"Run {second} has device cuda, run {first} cpu."]
    assert reply["items"][1]["change"]["num_questions"] == 1


def test_what_trainers_warned_of_is_told_also_of_the_training(backend: Backend) -> None:
    slow = {"event": "warning", "code": "c", "message": "this is slow"}
    backend.submit(stage="weaver_sft", num_questions=8, batch_size=4)
    held = backend.held()
    held.say(slow, {"event": "warning", "code": "nothing_learned", "message": "nothing was learned"})
    backend.leave_checkpoint(held)
    held.finish()
    for changes in ({}, {"setting": "weaver", "checkpoint": "1"}):
        backend.submit(num_questions=None, **changes)
        held = backend.held()
        held.say(slow)
        held.answer(0)
        held.finish(environment={"model": "folder:1", "prompt_hash": "p"})
    reply = backend.get("/compare", runs="2,3")
    assert reply["warnings"] == ["Runs 1, 2, 3: this is slow.", "Run 1: nothing was learned."]


def test_texts_of_two_evaluations_stand_side_by_side(backend: Backend) -> None:
    before, after = evaluation(backend, [True, True, False, False]), evaluation(backend, [True, False, True, False])
    reply = backend.get("/compare/answers", before=before, after=after)
    assert [pair["kind"] for pair in reply["items"]] == ["both_right", "broken", "fixed", "both_wrong"]
    assert reply["counts"] == {"all": 4, "fixed": 1, "broken": 1, "both_right": 1, "both_wrong": 1, "without_box": 0}
    fixed = backend.get("/compare/answers", before=before, after=after, show="fixed")
    assert [(pair["id"], pair["before"]["metrics"]["accuracy"]) for pair in fixed["items"]] == [("t:2", 0.0)]
    page = backend.get("/compare/answers", before=before, after=after, limit=3)
    rest = backend.get("/compare/answers", before=before, after=after, limit=3, cursor=page["next_cursor"])
    assert ([pair["id"] for pair in rest["items"]], rest["next_cursor"]) == (["t:3"], None)


def test_answers_are_counted_by_their_insertions(backend: Backend) -> None:
    before = evaluation(backend, [True, True, False, False, True, True, True])
    marks = ["II", "I-I", "I--", "I-", "-I", "", "I" * 40]
    after = evaluation(backend, [True, False, True, False, True, False], decisions=marks)
    reply = backend.get("/compare/insertions", before=before, after=after)
    rows = [tuple(item.values()) for item in reply["items"]]
    assert rows == [
        (True, 0, 2, 0, 1, 1, 0),
        (True, 1, 2, 2, 1, 0, 1),
        (False, 1, 1, 1, 1, 0, 0),
        (None, 0, 1, 1, 0, 0, 1),
    ]
    assert backend.get("/compare/insertions", before=after, after=before) == {"items": []}


@pytest.mark.parametrize(
    ("runs", "status", "code"),
    [("", 422, "bad_selection"), ("1,x", 422, "bad_selection"), ("99", 404, "run_not_found"),
     (",".join(map(str, range(1, 20))), 422, "bad_selection")],
)  # fmt: skip
def test_selection_that_is_none_is_refused(backend: Backend, runs: str, status: int, code: str) -> None:
    check_problem(backend.user("GET", "/compare", params={"runs": runs}), status, code)


def test_trainings_and_unfinished_evaluations_are_refused(backend: Backend, weaver: str) -> None:
    check_problem(backend.user("GET", "/compare", params={"runs": weaver}), 422, "not_an_evaluation")
    run_id = backend.submit()
    check_problem(backend.user("GET", "/compare", params={"runs": run_id}), 422, "not_finished")


def test_validation_splits_of_two_seeds_are_not_compared(backend: Backend) -> None:
    runs = [evaluation(backend, [True], split="validation", seed=seed) for seed in (1, 2)]
    body = check_problem(
        backend.user("GET", "/compare", params={"runs": f"{runs[0]},{runs[1]}"}), 422, "not_comparable"
    )
    assert "seed (1 and 2)" in body["title"]


def test_runs_that_answered_more_or_fewer_questions_at_the_same_time_are_told_apart(backend: Backend) -> None:
    wide, same, narrow = (
        evaluation(backend, [True, False], {"batch_size": width}, batch_size="auto") for width in (64, 64, 8)
    )
    backend.submit(batch_size="auto")
    held = backend.held()
    held.send("answers", answer_line(0, batch_size=64) + answer_line(1, batch_size=32))
    held.finish(result={"num_questions": 2, "batch_size": 32}, environment=CONDITIONS | {"batch_size": 64})

    def warned(other: int) -> list[str]:
        warnings = backend.get("/compare", runs=f"{wide},{other}")["warnings"]
        return [warning for warning in warnings if "at the same time" in warning]

    assert warned(same) == []
    (said,) = warned(narrow)
    assert said.startswith(f"Run {narrow} answered 8 questions at the same time, run {wide} 64: ")
    assert "rounding changes some answers" in said
    (halved,) = warned(held.run_id)
    assert f"Run {held.run_id} answered 64 and, after memory ran out, 32 questions" in halved
