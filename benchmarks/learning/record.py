"""What is kept of a seed: one line per question and step, and one per training; `docs/learning/` holds them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from benchmarks.learning.plan import STEPS, Done, Scale, is_evaluation
from benchmarks.learning.seed import MACHINE, answers_of
from memgen.contract.json_file import lines_of
from memgen.contract.rundir import write_whole


class Line(BaseModel):
    """One question of one step, or the numbers of a training (without a question)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: str
    question: str | None = None
    right: bool = False
    format_ok: bool = False
    truncated: bool = False
    tokens: int = 0
    insertions: int = 0
    points: int = 0
    decisions: str = ""
    """One mark per decision point, in the order of the text: I inserted, - skipped. Older records have none."""
    seconds: float = 0.0
    distance: float | None = None
    """Mean distance that LTPO moved the latents of this question."""
    numbers: dict[str, Any] | None = None


def write(path: Path, scale: Scale, seed: int, folder: Path, done: Done) -> None:
    """Write the lines of a seed; the first names scale and machine."""
    begun_on = json.loads((folder / MACHINE).read_text(encoding="utf-8"))
    lines = [Line(step="machine", numbers={"seed": seed, **vars(scale), **begun_on})]
    for step in STEPS:
        lines.append(Line(step=step.name, numbers={**done[step.name], **_made_with(folder / step.name)}))
        if not is_evaluation(step):
            continue
        for answer in answers_of(folder, step):
            moved = [trace.distance for trace in answer.ltpo or []]
            lines.append(
                Line(
                    step=step.name,
                    question=answer.id,
                    right=answer.metrics["accuracy"] == 1.0,
                    format_ok=answer.metrics["format_ok"] == 1.0,
                    truncated=answer.truncated,
                    tokens=answer.completion_tokens,
                    insertions=sum(point.inserted for point in answer.augmentations),
                    points=len(answer.augmentations),
                    decisions="".join("I" if point.inserted else "-" for point in answer.augmentations),
                    seconds=answer.seconds,
                    distance=round(sum(moved) / len(moved), 4) if moved else None,
                )
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(line.model_dump_json(exclude_defaults=True) + "\n" for line in lines))


def _made_with(folder: Path) -> dict[str, Any]:
    """Hash of the config, the code's revision and the scorer's version, where the step is a run of the core."""
    path = folder / "environment.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: found[name] for name in ("config_hash", "git_revision", "scorer_version") if name in found}


def read(path: Path) -> list[Line]:
    """The lines of a seed."""
    return [Line.model_validate_json(line) for line in lines_of(path.read_bytes()) if line]


def answers(lines: Sequence[Line], step: str) -> dict[str, Line]:
    """A step's lines by question."""
    return {line.question: line for line in lines if line.step == step and line.question is not None}


def numbers(lines: Sequence[Line], step: str) -> dict[str, Any]:
    """A step's own numbers."""
    return next((line.numbers for line in lines if line.step == step and line.numbers is not None), None) or {}
