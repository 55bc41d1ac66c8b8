"""Runs a stage on the tiny base as the command line does, in this process; and stops it where a test wants."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memgen.contract.config import RunConfig, parse_config
from memgen.contract.rundir import RunDir
from memgen.contract.status import StopMode
from memgen.model.woven_generation import Completion, generate_woven
from memgen.monitor import Monitor
from memgen.parallel.team import Team
from memgen.stages import rollout
from memgen.stages.context import Context
from memgen.stages.stages import run_stage
from memgen.stop import StopRequest
from tests.conftest import TINY

TINY_RUN: dict[str, Any] = {"preset": TINY, "data": "wordproblems"}


class StopWhen(StopRequest):
    """Asks to stop once a condition holds."""

    def __init__(self, condition: Callable[[], bool], mode: StopMode = StopMode.SAVE) -> None:
        super().__init__()
        self._condition, self._mode = condition, mode

    def requested(self) -> StopMode | None:
        return self._mode if self._condition() else None


def run(
    home: Path,
    folder: Path,
    config: RunConfig,
    resume: Path | None = None,
    stop: StopRequest | None = None,
    team: Team | None = None,
) -> dict[str, float]:
    """Run a stage into a folder; returns its result."""
    folder.mkdir(parents=True, exist_ok=True)
    run_dir = RunDir(folder, config.stage)
    monitor = Monitor(run_dir.events)
    earlier = RunDir(resume, config.stage) if resume else None
    try:
        return run_stage(config, Context(run_dir, earlier, home, None, monitor, stop or StopRequest(), team or Team()))
    finally:
        monitor.close()


def config_of(**fields: Any) -> RunConfig:
    """A config of the tiny model on our own word problems."""
    return parse_config(TINY_RUN | fields)


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    """What the run in this folder said, of one kind."""
    lines = RunDir(folder).events.read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def metric(folder: Path, name: str) -> dict[int, float]:
    """Values of a metric by step."""
    return {event["step"]: event["value"] for event in events(folder, "metric") if event["name"] == name}


class Killed(BaseException):
    """Stands for a kill: nothing in the program catches it."""


def kill_after(monkeypatch: Any, steps: int) -> None:
    """Let the process die once a training has done this many steps: nothing is saved on the way out."""
    from memgen.stages.training import TrainingLoop

    whole = TrainingLoop._step

    def step(self: TrainingLoop, number: int, compute: Any) -> dict[str, float]:
        if number >= steps:
            raise Killed
        return whole(self, number, compute)

    monkeypatch.setattr(TrainingLoop, "_step", step)


def score_by(monkeypatch: Any, reward: Callable[[Completion], float]) -> None:
    """Let completions be rewarded for what they are: the tiny base answers nothing right."""
    made: list[Completion] = []

    def recorded(*args: Any, **options: Any) -> list[Completion]:
        completions = generate_woven(*args, **options)
        made.extend(completions)
        return completions

    monkeypatch.setattr(rollout, "generate_woven", recorded)
    monkeypatch.setattr(rollout, "correctness", lambda texts, *_: [reward(one) for one in made[-len(texts) :]])
