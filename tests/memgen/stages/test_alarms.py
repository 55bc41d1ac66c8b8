"""Alarms of real runs on the tiny base: told as they fire, and a training that is to stop on one is saved."""

from pathlib import Path
from typing import Any

import pytest

from memgen.contract.config import RunConfig, config_hash, parse_config, stored_config
from memgen.contract.errors import Diverged
from memgen.contract.rundir import RunDir
from memgen.stages.training import TrainingLoop
from memgen.stop import Stopped
from tests.memgen.stages.running import config_of, events, metric, run

CODE = "all_truncated"


@pytest.fixture
def config(weaver: Path) -> RunConfig:
    """A training whose completions are all cut: two tokens are no answer."""
    return config_of(
        stage="trigger_grpo", checkpoint=str(weaver), num_questions=12, max_steps=8, batch_size=4, num_generations=4,
        gradient_accumulation_steps=1, max_completion_length=2, sample_tokens=True,
    )  # fmt: skip


def codes(folder: Path) -> dict[str, int]:
    """Steps of the alarms by code."""
    return {one["code"]: one["step"] for one in events(folder, "alarm")}


def test_alarm_is_told_once_and_the_training_goes_on(home: Path, tmp_path: Path, config: RunConfig) -> None:
    result = run(home, tmp_path / "run", config)
    assert (codes(tmp_path / "run")[CODE], result["steps"]) == (5, 8)
    assert len(events(tmp_path / "run", "alarm")) == len(codes(tmp_path / "run"))


def test_training_that_is_to_stop_on_an_alarm_is_saved_and_can_be_resumed(
    home: Path, tmp_path: Path, config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    stopping = config.model_copy(update={"stop_on_alarm": True})
    with pytest.raises(Stopped):
        run(home, tmp_path / "run", stopping)
    assert RunDir(tmp_path / "run", "trigger_grpo").saved_steps() == [5]
    said = capsys.readouterr().out
    assert "alarm: All completions are cut. Every completion of the last 5 steps was cut." in said
    assert "stopping: the config says so (stop_on_alarm)" in said
    run(home, tmp_path / "run", stopping, resume=tmp_path / "run")
    assert max(metric(tmp_path / "run", "train/loss")) == 8


def test_training_that_diverges_says_so_as_an_alarm(
    home: Path, tmp_path: Path, config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = TrainingLoop._compute

    def compute(self: TrainingLoop, number: int, step: Any) -> dict[str, float]:
        return whole(self, number, step) | ({"loss": float("nan")} if number == 1 else {})

    monkeypatch.setattr(TrainingLoop, "_compute", compute)
    with pytest.raises(Diverged):
        run(home, tmp_path / "run", config)
    (alarm,) = events(tmp_path / "run", "alarm")
    assert alarm["code"] == "not_finite"
    assert "loss nan" in alarm["fact"]


def test_config_that_was_stored_before_stops_on_no_alarm_and_has_its_hash(config: RunConfig) -> None:
    before = {name: value for name, value in config.model_dump(mode="json").items() if name != "stop_on_alarm"}
    assert not stored_config(before).stops_on_alarm
    assert config_hash(stored_config(before)) == config_hash(config)
    assert config_hash(parse_config(before | {"stop_on_alarm": True})) != config_hash(config)
