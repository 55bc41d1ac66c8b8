"""The stage on the tiny base: real weights, real tokenizer, our own questions."""

import json
from pathlib import Path

import pytest

from memgen.contract.answers import read_answers
from memgen.contract.errors import BadInput
from memgen.contract.rundir import RunDir, write_json
from memgen.contract.stages.evaluate import EvaluateConfig
from memgen.data import load_questions
from memgen.scoring import SCORER_VERSIONS
from memgen.stop import Stopped
from tests.memgen.stages.running import StopWhen, run

SCORER_VERSION = SCORER_VERSIONS["number"]  # of the kind that our data sets have


def stop_after(path: Path, lines: int) -> StopWhen:
    """Asks to stop once the answer file has this many lines."""
    return StopWhen(lambda: path.exists() and path.read_bytes().count(b"\n") >= lines)


def texts(folder: Path) -> dict[str, str]:
    answers, _ = read_answers(RunDir(folder).answers)
    assert len({answer.id for answer in answers}) == len(answers)
    return {answer.id: answer.completion for answer in answers}


@pytest.fixture
def config(home: Path, tiny_config: dict[str, object]) -> EvaluateConfig:
    return EvaluateConfig.model_validate(tiny_config)


def test_leaves_each_question_once_and_a_summary_that_agrees(home: Path, tmp_path: Path, config) -> None:
    metrics = run(home, tmp_path / "run", config)
    answers, summary = read_answers(RunDir(tmp_path / "run").answers)
    assert sorted(answer.index for answer in answers) == list(range(6))
    asked = [question.question for question in load_questions("wordproblems", "test", limit=6)]
    assert [answer.question for answer in sorted(answers, key=lambda one: one.index)] == asked
    assert summary is not None
    assert summary.summary_metrics == metrics
    assert metrics["accuracy"] == sum(answer.metrics["accuracy"] for answer in answers) / 6
    assert all("<|im_end|>" not in answer.completion for answer in answers)
    assert all(answer.truncated == (answer.completion_tokens == 24) for answer in answers)


def test_batched_equals_one_by_one(home: Path, tmp_path: Path, config) -> None:
    run(home, tmp_path / "batched", config)
    run(home, tmp_path / "single", config.model_copy(update={"batch_size": 1}))
    assert texts(tmp_path / "batched") == texts(tmp_path / "single")


def test_greedy_whatever_the_models_generation_config_says(home: Path, tmp_path: Path, config, monkeypatch) -> None:
    run(home, tmp_path / "plain", config)
    import shutil

    from tests.conftest import GOLDEN, TINY

    folder = tmp_path / "sampling_model"
    shutil.copytree(GOLDEN / "tiny_base", folder)
    wild = {"do_sample": True, "temperature": 5.0, "top_k": 50, "repetition_penalty": 3.0, "max_length": 7}
    (folder / "generation_config.json").write_text(json.dumps(wild))
    presets = tmp_path / "wild.json"
    presets.write_text(json.dumps([{"name": TINY, "folder": str(folder)}]))
    monkeypatch.setenv("MEMGEN_PRESETS", str(presets))
    run(home, tmp_path / "wild", config)
    assert texts(tmp_path / "plain") == texts(tmp_path / "wild")


@pytest.mark.parametrize("lines", [1, 8, 9])  # in the first batch, after it, in the second
def test_stopped_and_resumed_equals_uninterrupted(home: Path, tmp_path: Path, config, lines: int) -> None:
    # at this length some rows end early, so that a batch can be left half answered
    config = config.model_copy(update={"num_questions": 16, "batch_size": 8, "max_completion_length": 96})
    run(home, tmp_path / "whole", config)
    first = tmp_path / "first"
    with pytest.raises(Stopped):
        run(home, first, config, stop=stop_after(RunDir(first).answers, lines))
    kept = texts(first)
    assert lines <= len(kept) < 16
    run(home, tmp_path / "second", config, resume=first)
    assert texts(tmp_path / "second") == texts(tmp_path / "whole")
    assert list(texts(tmp_path / "second"))[: len(kept)] == list(kept)
    assert texts(first) == kept, "the earlier attempt's folder stays as it was"


def test_seconds_of_a_resumed_evaluation_include_those_of_the_first_attempt(
    home: Path, tmp_path: Path, config, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("memgen.stages.answer_book.time.perf_counter", lambda: now)

    def later(path: Path, lines: int) -> StopWhen:
        """Each question to the clock takes a second."""

        def condition() -> bool:
            nonlocal now
            now += 1.0
            return path.exists() and path.read_bytes().count(b"\n") >= lines

        return StopWhen(condition)

    config = config.model_copy(update={"num_questions": 8, "batch_size": 4})
    first, second = RunDir(tmp_path / "first"), RunDir(tmp_path / "second")
    with pytest.raises(Stopped):
        run(home, first.path, config, stop=later(first.answers, 4))
    before = max(answer.elapsed for answer in read_answers(first.answers)[0])
    assert before >= 24
    now += 5000.0  # nothing runs
    began = now
    metrics = run(home, second.path, config, resume=first.path, stop=later(second.answers, 99))
    assert before + 24 <= metrics["seconds"] <= before + now - began  # its clock begins after loading
    elapsed = [answer.elapsed for answer in read_answers(second.answers)[0]]
    assert elapsed == sorted(elapsed)
    assert elapsed[3] == before < elapsed[4]


def test_torn_last_answer_is_generated_again(home: Path, tmp_path: Path, config) -> None:
    run(home, tmp_path / "whole", config)
    torn = RunDir(tmp_path / "torn")
    torn.output.mkdir(parents=True)
    write_json(torn.environment, json.loads(RunDir(tmp_path / "whole").environment.read_text()))
    lines = RunDir(tmp_path / "whole").answers.read_bytes().splitlines(keepends=True)
    torn.answers.write_bytes(lines[0] + lines[1][:50])
    run(home, torn.path, config, resume=torn.path)
    assert texts(torn.path) == texts(tmp_path / "whole")


def test_answer_to_a_question_whose_solution_has_changed_is_given_anew(home: Path, tmp_path: Path, config) -> None:
    run(home, tmp_path / "whole", config)
    earlier = RunDir(tmp_path / "whole").answers
    lines = earlier.read_text().splitlines(keepends=True)
    changed = json.loads(lines[1]) | {"solution": r"as an earlier version had it\boxed{1}", "completion": "scored then"}
    earlier.write_text("".join([lines[0], json.dumps(changed) + "\n", *lines[2:]]))
    run(home, tmp_path / "second", config, resume=tmp_path / "whole")
    answers, _ = read_answers(RunDir(tmp_path / "second").answers)
    assert {one.solution for one in answers} == {
        one.solution for one in load_questions("wordproblems", "test", limit=6)
    }
    assert len(answers) == 6
    assert "scored then" not in texts(tmp_path / "second").values()


@pytest.mark.parametrize("change", [{"seed": 7}, {"batch_size": 3}, {"max_completion_length": 25}])
def test_answers_of_another_config_are_not_taken_over(home: Path, tmp_path: Path, config, change) -> None:
    run(home, tmp_path / "first", config)
    with pytest.raises(BadInput, match="other conditions") as caught:
        run(home, tmp_path / "second", config.model_copy(update=change), resume=tmp_path / "first")
    assert caught.value.code == "resume_mismatch"
    assert not RunDir(tmp_path / "second").answers.exists()


def test_answers_of_other_weights_are_not_taken_over(home: Path, tmp_path: Path, config) -> None:
    run(home, tmp_path / "first", config)
    path = RunDir(tmp_path / "first").environment
    write_json(path, json.loads(path.read_text()) | {"model": "hub:other@1"})
    with pytest.raises(BadInput, match="hub:other@1"):
        run(home, tmp_path / "second", config, resume=tmp_path / "first")


@pytest.mark.parametrize("version", [None, SCORER_VERSION - 1, SCORER_VERSION + 1])
def test_answers_of_another_scorer_are_not_taken_over(home: Path, tmp_path: Path, config, version: int | None) -> None:
    run(home, tmp_path / "first", config)
    path = RunDir(tmp_path / "first").environment
    environment = json.loads(path.read_text())
    assert environment.pop("scorer_version") == SCORER_VERSION
    write_json(path, environment | ({} if version is None else {"scorer_version": version}))
    with pytest.raises(BadInput, match=f"scorer_version {version or 1} -> {SCORER_VERSION}") as caught:
        run(home, tmp_path / "second", config, resume=tmp_path / "first")
    assert caught.value.code == "resume_mismatch"
    assert not RunDir(tmp_path / "second").answers.exists()


def test_prompt_that_is_too_long_is_refused_and_not_cut(home: Path, tmp_path: Path, config) -> None:
    with pytest.raises(BadInput) as caught:
        run(home, tmp_path / "run", config.model_copy(update={"max_prompt_length": 16}))
    assert (caught.value.code, caught.value.field) == ("prompt_too_long", "max_prompt_length")


def test_events_tell_phases_progress_and_running_accuracy(home: Path, tmp_path: Path, config) -> None:
    run(home, tmp_path / "run", config)
    events = [json.loads(line) for line in RunDir(tmp_path / "run").events.read_text().splitlines()]
    assert [event["name"] for event in events if event["event"] == "phase"] == ["data", "load", "generate"]
    steps = [event["step"] for event in events if event.get("name") == "eval/accuracy"]
    assert steps == list(range(1, 7))
    progress = [event for event in events if event["event"] == "progress"]
    assert (progress[-1]["done"], progress[-1]["total"], progress[-1]["unit"]) == (6, 6, "questions")


STYLES = [{"prompt_style": "chain_of_thought"}, {"prompt_style": "worked_examples", "num_examples": 2}]


def styled(config: EvaluateConfig, style: dict[str, object], **fields: object) -> EvaluateConfig:
    return EvaluateConfig.model_validate(config.model_dump() | {"max_prompt_length": 4096} | style | fields)


@pytest.mark.parametrize("style", STYLES, ids=["thought", "examples"])
def test_styled_prompt_is_what_the_model_is_given_and_stands_in_every_record(
    home: Path, tmp_path: Path, config, style
) -> None:
    run(home, tmp_path / "plain", config)
    run(home, tmp_path / "styled", styled(config, style))
    plain, new = (json.loads(RunDir(tmp_path / name).environment.read_text()) for name in ("plain", "styled"))
    assert plain["prompt_hash"] == new["zero_shot_prompt_hash"] == "b9566837679985c2" != new["prompt_hash"]
    assert new["prompt_style"] == styled(config, style).asking.words
    assert "prompt_style" not in plain
    answers, _ = read_answers(RunDir(tmp_path / "styled").answers)
    assert {len(answer.prompt) for answer in answers} == {5 if "num_examples" in style else 1}
    assert all(answer.question in answer.prompt[-1].content for answer in answers)
    assert texts(tmp_path / "plain") != texts(tmp_path / "styled")
    run(home, tmp_path / "single", styled(config, style, batch_size=1))
    assert texts(tmp_path / "single") == texts(tmp_path / "styled")


@pytest.mark.parametrize("split", ["test", "train"])
def test_examples_of_a_run_are_recorded_and_none_is_evaluated(home: Path, tmp_path: Path, config, split: str) -> None:
    run(home, tmp_path / "run", styled(config, STYLES[1], split=split, num_examples=3))
    recorded = json.loads(RunDir(tmp_path / "run").environment.read_text())["worked_examples"]
    rows = {row.id: row for row in load_questions("wordproblems", "train")}
    assert len(set(recorded)) == 3
    assert not set(recorded) & set(texts(tmp_path / "run"))
    answers, _ = read_answers(RunDir(tmp_path / "run").answers)
    shown = [message.content for message in answers[0].prompt if message.role == "assistant"]
    assert shown == [rows[example].solution for example in recorded]


def test_evaluation_of_all_training_rows_has_no_row_left_for_an_example(home: Path, tmp_path: Path, config) -> None:
    with pytest.raises(BadInput) as caught:
        run(home, tmp_path / "run", styled(config, STYLES[1], split="train", num_questions=None))
    assert caught.value.code == "too_few_examples"
    assert not RunDir(tmp_path / "run").environment.exists(), "refused before the model is loaded"


def test_styled_evaluation_stopped_and_resumed_equals_uninterrupted(home: Path, tmp_path: Path, config) -> None:
    config = styled(config, STYLES[1], num_questions=8, max_completion_length=12)
    run(home, tmp_path / "whole", config)
    first = tmp_path / "first"
    with pytest.raises(Stopped):
        run(home, first, config, stop=stop_after(RunDir(first).answers, 3))
    run(home, tmp_path / "second", config, resume=first)
    assert texts(tmp_path / "second") == texts(tmp_path / "whole")


def test_answers_after_other_examples_are_not_taken_over(home: Path, tmp_path: Path, config) -> None:
    config = styled(config, STYLES[1])
    run(home, tmp_path / "first", config)
    path = RunDir(tmp_path / "first").environment
    write_json(path, json.loads(path.read_text()) | {"prompt_hash": "another"})
    with pytest.raises(BadInput, match="prompt_hash 'another'"):
        run(home, tmp_path / "second", config, resume=tmp_path / "first")
