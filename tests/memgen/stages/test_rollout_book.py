"""The kept rollouts of a training: each step once, as it was learned from, also after a kill and a resume."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from memgen.contract.config import RunConfig, config_hash, parse_config, stored_config
from memgen.contract.rollouts import RolloutGroup, kept_every
from memgen.contract.rundir import RunDir
from memgen.scoring import answer_of
from memgen.stages import rollout_book
from tests.memgen.stages.running import Killed, config_of, events, kill_after, metric, run, score_by


def kept(folder: Path) -> list[RolloutGroup]:
    """The groups that a run has kept, in the file's order."""
    lines = RunDir(folder).rollouts.read_text().splitlines()
    return [RolloutGroup.model_validate_json(line) for line in lines]


def places(folder: Path) -> list[tuple[int, int]]:
    return [(group.step, group.place) for group in kept(folder)]


@pytest.fixture
def config(weaver: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """Six steps of two groups, rewarded for what they are, as the tiny base answers nothing right."""
    score_by(monkeypatch, lambda one: float(sum(one.ids) % 2))
    return config_of(
        stage="trigger_grpo", checkpoint=str(weaver), num_questions=12, max_steps=6, batch_size=4, num_generations=4,
        gradient_accumulation_steps=2, max_completion_length=24, sample_tokens=True, learning_rate=0.003, save_steps=2,
        insertion_penalty=0.5,
    )  # fmt: skip


def changed(config: RunConfig, **fields: Any) -> RunConfig:
    return config_of(**config.model_dump(exclude_none=True) | fields)


def test_groups_say_what_the_step_learned_from(home: Path, tmp_path: Path, config: RunConfig) -> None:
    run(home, tmp_path / "run", config)
    groups = kept(tmp_path / "run")
    assert places(tmp_path / "run") == [(step, place) for step in range(1, 7) for place in range(2)]
    told = {name: metric(tmp_path / "run", f"train/{name}") for name in ("reward", "frac_reward_zero_std")}
    truncated = metric(tmp_path / "run", "train/completions/truncated")
    for step in range(1, 7):
        own = [group for group in groups if group.step == step]
        ones = [one for group in own for one in group.completions]
        assert len(ones) == 8
        assert statistics.fmean(one.reward for one in ones) == pytest.approx(told["reward"][step], abs=1e-9)
        assert sum(group.without_variance for group in own) / 2 == told["frac_reward_zero_std"][step]
        assert sum(one.truncated for one in ones) / 8 == truncated[step]
    for group in groups:
        assert group.expected == answer_of(group.solution)
        assert group.id.startswith("wordproblems:")
        rewards = [one.reward for one in group.completions]
        deviation = statistics.stdev(rewards) + 1e-4
        for one in group.completions:
            assert {"accuracy"} <= one.rewards.keys() <= {"accuracy", "penalty"}
            assert one.advantage == pytest.approx((one.reward - statistics.fmean(rewards)) / deviation)
    assert any(one.rewards.get("penalty", 0.0) < 0 for group in groups for one in group.completions)
    points = [point for group in groups for one in group.completions for point in one.augmentations]
    assert {point.inserted for point in points} == {True, False}
    assert all(point.asked and point.probability is not None for point in points)
    assert statistics.fmean(point.probability or 0 for point in points) == pytest.approx(
        statistics.fmean(point.inserted for point in points), abs=0.2
    )


@pytest.mark.parametrize("in_place", [False, True], ids=["into a new folder", "in its own folder"])
def test_killed_and_resumed_training_keeps_each_step_once(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch, in_place: bool
) -> None:
    run(home, tmp_path / "whole", config)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 3)
        run(home, tmp_path / "first", config)
    assert max(places(tmp_path / "first"))[0] == 3, "it was killed after its checkpoint of step 2"
    with RunDir(tmp_path / "first").rollouts.open("a") as file:
        file.write('{"step": 4, "torn')
    second = tmp_path / ("first" if in_place else "second")
    run(home, second, config, resume=tmp_path / "first")
    assert kept(second) == kept(tmp_path / "whole")


def test_longer_training_keeps_steps_at_even_distances_and_says_so(
    home: Path, tmp_path: Path, config: RunConfig
) -> None:
    run(home, tmp_path / "run", changed(config, kept_rollouts=2, max_steps=5))
    assert sorted({group.step for group in kept(tmp_path / "run")}) == [1, 4]
    assert {group.every for group in kept(tmp_path / "run")} == {3}
    run(home, tmp_path / "none", changed(config, kept_rollouts=0, max_steps=1))
    assert not RunDir(tmp_path / "none").rollouts.exists()


def test_several_steps_from_one_rollout_are_kept_once(home: Path, tmp_path: Path, config: RunConfig) -> None:
    run(home, tmp_path / "run", changed(config, num_iterations=2))
    assert sorted({group.step for group in kept(tmp_path / "run")}) == [1, 3, 5]


@pytest.mark.parametrize(("steps", "iterations", "most", "every"), [(200, 1, 200, 1), (201, 1, 200, 2), (6, 2, 2, 2)])
def test_at_most_so_many_are_kept(config: RunConfig, steps: int, iterations: int, most: int, every: int) -> None:
    training = config.model_copy(update={"num_iterations": iterations, "kept_rollouts": most})
    assert kept_every(training, steps) == every
    assert len(range(0, -(-steps // iterations), every)) <= most


def test_training_goes_on_where_nothing_can_be_kept(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rollout_book, "_append", full)
    result = run(home, tmp_path / "run", changed(config, max_steps=2))
    assert result["steps"] == 2
    (warning,) = events(tmp_path / "run", "warning")
    assert warning["code"] == "rollouts_not_kept"
    assert "No space left" in warning["message"]


def test_config_that_was_stored_before_keeps_nothing_and_has_its_hash(config: RunConfig) -> None:
    before = {name: value for name, value in config.model_dump(mode="json").items() if name != "kept_rollouts"}
    stored = stored_config(before)
    assert stored.kept_rollouts == 0
    assert config_hash(stored) == config_hash(parse_config(json.loads(json.dumps(before)) | {"kept_rollouts": 0}))
    assert config_hash(stored) != config_hash(config)
