"""All steps of one seed, each in a process of its own; what is done already is left as it is."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.learning.plan import LORA_PRESET, STEPS, Done, Scale, Step
from memgen.contract.answers import AnswerRecord, read_answers, scorer_version
from memgen.contract.config import RunConfig, parse_config
from memgen.contract.data_sets.registry import data_set
from memgen.contract.rundir import RunDir, write_json
from memgen.contract.stages import stage_of
from memgen.scoring import SCORER_VERSIONS

MACHINE = "machine.json"
"""What the seed was begun on."""


def run_seed(scale: Scale, seed: int, folder: Path, home: Path, until: str | None = None) -> Done:
    """Run what is missing; returns the results of all steps.

    Args:
        scale: how much.
        seed: of everything that is drawn.
        folder: where the steps of this seed lie.
        home: MEMGEN_HOME, for weights.
        until: stop after this step.

    Raises:
        SystemExit: a step failed (its log says why, and the next call goes on from there), or was begun with other
            settings than the plan's.
    """
    done: dict[str, dict[str, float]] = {}
    presets = folder / "presets.json"
    folder.mkdir(parents=True, exist_ok=True)
    model = (folder / "lora_sft" / "model").resolve()
    if not (folder / MACHINE).exists():
        write_json(folder / MACHINE, machine.describe())
    write_json(presets, [{"name": LORA_PRESET, "folder": str(model)}] if (model / "config.json").exists() else [])
    environment = {**os.environ, "MEMGEN_HOME": str(home), "MEMGEN_PRESETS": str(presets)}
    os.environ["MEMGEN_PRESETS"] = str(presets)
    for step in STEPS:
        result = folder / step.name / "result.json"
        config = _config(step, scale, seed, done, folder)
        _check_begun(step, config, folder / step.name)
        if not result.exists():
            began = time.perf_counter()
            print(f"seed {seed}: {step.title} ...", flush=True)
            if step.name == "lora_sft":
                _train_lora(config, home, folder / step.name)
                write_json(presets, [{"name": LORA_PRESET, "folder": str(model)}])
            else:
                _run(config, folder / step.name, environment)
            print(f"seed {seed}: {step.title} took {time.perf_counter() - began:.0f} s", flush=True)
        done[step.name] = json.loads(result.read_text(encoding="utf-8"))
        print(f"seed {seed}: {step.title}: {_said(done[step.name])}", flush=True)
        if step.name == until:
            break
    return done


def answers_of(folder: Path, step: Step) -> list[AnswerRecord]:
    """The answers of an evaluation that is done, in the questions' order."""
    stage = json.loads((folder / step.name / "config.json").read_text(encoding="utf-8"))["stage"]
    found, _ = read_answers(RunDir(folder / step.name, stage).answers)
    return sorted(found, key=lambda answer: answer.index)


def _config(step: Step, scale: Scale, seed: int, done: Done, folder: Path) -> RunConfig:
    fields = step.config(scale, seed, done)
    if step.checkpoint is not None:
        fields["checkpoint"] = str((folder / step.checkpoint / step.checkpoint).resolve())
    return parse_config(fields)


def _check_begun(step: Step, config: RunConfig, folder: Path) -> None:
    """What lies there must have been made with the same settings, or a table would mix two plans."""
    stored = folder / "config.json"
    if not stored.exists():
        return
    old, new = (
        one.model_dump(mode="json", exclude={"checkpoint"})  # the folder may have moved
        for one in (parse_config(json.loads(stored.read_text(encoding="utf-8"))), config)
    )
    differing = [f"{name} ({old.get(name)}, now {value})" for name, value in new.items() if old.get(name) != value]
    made_in = RunDir(folder).environment
    if stage_of(config).makes != "weaver" and made_in.exists():  # a weaver learns from solutions, without scores
        scorer = scorer_version(json.loads(made_in.read_text(encoding="utf-8")))
        present = SCORER_VERSIONS[data_set(config.data).answer]
        differing += [f"scorer_version ({scorer}, now {present})"] if scorer != present else []
    if differing:
        raise SystemExit(
            f"{step.title} was begun with other settings: {'; '.join(differing)}. Remove {folder} and what builds on "
            "it, or take another seed."
        )


def _run(config: RunConfig, folder: Path, environment: Mapping[str, str]) -> None:
    plan = folder.with_suffix(".json")
    write_json(plan, config.model_dump(mode="json"))
    environment = {**environment, "MEMGEN_SUPERVISOR_PID": str(os.getpid())}  # it ends with this process
    command = [sys.executable, "-m", "memgen", "run", str(plan), "--out", str(folder)]
    command += ["--resume", str(folder)] if (folder / "config.json").exists() else []
    log = folder.with_suffix(".log")
    with log.open("a", encoding="utf-8") as out:
        code = subprocess.run(command, env=environment, stdout=out, stderr=out, check=False).returncode
    if code:
        lines = log.read_text(encoding="utf-8").splitlines()[-3:]
        raise SystemExit(f"the step ended with exit code {code}; {log}:\n" + "\n".join(lines))


def _train_lora(config: RunConfig, home: Path, folder: Path) -> None:
    from benchmarks.learning.plain_lora import train

    write_json(folder / "config.json", config.model_dump(mode="json"))
    write_json(folder / "result.json", train(config, home, folder))
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def _said(result: Mapping[str, Any]) -> str:
    names = (
        "accuracy",
        "format_ok",
        "truncated",
        "mean_completion_tokens",
        "insert_rate",
        "loss",
        "eval_loss",
        "reward",
    )
    return ", ".join(f"{name} {result[name]:.3g}" for name in (*names, "seconds") if name in result)
