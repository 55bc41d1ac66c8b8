"""What is kept of a seed: one line per question and step, and one per training; `docs/learning/` holds them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from benchmarks import machine
from benchmarks.learning.plan import STEPS, Done, Scale
from benchmarks.learning.seed import answers_of, is_evaluation
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
    seconds: float = 0.0
    distance: float | None = None
    """Mean distance that LTPO moved the latents of this question."""
    numbers: dict[str, Any] | None = None


def write(path: Path, scale: Scale, seed: int, folder: Path, done: Done) -> None:
    """Write the lines of a seed; the first names scale and machine."""
    facts = {"seed": seed, **vars(scale), **machine.describe()}
    lines = [Line(step="machine", numbers=facts)]
    for step in STEPS:
        lines.append(Line(step=step.name, numbers=dict(done[step.name])))
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
                    seconds=answer.seconds,
                    distance=round(sum(moved) / len(moved), 4) if moved else None,
                )
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(line.model_dump_json(exclude_defaults=True) + "\n" for line in lines))


def read(path: Path) -> list[Line]:
    """The lines of a seed."""
    return [Line.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines()]


def answers(lines: Sequence[Line], step: str) -> dict[str, Line]:
    """A step's lines by question."""
    return {line.question: line for line in lines if line.step == step and line.question is not None}


def numbers(lines: Sequence[Line], step: str) -> dict[str, Any]:
    """A step's own numbers."""
    return next((line.numbers for line in lines if line.step == step and line.numbers is not None), None) or {}
