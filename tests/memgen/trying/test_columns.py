"""Columns of a session answer as the evaluations do whose configs they are, whatever stands beside them in the base."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memgen.contract.answers import AnswerRecord, read_answers
from memgen.contract.causal_check import WholeCheck
from memgen.contract.config import InvalidConfig, RunConfig
from memgen.contract.errors import BadInput
from memgen.contract.rundir import RunDir
from memgen.contract.trying import Change, SessionConfig, parse_columns
from memgen.data import load_questions
from memgen.data.questions import Question
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stages.context import Context
from memgen.stop import StopRequest
from memgen.trying.columns import Answer, Column, SoFar, load_columns, with_check
from tests.memgen.stages.running import config_of, run

QUESTIONS = 4
SHORT = {"max_completion_length": 24, "max_prompt_length": 4096}


def column(setting: str, checkpoint: str | None = None, **fields: Any) -> RunConfig:
    stage = "ltpo_evaluate" if "ltpo" in setting else "evaluate"
    return config_of(stage=stage, setting=setting, checkpoint=checkpoint, **(SHORT | fields))


def loaded(home: Path, folder: Path, *configs: RunConfig) -> list[Column]:
    folder.mkdir(parents=True)
    session = SessionConfig(columns=[one.model_dump() for one in configs])
    context = Context(RunDir(folder), None, home, None, Monitor(None), StopRequest(), Team())
    return load_columns(session, context)


def evaluated(home: Path, folder: Path, config: RunConfig, batch_size: int) -> list[AnswerRecord]:
    changed = config.model_copy(update={"num_questions": QUESTIONS, "batch_size": batch_size})
    run(home, folder, changed)
    found, _ = read_answers(RunDir(folder, config.stage).answers)
    return sorted(found, key=lambda one: one.index)


def rows(data: str = "wordproblems") -> list[Question]:
    return load_questions(data, "test", limit=QUESTIONS)


def answers_of(one: Column) -> list[AnswerRecord]:
    asked = enumerate(rows(one.config.data))
    return [one.answer(row, number, lambda *_: None, StopRequest()).record for number, row in asked]


def same(record: AnswerRecord) -> dict[str, Any]:
    """What does not depend on how long it took."""
    return record.model_dump(exclude={"seconds", "elapsed", "batch_size"})


def compare_with_evaluations(
    home: Path, folder: Path, *configs: RunConfig, side_by_side: bool = True
) -> list[list[AnswerRecord]]:
    """Columns of one session against an evaluation each, whose questions are answered one by one and side by side."""
    columns = loaded(home, folder / "session", *configs)
    answers = [answers_of(one) for one in reversed(columns)][::-1]  # the base last: nothing is left on
    for place, (config, own) in enumerate(zip(configs, answers, strict=True)):
        alone = evaluated(home, folder / f"alone-{place}", config, 1)
        assert [same(one) for one in own] == [same(one) for one in alone]
        if side_by_side:
            beside = evaluated(home, folder / f"beside-{place}", config, QUESTIONS)
            assert [one.completion for one in own] == [one.completion for one in beside]
    return answers


def test_base_weaver_trigger_and_ltpo_answer_as_their_evaluations(home: Path, tmp_path: Path, woven: str) -> None:
    answers = compare_with_evaluations(
        home,
        tmp_path,
        column("base"),
        column("weaver", woven),
        column("weaver+trigger", woven),
        column("weaver+trigger+ltpo", woven, max_steps=2, lr=0.5, sigma=2.0),
    )
    texts = [[one.completion for one in own] for own in answers]
    assert len({tuple(one) for one in texts}) == 4  # else equality would say little
    points = [point for own in answers[2] for point in own.augmentations]
    assert {point.inserted for point in points} == {True, False}
    assert all(one.ltpo for one in answers[3])


def test_lora_and_two_checkpoints_beside_each_other_answer_as_their_evaluations(
    home: Path, tmp_path: Path, woven: str, other_woven: str, lora: str
) -> None:
    answers = compare_with_evaluations(
        home,
        tmp_path,
        column("base"),
        column("lora", lora),
        column("weaver", woven),
        column("weaver+trigger", other_woven),
    )
    assert len({tuple(one.completion for one in own) for own in answers}) == 4


def test_prompts_chance_and_causal_checks_are_columns_too(home: Path, tmp_path: Path, woven: str) -> None:
    compare_with_evaluations(
        home,
        tmp_path / "first",
        column("base", prompt_style="chain_of_thought"),
        column("base", prompt_style="worked_examples", num_examples=2),
        column("weaver+random", woven, insert_probability=0.5),
        column("weaver", woven, causal_check="noise"),
    )
    compare_with_evaluations(
        home,
        tmp_path / "second",
        column("weaver+trigger", woven, causal_check="none"),
        column("weaver", woven, causal_check="other_question"),
        column("weaver", woven, causal_check="scaled", latents_factor=0.5),
        column("weaver", woven, max_inference_aug_num=1),
    )


def test_answer_grows_token_by_token_with_what_the_trigger_thought(home: Path, tmp_path: Path, woven: str) -> None:
    plain, trigger = loaded(home, tmp_path / "session", column("base"), column("weaver+trigger", woven))
    for one in (plain, trigger):
        seen: list[SoFar] = []
        done = one.answer(
            rows()[0],
            1,
            lambda _tokens, look, seen=seen: seen.append(replace(look(), ids=list(look().ids))),  # type: ignore[misc]
            StopRequest(),
        )
        lengths = [len(so_far.ids) for so_far in seen]
        assert lengths == sorted(lengths)
        assert set(range(1, done.record.completion_tokens + 1)) <= set(lengths)
        assert one.text(seen[-1].ids) == done.record.completion
    assert done.points
    assert all(point.probability is not None for point in done.points)
    assert all((point.probability > 0.5) == point.inserted for point in done.points if point.probability is not None)


def test_question_without_a_solution_is_answered_and_not_scored(home: Path, tmp_path: Path) -> None:
    (plain,) = loaded(home, tmp_path / "session", column("base"))
    asked = Question("wordproblems:x", "How many legs has a dog?", "", "")
    done = plain.answer(asked, 1, lambda *_: None, StopRequest())
    assert (done.record.metrics, done.record.solution, bool(done.record.completion)) == ({}, "", True)


@pytest.mark.parametrize(
    ("columns", "code", "field"),
    [
        ([], "bad_columns", "columns"),
        ([{"stage": "evaluate"}] * 5, "bad_columns", "columns"),
        ([{"stage": "weaver_sft"}], "not_askable", "columns.0.stage"),
        ([{"stage": "evaluate"}, {"stage": "evaluate", "seting": "base"}], "unknown_config_key", "columns.1.seting"),
        ([{"stage": "evaluate"}, {"stage": "evaluate", "dtype": "bfloat16"}], "several_bases", "columns.1.dtype"),
    ],
)
def test_columns_that_can_not_stand_together_are_refused_by_name(
    home: Path, columns: list[dict[str, Any]], code: str, field: str
) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse_columns(columns)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_checkpoint_that_is_not_there_is_refused_before_the_base_is_loaded(home: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="checkpoint"):
        loaded(home, tmp_path / "session", column("weaver", str(tmp_path / "nowhere")))


def changed(one: Column, **change: Any) -> Answer:
    return one.answer(rows()[0], 1, lambda *_: None, StopRequest(), Change(**change))


def test_insertion_is_left_out_or_forced_and_all_before_it_stays(home: Path, tmp_path: Path, woven: str) -> None:
    (trigger,) = loaded(home, tmp_path / "session", column("weaver+trigger", woven, max_completion_length=64))
    plain = changed(trigger)
    assert same(changed(trigger, leave_out=[10_000]).record) == same(plain.record)
    for inserted, change in ((True, "leave_out"), (False, "force")):
        point = next(one for one in plain.points if one.inserted is inserted)
        other = changed(trigger, **{change: [point.token]})
        before = [(one.token, one.inserted) for one in plain.points if one.token < point.token]
        assert [(one.token, one.inserted) for one in other.points if one.token < point.token] == before
        assert next(one for one in other.points if one.token == point.token).inserted is not inserted
        assert other.record.completion[: point.character] == plain.record.completion[: point.character]
        assert other.record.completion != plain.record.completion
        assert same(changed(trigger).record) == same(plain.record)  # nothing of the change stays


def test_other_latents_are_those_of_an_evaluation_with_the_causal_check(home: Path, tmp_path: Path, woven: str) -> None:
    checks: tuple[WholeCheck, ...] = ("none", "other_question")
    checked = [column("weaver+trigger", woven, causal_check=check) for check in checks]
    base, plain, *others = loaded(home, tmp_path / "session", column("base"), column("weaver+trigger", woven), *checked)
    context = Context(RunDir(tmp_path), None, home, None, Monitor(None), StopRequest(), Team())
    for check, other in zip(checks, others, strict=True):
        mine = with_check(plain, check, context)
        assert [same(one) for one in answers_of(mine)] == [same(one) for one in answers_of(other)]
    with pytest.raises(BadInput, match="no latents"):
        with_check(base, "none", context)


def test_answers_are_drawn_by_temperature_and_seed_and_greedy_ones_stay(home: Path, tmp_path: Path, woven: str) -> None:
    for one in loaded(home, tmp_path / "session", column("base"), column("weaver", woven)):
        plain = same(changed(one).record)
        drawn = [changed(one, temperature=2.0, seed=seed).record.completion for seed in (1, 1, 2)]
        assert drawn[0] == drawn[1] != drawn[2]
        assert same(changed(one).record) == plain


def test_insertions_can_not_be_changed_where_there_are_none(home: Path, tmp_path: Path) -> None:
    (plain,) = loaded(home, tmp_path / "session", column("base"))
    with pytest.raises(BadInput, match="no latents"):
        changed(plain, force=[0])
