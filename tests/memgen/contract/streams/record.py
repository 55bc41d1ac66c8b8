"""Record what real runs of the tiny base tell: `python -m tests.memgen.contract.streams.record [STAGE...]`.

Writes good.json, of the stages that are named, else of all; weaver_sft comes before those that start from it. They
learn something, by a reward that the tiny base can earn: no alarm may fire on them.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import GOLDEN, TINY
from tests.memgen.stages.running import config_of, events, run, score_by

HERE = Path(__file__).parent
GRPO: dict[str, Any] = {
    "num_questions": 60, "num_train_epochs": 2, "max_steps": 24, "batch_size": 8, "num_generations": 4,
    "max_completion_length": 48, "learning_rate": 0.001,
}  # fmt: skip
STAGES: dict[str, dict[str, Any]] = {
    "weaver_sft": {"num_questions": 60, "max_steps": 24, "learning_rate": 0.003, "eval_questions": 8, "eval_steps": 3},
    "lora_sft": {"num_questions": 60, "max_steps": 24, "learning_rate": 0.003, "eval_questions": 8, "eval_steps": 3},
    "trigger_grpo": {**GRPO, "sample_tokens": True},
    "weaver_grpo": GRPO,
    "lora_grpo": {**GRPO, "max_completion_length": 128},  # else all of its completions are cut, which is an alarm
    "ltpo_evaluate": {"num_questions": 12, "max_completion_length": 24, "max_steps": 3, "setting": "weaver+ltpo"},
}


def vowels(completions: list[str], *_: object) -> list[float]:
    """A reward that a model can learn: how many vowels it writes."""
    return [sum(one.count(letter) for letter in "aeiou") / (1 + len(one)) for one in completions]


def record(home: Path, stages: list[str]) -> dict[str, Any]:
    """By stage its config and its numbers: name, step, value."""
    streams: dict[str, Any] = {}
    for stage in stages:
        fields = STAGES[stage]
        if stage in ("trigger_grpo", "weaver_grpo", "ltpo_evaluate"):
            fields = {**fields, "checkpoint": str(home / "weaver_sft" / "weaver_sft")}
        config = config_of(stage=stage, **fields)
        with pytest.MonkeyPatch.context() as patch:
            score_by(patch, lambda one: sum(token % 2 for token in one.ids) / len(one.ids))
            patch.setattr("memgen.stages.lora_grpo.correctness", vowels)
            run(home, home / stage, config)
        told = [(one["name"], one["step"], float(f"{one['value']:.6g}")) for one in events(home / stage, "metric")]
        kept = config.model_dump(mode="json", exclude={"checkpoint"})
        streams[stage] = {"config": kept, "numbers": told}
    return streams


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        presets = Path(folder) / "presets.json"
        presets.write_text(json.dumps([{"name": TINY, "note": "for tests", "folder": str(GOLDEN / "tiny_base")}]))
        os.environ["MEMGEN_PRESETS"] = str(presets)
        there = json.loads((HERE / "good.json").read_text()) if sys.argv[1:] else {}
        told = there | record(Path(folder), sys.argv[1:] or list(STAGES))
    lines = [f"{json.dumps(stage)}: {json.dumps(stream, separators=(',', ':'))}" for stage, stream in told.items()]
    (HERE / "good.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
