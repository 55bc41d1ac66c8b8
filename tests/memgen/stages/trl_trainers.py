"""trl's trainers beside our stages: their losses, a base for them, and a kill where a test wants one."""

from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback

from memgen.contract.presets import get_preset
from memgen.model.base import BaseModel, load_base
from memgen.model.fetch import fetch_model
from memgen.monitor import Monitor
from memgen.stages.lora_training import Course
from tests.conftest import TINY
from tests.memgen.stages.running import Killed


class Losses(TrainerCallback):
    """What a trainer logs of its steps."""

    def __init__(self) -> None:
        self._logs: list[dict[str, float]] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        self._logs += [dict(logs)] if "loss" in logs else []

    @property
    def losses(self) -> list[float]:
        return self.named("loss")

    def named(self, name: str) -> list[float]:
        return [logs[name] for logs in self._logs]


def loaded_base() -> BaseModel:
    return load_base(fetch_model(get_preset(TINY), None, Path("/nowhere"), Monitor(None)), "float32")


def kill_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Let the process die once trl's trainer has done this many steps: nothing is saved on the way out."""

    def on_step_begin(self: Course, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if state.global_step >= steps:
            raise Killed

    monkeypatch.setattr(Course, "on_step_begin", on_step_begin)
