"""`python -m memgen run` in processes of their own: a weaver is trained and evaluated, from saved weights on."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from memgen.contract.presets import Preset
from memgen.contract.rundir import RunDir
from memgen.doctor.card.bench import Bench
from memgen.doctor.card.random_model import random_base

PRESET = "measured/random"
TAIL = 1500  # characters of what a run printed


def run(bench: Bench) -> None:
    """The step."""
    bench.measure("train and evaluate", lambda: train_and_evaluate(bench), limit=240)


def train_and_evaluate(bench: Bench) -> dict[str, Any]:
    """Three steps of weaver SFT, then an evaluation with that weaver."""
    saved = save(bench, bench.sizes.models[0])
    data = "gsm8k" if os.environ.get("MEMGEN_GSM8K_DIR") else "wordproblems"
    common = {"preset": PRESET, "data": data, "dtype": "auto"}
    width = bench.sizes.widths[0]
    training = {
        "stage": "weaver_sft",
        "max_steps": 3,
        "eval_questions": 4,
        "learning_rate": 1e-3,
        "batch_size": bench.sizes.sft_rows[0],
    }
    evaluation = {
        "stage": "evaluate",
        "setting": "weaver",
        "checkpoint": str(RunDir(bench.work / "weaver_sft", "weaver_sft").output),
        "num_questions": width,
        "batch_size": width,
        "max_completion_length": bench.sizes.large_tokens,
    }
    return saved | {"weaver_sft": command(bench, common | training), "evaluate": command(bench, common | evaluation)}


def save(bench: Bench, preset: Preset) -> dict[str, Any]:
    """Weights, tokenizer and a presets file on disk, as an operator's own model has them."""
    folder = bench.work / "model"
    base = random_base(bench, preset)
    began = time.perf_counter()
    base.model.save_pretrained(folder)
    took = time.perf_counter() - began
    base.tokenizer.save_pretrained(folder)
    (bench.work / "presets.json").write_text(json.dumps([{"name": PRESET, "folder": str(folder)}]))
    return {"save_seconds": took, "saved_bytes": sum(file.stat().st_size for file in folder.iterdir())}


def command(bench: Bench, config: dict[str, Any]) -> dict[str, Any]:
    """Run one stage as a user does.

    Raises:
        RuntimeError: it failed, with the end of what it printed.
    """
    stage = str(config["stage"])
    file, out = bench.work / f"{stage}.json", bench.work / stage
    file.write_text(json.dumps(config))
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "memgen", "run", str(file), "--out", str(out)],
        env={
            **os.environ,
            "MEMGEN_PRESETS": str(bench.work / "presets.json"),
            "MEMGEN_HOME": str(bench.work / "home"),
            "HF_HUB_OFFLINE": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
        check=False,
    )
    took, said = time.perf_counter() - began, done.stdout[-TAIL:]
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode}: {said}")
    run_dir = RunDir(out, stage)
    return {
        "seconds": took,
        "result": _json(run_dir.result),
        "environment": _json(run_dir.environment),
        "said": said,
    }


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
