"""What a result depends on beside its config: versions, device, weights, prompt. Written to `environment.json`."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from memgen.contract.answers import scorer_version
from memgen.contract.config import RunConfig, config_hash
from memgen.contract.data_sets.registry import data_set
from memgen.contract.errors import BadInput
from memgen.contract.inheritance import inherited
from memgen.contract.json_file import Unreadable, read_object
from memgen.contract.rundir import RunDir
from memgen.data.prompt import prompt_hash
from memgen.model.base import BaseModel
from memgen.model.fetch import LocalModel
from memgen.parallel.team import Team
from memgen.scoring import SCORER_VERSIONS

ROWS = "rows_hash"
REFERENCE_IDS, REFERENCES = "reference_questions", "reference_rows"
"""Training rows whose latents an evaluation inserts: their ids, and the hash of these with their solutions."""
_WORK = ("config_hash", "model", "checkpoint", "prompt_hash")
# What must be equal before a training goes on from a checkpoint of it.
TRAINING_CONDITIONS = (*_WORK, ROWS)
# What must be equal where the training's rewards are scores, too.
REWARD_CONDITIONS = (*TRAINING_CONDITIONS, "scorer_version")
# What must be equal before answers of two attempts may stand in one file; each answer says itself to which solution.
CONDITIONS = (*_WORK, REFERENCES, "scorer_version", "dtype", "device", "torch", "transformers")


def describe(
    config: RunConfig,
    base: BaseModel,
    source: LocalModel,
    threads: int,
    checkpoint: str | None,
    team: Team,
    rows_hash: str,
) -> dict[str, Any]:
    """Everything about this machine and these weights that a reader of the result may ask for."""
    device = torch.cuda.get_device_name(base.device) if base.device.type == "cuda" else platform.machine()
    return {
        "model": source.identity,
        "checkpoint": checkpoint,
        "config_hash": config_hash(config),
        "prompt_hash": prompt_hash(data_set(config.data)),
        ROWS: rows_hash,
        "scorer_version": SCORER_VERSIONS[data_set(config.data).answer],
        "seed": config.seed,
        "dtype": str(base.model.dtype).removeprefix("torch."),
        "device": f"{base.device.type} ({device})",
        "attention": base.model.config._attn_implementation,
        "threads": threads,
        "num_processes": team.size,
        "backend": team.backend,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "memgen": _own_version(),
        "git_revision": _git_revision(),
        "platform": platform.platform(),
    }


def same_conditions(now: dict[str, Any], earlier: RunDir, conditions: tuple[str, ...]) -> None:
    """Refuse to go on with what was made under other conditions.

    Raises:
        BadInput: `resume_mismatch`, naming what differs, or `resume_damaged`.
    """
    try:
        before = read_object(earlier.environment)
    except Unreadable as error:
        raise BadInput(
            "resume_damaged",
            f"environment.json of the attempt to resume can't be used: {error}",
            field="resume",
            value=earlier.environment,
            way_out="Start again without --resume (on the run page: Retry).",
        ) from error
    before["scorer_version"] = scorer_version(before)
    before.setdefault(ROWS, now[ROWS])  # versions before did not write it down
    if before.get(REFERENCE_IDS) == now.get(REFERENCE_IDS):
        before.setdefault(REFERENCES, now.get(REFERENCES))  # of these neither, but which questions they were
    differing = [
        f"{key} {before.get(key)!r} -> {now.get(key)!r}" for key in conditions if before.get(key) != now.get(key)
    ]
    if differing:
        raise BadInput(
            "resume_mismatch",
            "the earlier attempt worked under other conditions: " + "; ".join(differing),
            field="resume",
            way_out="Start again without --resume (on the run page: Retry).",
        )


def _own_version() -> str:
    try:
        return version("memgen-studio")
    except PackageNotFoundError:
        return "not installed"


def _git_revision() -> str | None:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            env=inherited("git", os.environ),
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
