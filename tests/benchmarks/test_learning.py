"""The plan of the learning benchmark is one that the core takes, and its table says what the records hold."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from benchmarks.learning import plain_lora, record
from benchmarks.learning.plan import FULL, QUICK, STEPS, Scale
from benchmarks.learning.rows import near, trained_on
from benchmarks.learning.seed import run_seed
from benchmarks.learning.table import PAIRS, table
from memgen.contract.answers import AnswerRecord, Augmentation
from memgen.contract.config import parse_config
from memgen.contract.rows import num_rows
from memgen.contract.rundir import RunDir, write_json
from memgen.contract.stages.trigger_grpo import TriggerGrpoConfig
from memgen.contract.stages.weaver_sft import WeaverSftConfig
from memgen.data import load_questions
from memgen.data.questions import Question
from memgen.scoring import SCORER_VERSIONS
from memgen.stages.evaluate import chance

SCORER_VERSION = SCORER_VERSIONS["number"]  # of the kind that our data sets have


@pytest.fixture(autouse=True)
def put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark names a file of presets for its own process: other tests are not to look for it."""
    monkeypatch.setenv("MEMGEN_PRESETS", "")


@pytest.mark.parametrize("scale", [FULL, QUICK])
def test_every_step_is_a_config_of_the_core(scale: Scale, tmp_path: Path, monkeypatch) -> None:
    presets = tmp_path / "presets.json"
    folder = Path(__file__).parents[1] / "golden" / "tiny_base"
    presets.write_text(f'[{{"name": "learning/plain-lora", "folder": "{folder}"}}]')
    monkeypatch.setenv("MEMGEN_PRESETS", str(presets))
    for step in STEPS:
        fields = step.config(scale, 3, {"trigger_eval": {"insert_rate": 0.25}})
        config = parse_config({**fields, **({"checkpoint": "x"} if step.checkpoint else {})})
        assert (config.seed, config.data) == (3, "wordproblems_easy")
        assert num_rows(config) >= scale.questions
    assert {name for pair in PAIRS for name in pair} <= {step.name for step in STEPS}


def lines(step: str, right: list[bool], **fields) -> list[record.Line]:
    return [record.Line(step=step, question=f"q{n}", right=one, **fields) for n, one in enumerate(right)]


def test_table_pairs_answers_by_question(tmp_path: Path) -> None:
    base = lines("base", [False] * 8 + [True] * 2, tokens=40)
    weaver = lines("weaver_eval", [True] * 9 + [False], tokens=30, format_ok=True, points=4, insertions=3)
    sft = record.Line(
        step="weaver_sft",
        numbers={"loss": 0.5, "eval_loss_before": 2.0, "eval_loss": 0.4, "steps": 7, "seconds": 61.2},
    )
    own = [*base, *reversed(weaver), sft]
    (tmp_path / "seed-5.jsonl").write_text("".join(f"{line.model_dump_json(exclude_defaults=True)}\n" for line in own))
    assert record.read(tmp_path / "seed-5.jsonl") == own
    said = table(tmp_path)
    assert "| base | 5 | 10 | 20.0 % (5.7-51.0) | 0 % | 0 % | 40 | 0.00 | - | 0 |" in said
    assert "| weaver | 5 | 10 | 90.0 % (59.6-98.2) | 100 % | 0 % | 30 | 3.00 | 0.75 | 0 |" in said
    assert "| weaver against base | 5 | 10 | +70.0 (" in said
    assert "| 8 / 1 | 0.039 |" in said
    assert "| weaver SFT | 5 | 7 | 0.500 | 2.000 | 0.400 | - | - | - | - | - | 61 |" in said
    assert "| against | seeds |" not in said


def write(folder: Path, seed: int, own: list[record.Line]) -> None:
    text = "".join(f"{line.model_dump_json(exclude_defaults=True)}\n" for line in own)
    (folder / f"seed-{seed}.jsonl").write_text(text)


def test_table_shows_the_spread_over_seeds(tmp_path: Path) -> None:
    for seed, right in ((2, 9), (10, 7)):
        base, weaver = lines("base", [False] * 8 + [True] * 2), [True] * right + [False] * (10 - right)
        write(tmp_path, seed, [*base, *lines("weaver_eval", weaver)])
    said = table(tmp_path)
    assert "| weaver against base | 2 | +60.0 (+15.0 to +100.0) | +50.0 | +70.0 |" in said
    assert "| weaver | 10 against 2 | 10 | -20.0 (" in said
    assert "| 0 / 2 | 0.5 |" in said


def test_table_counts_answers_by_decisions_and_by_what_chance_did_at_the_prompt(tmp_path: Path) -> None:
    weaver, trigger = lines("weaver_eval", [True] * 4), lines("trigger_eval", [True, True, False, True])
    marks = ["I-", "I-", "I-", "II"]
    trigger = [
        line.model_copy(update={"decisions": mark, "points": 2, "insertions": mark.count("I")})
        for line, mark in zip(trigger, marks, strict=True)
    ]
    write(tmp_path, 3, [*weaver, *trigger, *lines("random_eval", [False, True, True, False])])
    said = table(tmp_path)
    assert "| ●○ | 3 | 3 | 2 | 3 | 0 / 1 |" in said
    assert "| ●● | 3 | 1 | 1 | 1 | 0 / 0 |" in said
    kept = [chance(3, f"q{n}", 0) < 0.625 for n in range(4)]
    assert 0 < sum(kept) < 4
    right = sum(one for one, draw in zip([False, True, True, False], kept, strict=True) if draw)
    assert f"| inserted | 3 | {sum(kept)} | {right} |" in said
    assert f"| left out | 3 | {4 - sum(kept)} | {2 - right} |" in said


def test_plan_names_the_rules_that_the_records_were_made_with() -> None:
    configs = {
        step.name: parse_config({**step.config(FULL, 0, {}), **({"checkpoint": "x"} if step.checkpoint else {})})
        for step in STEPS
        if step.name in ("weaver_sft", "trigger_grpo")
    }
    grpo, sft = configs["trigger_grpo"], configs["weaver_sft"]
    assert isinstance(grpo, TriggerGrpoConfig)
    assert isinstance(sft, WeaverSftConfig)
    assert (grpo.insertion_penalty_form, grpo.scale_rewards, grpo.gradient_accumulation_steps) == ("rate", "none", 1)
    assert (grpo.lr_scheduler_type, grpo.warmup_ratio, sft.skip_among) == ("constant", 0.0, "first")


def test_questions_near_to_training_have_its_numbers() -> None:
    step = next(step for step in STEPS if step.name == "weaver_sft")
    config = parse_config(step.config(dataclasses.replace(QUICK, sft_steps=4), 3, {}))
    assert isinstance(config, WeaverSftConfig)
    rows = trained_on(config)
    trained = {question.id for question in rows}
    assert len(rows) == len(trained) == 4 * QUICK.sft_rows
    found = near(config)
    assert trained < found
    held_out = [question for question in load_questions(config.data, "test") if question.id in found]
    assert 0 < len(held_out) < 500
    assert not trained & {question.id for question in held_out}

    def numbers_of(question: Question) -> tuple[str, ...]:
        return tuple(re.findall(r"\d+", question.question))

    assert {numbers_of(question) for question in held_out} <= {numbers_of(question) for question in rows}


def test_seeds_of_two_plans_are_not_put_in_one_table(tmp_path: Path) -> None:
    for seed, scale in ((0, FULL), (1, QUICK)):
        write(tmp_path, seed, [record.Line(step="machine", numbers=vars(scale)), *lines("base", [True])])
    with pytest.raises(SystemExit, match="different sizes"):
        table(tmp_path)
    with pytest.raises(SystemExit, match="no seed is recorded"):
        table(tmp_path / "nothing")


def test_step_that_was_begun_with_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    begun = parse_config({**STEPS[0].config(QUICK, 3, {}), "num_questions": 5})
    write_json(tmp_path / "full-3" / "base" / "config.json", begun.model_dump(mode="json"))
    with pytest.raises(SystemExit, match=r"base was begun with other settings: num_questions \(5, now 20\)"):
        run_seed(QUICK, 3, tmp_path / "full-3", tmp_path)


def test_step_that_another_scorer_scored_is_not_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "full-3" / "base"
    write_json(folder / "config.json", parse_config(STEPS[0].config(QUICK, 3, {})).model_dump(mode="json"))
    write_json(folder / "environment.json", {"model": "m"})
    with pytest.raises(SystemExit, match=rf"scorer_version \(1, now {SCORER_VERSION}\)"):
        run_seed(QUICK, 3, tmp_path / "full-3", tmp_path)


def test_plain_lora_goes_on_from_the_newest_checkpoint_that_is_whole(tmp_path: Path) -> None:
    assert plain_lora.newest(tmp_path) is None
    for step, whole in ((50, True), (100, True), (150, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / ("trainer_state.json" if whole else "model.safetensors")).write_text("{}")
    assert plain_lora.newest(tmp_path) == str(tmp_path / "checkpoint-100")


def test_seconds_of_plain_lora_count_those_before_its_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "seconds.json"
    write_json(path, {"seconds": 1000.0})
    assert plain_lora.Clock(path, goes_on=False).seconds() < 1000
    clock = plain_lora.Clock(path, goes_on=True)
    clock.on_save()
    assert 1000 < json.loads(path.read_text())["seconds"] < 2000


def test_record_keeps_decisions_and_what_a_step_was_made_with(tmp_path: Path) -> None:
    done = {step.name: {"seconds": 1.0} for step in STEPS}
    write_json(tmp_path / "machine.json", {"cores": 2})
    for step in STEPS:
        config = {"stage": "ltpo_evaluate" if step.name.startswith("ltpo") else "evaluate"}
        write_json(tmp_path / step.name / "config.json", config)
        write_json(
            tmp_path / step.name / "environment.json", {"config_hash": "abc", "git_revision": "def", "dtype": "x"}
        )
        answer = AnswerRecord(
            id="q", index=0, prompt=[], solution="1", completion="1", metrics={"accuracy": 1.0, "format_ok": 1.0},
            completion_tokens=3, truncated=False, seconds=1.0,
            augmentations=[Augmentation(token=n, asked=True, inserted=n == 0) for n in range(2)],
        )  # fmt: skip
        RunDir(tmp_path / step.name, config["stage"]).answers.parent.mkdir()
        RunDir(tmp_path / step.name, config["stage"]).answers.write_text(answer.model_dump_json() + "\n")
    record.write(tmp_path / "seed-4.jsonl", QUICK, 4, tmp_path, done)
    kept = record.read(tmp_path / "seed-4.jsonl")
    assert record.numbers(kept, "machine") == {"seed": 4, **vars(QUICK), "cores": 2}
    assert record.numbers(kept, "base") == {"seconds": 1.0, "config_hash": "abc", "git_revision": "def"}
    assert record.answers(kept, "trigger_eval")["q"].decisions == "I-"
