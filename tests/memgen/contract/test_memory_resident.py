"""The planner against the resident size of real processes on the CPU."""

import subprocess
import sys

import pytest

from memgen.contract.config import RunConfig
from memgen.contract.planner.memory import plan
from memgen.contract.planner.shapes import Shape
from memgen.contract.presets import BUILT_IN
from memgen.contract.stages.evaluate import EvaluateConfig
from memgen.contract.stages.trigger_grpo import TriggerGrpoConfig
from memgen.contract.stages.weaver_sft import WeaverSftConfig

EVALUATION = EvaluateConfig(setting="weaver+trigger", checkpoint="x")


@pytest.mark.parametrize(
    ("phase", "config", "shape"),
    [
        ("load", EVALUATION, Shape(1, 1, 1)),
        ("evaluate", EVALUATION, Shape(8, 100, 12)),
        ("weaver_sft", WeaverSftConfig(), Shape(2, 50, 40)),
        ("trigger_grpo", TriggerGrpoConfig(checkpoint="x"), Shape(2, 80, 100)),
    ],
)
def test_process_grows_by_what_the_planner_says(phase: str, config: RunConfig, shape: Shape) -> None:
    words = [phase, *map(str, (shape.rows, shape.prompt, shape.completion))]
    done = subprocess.run(
        [sys.executable, "-m", "tests.memgen.contract.resident", *words],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    need = plan(config, BUILT_IN[0], "cpu", shape)
    planned = need.total - need.process
    if phase == "load":
        planned = need.weights + need.trainables
    assert planned == pytest.approx(int(done.stdout), rel=0.25)
