"""Evaluations with a weaver, a trigger and LTPO on the tiny base, from a checkpoint that was trained here."""

import json
from pathlib import Path

import pytest

from memgen.contract.answers import AnswerRecord, read_answers
from memgen.contract.config import InvalidConfig, RunConfig
from memgen.contract.errors import BadInput
from memgen.contract.rundir import RunDir
from memgen.stop import Stopped
from tests.memgen.stages.running import StopWhen, config_of, run

SHORT = {"num_questions": 6, "batch_size": 4, "max_completion_length": 24}


def evaluation(setting: str, checkpoint: str | None, **fields: object) -> RunConfig:
    stage = "ltpo_evaluate" if "ltpo" in setting else "evaluate"
    return config_of(stage=stage, setting=setting, checkpoint=checkpoint, **(SHORT | fields))


def answers(folder: Path, stage: str = "evaluate") -> list[AnswerRecord]:
    found, summary = read_answers(RunDir(folder, stage).answers)
    assert summary is not None
    return sorted(found, key=lambda answer: answer.index)


def texts(folder: Path, stage: str = "evaluate") -> list[str]:
    return [answer.completion for answer in answers(folder, stage)]


def test_weaver_always_inserts_and_the_trigger_decides(home: Path, tmp_path: Path, checkpoint: str) -> None:
    run(home, tmp_path / "base", evaluation("base", None))
    for setting in ("weaver", "weaver+trigger"):
        metrics = run(home, tmp_path / setting, evaluation(setting, checkpoint))
        points = [point for answer in answers(tmp_path / setting) for point in answer.augmentations]
        assert all(answer.augmentations[0].token == 0 for answer in answers(tmp_path / setting))
        assert {point.asked for point in points} == {"trigger" in setting}
        assert metrics["insert_rate"] == sum(point.inserted for point in points) / len(points)
        assert (metrics["insert_rate"] == 1.0) == ("trigger" not in setting)
        assert texts(tmp_path / setting) != texts(tmp_path / "base")
        for answer in answers(tmp_path / setting):
            for point in answer.augmentations:
                before = answer.completion[: point.character]
                assert before.endswith((",", ".", "\n")) if point.token else before == ""
    environment = json.loads(RunDir(tmp_path / "weaver").environment.read_text())
    assert environment["checkpoint"]


def test_insertion_by_chance_keeps_to_its_probability_in_every_batch(
    home: Path, tmp_path: Path, checkpoint: str
) -> None:
    def points(name: str, **fields: object) -> list[tuple[int, int, bool]]:
        run(home, tmp_path / name, evaluation("weaver+random", checkpoint, **fields))
        found = answers(tmp_path / name)
        assert not any(point.asked for answer in found for point in answer.augmentations)
        return [(answer.index, point.token, point.inserted) for answer in found for point in answer.augmentations]

    run(home, tmp_path / "weaver", evaluation("weaver", checkpoint))
    assert all(inserted for *_, inserted in points("always", insert_probability=1.0))
    assert texts(tmp_path / "always") == texts(tmp_path / "weaver")
    assert not any(inserted for *_, inserted in points("never", insert_probability=0.0))
    half = points("half", insert_probability=0.5, num_questions=12)
    assert 0.2 < sum(inserted for *_, inserted in half) / len(half) < 0.8
    assert points("single", insert_probability=0.5, num_questions=12, batch_size=1) == half
    assert points("other", insert_probability=0.5, num_questions=12, seed=1) != half


@pytest.mark.parametrize("fields", [{"setting": "weaver+random"}, {"setting": "weaver", "insert_probability": 0.5}])
def test_probability_is_for_insertion_by_chance_alone(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidConfig) as caught:
        config_of(stage="evaluate", checkpoint="x", **fields)
    assert caught.value.field == "insert_probability"


@pytest.mark.parametrize("setting", ["weaver", "weaver+trigger", "weaver+trigger+ltpo"])
def test_batched_equals_one_by_one(home: Path, tmp_path: Path, checkpoint: str, setting: str) -> None:
    fields = {"max_steps": 2, "num_questions": 4} if "ltpo" in setting else {}
    for name, size in (("batched", 4), ("single", 1)):
        run(home, tmp_path / name, evaluation(setting, checkpoint, batch_size=size, **fields))
    stage = "ltpo_evaluate" if "ltpo" in setting else "evaluate"
    assert texts(tmp_path / "batched", stage) == texts(tmp_path / "single", stage)


@pytest.mark.parametrize("setting", ["weaver+ltpo", "weaver+trigger+ltpo"])
def test_ltpo_with_no_steps_equals_the_plain_evaluation(
    home: Path, tmp_path: Path, checkpoint: str, setting: str
) -> None:
    run(home, tmp_path / "plain", evaluation(setting.removesuffix("+ltpo"), checkpoint))
    run(home, tmp_path / "ltpo", evaluation(setting, checkpoint, max_steps=0))
    plain, ltpo = answers(tmp_path / "plain"), answers(tmp_path / "ltpo", "ltpo_evaluate")
    assert [one.completion for one in plain] == [one.completion for one in ltpo]
    assert [one.augmentations for one in plain] == [one.augmentations for one in ltpo]
    assert RunDir(tmp_path / "ltpo", "ltpo_evaluate").answers.name == "answer_ltpo.json"


def test_ltpo_tells_how_each_insertion_moved(home: Path, tmp_path: Path, checkpoint: str) -> None:
    metrics = run(home, tmp_path / "run", evaluation("weaver+ltpo", checkpoint, max_steps=3, lr=0.1))
    for answer in answers(tmp_path / "run", "ltpo_evaluate"):
        assert answer.ltpo
        assert [trace.token for trace in answer.ltpo] == [
            point.token for point in answer.augmentations if point.inserted
        ]
        for trace in answer.ltpo:
            assert len(trace.rewards) == 4
            assert trace.rewards[trace.best_step] == max(trace.rewards)
            assert (trace.distance > 0) == (trace.best_step > 0)
            assert trace.step_ulps is not None
            assert trace.step_ulps > 1000  # in float32
    assert metrics["ltpo_distance"] > 0
    assert metrics["ltpo_reward_gain"] > 0
    assert metrics["ltpo_step_ulps"] > 1000


def test_ltpo_stopped_and_resumed_equals_uninterrupted(home: Path, tmp_path: Path, checkpoint: str) -> None:
    config = evaluation("weaver+trigger+ltpo", checkpoint, max_steps=2, num_questions=6, batch_size=3)
    run(home, tmp_path / "whole", config)
    first = RunDir(tmp_path / "first", config.stage)
    with pytest.raises(Stopped):
        run(home, first.path, config, stop=StopWhen(first.answers.exists))
    assert first.answers.read_bytes().count(b"\n") < 6
    asked: list[int] = []

    def in_the_second_batch() -> bool:
        asked.append(1)
        return first.answers.exists() and first.answers.read_bytes().count(b"\n") >= 3

    with pytest.raises(Stopped):
        run(home, first.path, config, resume=first.path, stop=StopWhen(in_the_second_batch))
    assert 3 <= first.answers.read_bytes().count(b"\n") < 6
    assert asked
    run(home, tmp_path / "second", config, resume=first.path)
    assert texts(tmp_path / "second", config.stage) == texts(tmp_path / "whole", config.stage)


@pytest.mark.usefixtures("home")
def test_reinforce_has_defaults_of_its_own() -> None:
    mine = evaluation("weaver+ltpo", "x", update="reinforce")
    assert (mine.lr, mine.sigma, mine.sigma_decay) == (0.04, 4.0, 0.9)
    assert evaluation("weaver+ltpo", "x", update="reinforce", sigma=1.0).sigma == 1.0
    usual = evaluation("weaver+ltpo", "x")
    assert (usual.lr, usual.sigma, usual.sigma_decay, usual.max_steps, usual.top_k) == (0.03, 0.1, 0.99, 10, 10)


def test_limits_can_be_lowered_and_lengths_must_agree(home: Path, tmp_path: Path, checkpoint: str) -> None:
    run(home, tmp_path / "few", evaluation("weaver", checkpoint, max_inference_aug_num=1, max_prompt_aug_num=0))
    for answer in answers(tmp_path / "few"):
        assert len(answer.augmentations) <= 1
        assert all(point.token > 0 for point in answer.augmentations)
    with pytest.raises(BadInput) as caught:
        run(home, tmp_path / "other", evaluation("weaver", checkpoint, inference_latents_len=4))
    assert (caught.value.code, caught.value.field) == ("other_latents", "inference_latents_len")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"setting": "weaver"}, "checkpoint"),
        ({"setting": "base", "checkpoint": "x"}, "checkpoint"),
        ({"setting": "base", "prompt_latents_len": 8}, "prompt_latents_len"),
        ({"setting": "weaver", "checkpoint": "x", "max_prompt_aug_num": 2}, "max_prompt_aug_num"),
        ({"setting": "weaver+ltpo", "checkpoint": "x"}, "setting"),
        ({"stage": "ltpo_evaluate", "setting": "weaver+ltpo"}, "checkpoint"),
        ({"stage": "ltpo_evaluate", "checkpoint": "x", "update": "reinforce", "sigma": 0}, "sigma"),
    ],
)
def test_config_that_makes_no_sense_is_refused_by_field(fields: dict, field: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        config_of(**({"stage": "evaluate"} | fields))
    assert field in [problem.field for problem in caught.value.problems]


@pytest.mark.parametrize("name", ["nowhere", "77"])
def test_checkpoint_that_is_not_there_is_refused_with_the_way_out(home: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        run(home, tmp_path / "run", evaluation("weaver", name))
    assert (caught.value.code, caught.value.value) == ("no_such_checkpoint", name)
    assert caught.value.way_out
