"""Pipelines and comparisons as lines and tables on a terminal."""

import time
from collections.abc import Callable

from backend.api.client import Client
from backend.api.schemas import CompareOut, Estimate, GainOut, PipelineOut, PipelineStepOut
from backend.launcher.terminal import say, show_table
from memgen.contract.status import PipelineStatus

POLL_SECONDS = 2.0


def follow(api: Client, pipeline_id: int, tell: Callable[[str], None] = say) -> PipelineOut:
    """Tell the steps of a pipeline as they go on, until it has ended."""
    said: dict[str, str] = {}
    while True:
        out = api.pipeline(pipeline_id)
        for step in out.steps:
            place = f"[{out.steps.index(step) + 1}/{len(out.steps)}]"
            line, left = f"{place} {step_line(step)}", _time_left(step)
            if line != said.get(step.step):  # a time left that moves by itself is no news
                said[step.step] = line
                tell(line + left)
        if out.status is not PipelineStatus.RUNNING:
            tell(f"pipeline {out.id} {out.status}")
            return out
        time.sleep(POLL_SECONDS)


def step_line(step: PipelineStepOut) -> str:
    """How far a step is, in a line."""
    run = step.run
    if step.checkpoint is not None:
        return f"{step.label}: checkpoint {step.checkpoint} stands for it"
    if run is None:
        return f"{step.label}: deleted"
    words = [f"{step.label} (run {run.id}): {run.status}"]
    progress = run.progress
    if progress is not None:
        done = f" {progress.done:.0f}/{progress.total:.0f} {progress.unit}" if progress.total else ""
        words.append(progress.phase + done)
    if step.reason and run.status != "queued":
        words.append(step.reason)
    for name in ("accuracy", "loss", "reward"):
        if name in run.summary:
            value = run.summary[name]
            words.append(
                f"{name} {100 * value:.1f} %{run.scorer_mark}" if name == "accuracy" else f"{name} {value:.3f}"
            )
    return ", ".join(words)


def change_text(gain: GainOut) -> str:
    """`+18.7 (+9.1 to +28.0), better`: a change in percentage points against the base."""
    return f"{gain.points:+.1f} ({gain.low:+.1f} to {gain.high:+.1f}), {gain.verdict.replace('_', ' ')}"


def show_comparison(out: CompareOut) -> None:
    """Print a comparison as a table, the verdicts below."""
    columns = [
        "setting", "run", "n", "accuracy", "95 % interval", "in a box", "change", "95 % interval", "expected", "p",
    ]  # fmt: skip
    rows = []
    for one in out.items:
        change = one.change
        expected = change.expected if change is not None else None
        rows.append(
            [
                one.label,
                str(one.run_id),
                str(one.num_questions),
                f"{100 * one.accuracy:.1f} %",
                f"{100 * one.low:.1f} to {100 * one.high:.1f}",
                f"{100 * one.accuracy_strict.value:.1f} %" if one.accuracy_strict else "not measured",
                f"{change.points:+.1f}" if change else "",
                f"{change.low:+.1f} to {change.high:+.1f}" if change else "",
                f"+{expected[0]:g} to +{expected[1]:g}" if expected else "",
                f"{change.p_value:.2g}" if change else "",
            ]
        )
    show_table(columns, rows)
    for one in out.items:
        if one.change is not None:
            fixed, broken = len(one.change.fixed), len(one.change.broken)
            box = f" {one.change.box_text}" if one.change.box_text else ""
            say(f"{one.label}: {one.change.text} {fixed} fixed, {broken} broken.{box}")
    for one in out.items:
        if one.nll is not None:
            said = f"{one.label}: the solutions have an NLL of {one.nll.value:.4f} nat per token"
            moved = one.change.nll if one.change is not None else None
            say(f"{said}, {_interval(moved)}." if moved is not None else f"{said}.")
    say(f"Scores by {out.conditions.get('scorer', 'version 1')} of the scorer.")
    for warning in out.warnings:
        say(f"note: {warning}")


def _interval(change: Estimate) -> str:
    return f"change {change.value:+.4f}, 95 % interval {change.low:+.4f} to {change.high:+.4f}"


def _time_left(step: PipelineStepOut) -> str:
    progress = step.run.progress if step.run is not None else None
    if progress is None or progress.seconds_left is None:
        return ""
    seconds = progress.seconds_left
    return f", about {f'{seconds:.0f} s' if seconds < 100 else f'{seconds / 60:.0f} min'} left"
