"""How likely the solutions are: the same numbers as the formula written out, in every setting that can have them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from memgen.contract.answers import read_answers
from memgen.contract.config import InvalidConfig, RunConfig, config_hash, parse_config
from memgen.contract.data_sets.registry import data_set
from memgen.contract.planner.gold import MOST_LABELS
from memgen.contract.presets import get_preset
from memgen.contract.rundir import RunDir
from memgen.data import load_questions
from memgen.data.prompt import Prompt, answer_text
from memgen.model.base import load_base
from memgen.model.checkpoint import load_checkpoint
from memgen.model.fetch import fetch_model
from memgen.model.memgen_model import MemGenModel, Row
from memgen.monitor import Monitor
from memgen.stages.evaluate import chance
from memgen.stages.gold import batches
from memgen.stop import Stopped
from tests.conftest import TINY
from tests.memgen.stages.running import StopWhen, config_of, run

SHORT = {"stage": "evaluate", "num_questions": 6, "batch_size": 4, "max_completion_length": 12, "nll": True}


@pytest.fixture
def model(home: Path, checkpoint: str) -> Iterator[MemGenModel]:
    source = fetch_model(get_preset(TINY), None, home, Monitor(None))
    with torch.no_grad():
        yield load_checkpoint(Path(checkpoint), load_base(source, "float32"), source.identity, {})


def evaluation(setting: str, checkpoint: str | None = None, **fields: object) -> RunConfig:
    return config_of(setting=setting, checkpoint=checkpoint, **(SHORT | fields))


def measured(folder: Path) -> list[float]:
    answers, summary = read_answers(RunDir(folder).answers)
    found = [answer.metrics["nll"] for answer in sorted(answers, key=lambda one: one.index)]
    assert summary is not None
    assert summary.summary_metrics["nll"] == pytest.approx(sum(found) / len(found))
    return found


def solutions(model: MemGenModel) -> list[tuple[str, list[int], list[int]]]:
    """Of each question its id, and the tokens of its prompt and its solution."""
    prompt, encode = Prompt(data_set("wordproblems")), model.base.tokenizer.encode
    return [
        (
            one.id,
            encode(prompt.text(one.question), add_special_tokens=False),
            encode(answer_text(one.solution), add_special_tokens=False),
        )
        for one in load_questions("wordproblems", "test", limit=SHORT["num_questions"])  # type: ignore[arg-type]
    ]


def likely(model: MemGenModel, row: Row) -> float:
    return -float(model.token_logprobs([row])[0].mean())


def test_the_plain_models_number_is_that_of_its_own_forward_pass(home: Path, tmp_path: Path, model) -> None:
    run(home, tmp_path / "run", evaluation("base"))
    expected = []
    for _, prompt, solution in solutions(model):
        logits = model.base.model(torch.tensor([prompt + solution])).logits[0, len(prompt) - 1 : -1]
        expected.append(float(torch.nn.functional.cross_entropy(logits.float(), torch.tensor(solution))))
    assert measured(tmp_path / "run") == pytest.approx(expected, rel=1e-5)


def test_latents_stand_at_the_points_of_the_solution_as_in_training(
    home: Path, tmp_path: Path, model, checkpoint: str
) -> None:
    run(home, tmp_path / "run", evaluation("weaver", checkpoint))
    expected = []
    for _, prompt, solution in solutions(model):
        ids = prompt + solution
        points = model.augmentation_points(ids, len(prompt))
        assert points[0] == len(prompt)
        expected.append(likely(model, Row(torch.tensor(ids), points, len(prompt))))
    assert measured(tmp_path / "run") == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("most", [1, 5])
def test_the_trigger_decides_token_by_token_until_the_limit_as_it_does_in_generation(
    home: Path, tmp_path: Path, model, checkpoint: str, most: int
) -> None:
    run(home, tmp_path / "run", evaluation("weaver+trigger", checkpoint, max_inference_aug_num=most))
    expected, decisions = [], []
    for _, prompt, solution in solutions(model):
        ids, points, inserted = prompt + solution, [], 0
        for place in range(len(prompt), len(ids)):
            inside = place > len(prompt)
            if inside and (inserted == most or not model.is_delimiter(ids[place - 1])):
                continue
            tokens = model.embed(torch.tensor(ids[:place]))
            wants = bool(model.decide(model.row_stream(1), [0], [tokens]).argmax(-1))
            decisions.append((inside, wants))
            if wants:
                points.append(place)
                inserted += inside
        row = Row(torch.tensor(ids), points, len(prompt), at_prompt=points[:1] == [len(prompt)])
        expected.append(likely(model, row))
    assert {wants for _, wants in decisions} == {True, False}
    assert measured(tmp_path / "run") == pytest.approx(expected, rel=1e-5)


def test_chance_decides_by_question_and_token(home: Path, tmp_path: Path, model, checkpoint: str) -> None:
    for setting, fields in {
        "base": {},
        "weaver": {"checkpoint": checkpoint},
        "never": {"setting": "weaver+random", "checkpoint": checkpoint, "insert_probability": 0.0},
        "always": {"setting": "weaver+random", "checkpoint": checkpoint, "insert_probability": 1.0},
        "half": {"setting": "weaver+random", "checkpoint": checkpoint, "insert_probability": 0.5},
    }.items():
        run(home, tmp_path / setting, config_of(**(SHORT | {"setting": setting} | fields)))
    assert measured(tmp_path / "never") == pytest.approx(measured(tmp_path / "base"), rel=1e-5)
    assert measured(tmp_path / "always") == pytest.approx(measured(tmp_path / "weaver"), rel=1e-5)
    expected = []
    for name, prompt, solution in solutions(model):
        ids, start = prompt + solution, len(prompt)
        inside = [place for place in range(start + 1, len(ids)) if model.is_delimiter(ids[place - 1])]
        points = [place for place in inside if chance(42, name, place - start) < 0.5][:5]
        at_prompt = chance(42, name, 0) < 0.5
        expected.append(likely(model, Row(torch.tensor(ids), [start] * at_prompt + points, start, at_prompt)))
    assert measured(tmp_path / "half") == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("setting", ["base", "weaver+trigger"])
def test_stopped_and_resumed_gives_the_same_numbers(home: Path, tmp_path: Path, checkpoint: str, setting: str) -> None:
    config = evaluation(setting, None if setting == "base" else checkpoint, num_questions=9)
    run(home, tmp_path / "whole", config)
    first = RunDir(tmp_path / "first")

    def answered() -> bool:
        return first.answers.exists() and first.answers.read_bytes().count(b"\n") >= 2

    with pytest.raises(Stopped):
        run(home, first.path, config, stop=StopWhen(answered))
    assert 2 <= len(read_answers(first.answers)[0]) < 9
    run(home, tmp_path / "second", config, resume=first.path)
    assert measured(tmp_path / "second") == pytest.approx(measured(tmp_path / "whole"), rel=1e-6)


def test_generation_is_the_same_with_and_without(home: Path, tmp_path: Path, checkpoint: str) -> None:
    for name, nll in (("with", True), ("without", False)):
        run(home, tmp_path / name, evaluation("weaver+trigger", checkpoint, nll=nll))
    with_it, without = (
        {one.id: one for one in read_answers(RunDir(tmp_path / name).answers)[0]} for name in ("with", "without")
    )
    assert {name: one.completion for name, one in with_it.items()} == {n: one.completion for n, one in without.items()}
    assert all("nll" in one.metrics for one in with_it.values())
    assert not any("nll" in one.metrics for one in without.values())


def test_ltpo_is_refused_with_the_way_out() -> None:
    with pytest.raises(InvalidConfig) as refusal:
        config_of(stage="ltpo_evaluate", checkpoint="1", nll=True)
    assert refusal.value.field == "nll"
    assert "LTPO" in refusal.value.message
    assert "set it to false for the step ltpo_eval" in refusal.value.way_out


def test_a_config_that_was_stored_without_it_keeps_its_hash() -> None:
    stored = parse_config({"stage": "evaluate", "batch_size": 8})
    assert config_hash(stored) == "c538ea88a5f83798"
    assert config_hash(parse_config({"stage": "evaluate", "batch_size": 8, "nll": False})) == config_hash(stored)
    assert config_hash(parse_config({"stage": "evaluate", "batch_size": 8, "nll": True})) != config_hash(stored)


def test_batches_keep_to_both_limits_and_a_long_solution_stands_alone() -> None:
    half = MOST_LABELS // 2
    rows = [(0, 1), (1, 1), (2, 1), (3, half), (4, half), (5, MOST_LABELS + 1), (6, 1)]
    assert list(batches(rows, 3)) == [[0, 1, 2], [3, 4], [5], [6]]
    assert list(batches([], 3)) == []
