"""The numbers of a run, as far as they are known. Pure functions, plain text."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backend.api.schemas import RunDetail
from dashboard.parts.components import run_seconds
from dashboard.parts.text import count, duration, percent
from memgen.contract.stage import Stage
from memgen.contract.stages import find_stage
from memgen.contract.status import RUN_ENDED, RunStatus


def run_figures(run: RunDetail, now: datetime) -> dict[str, str]:
    """Results, counts and times of a run; of a live run, so far.

    Args:
        run: of any stage.
        now: for the duration of a live run.
    """
    stage, figures = find_stage(run.stage), {}
    if stage is not None:
        figures = _training(run, stage) if stage.trains else _evaluation(run, stage)
    if (seconds := run_seconds(run, now)) is not None:
        figures["Duration"] = duration(seconds)
    if run.num_attempts:
        figures["Attempt"] = str(run.num_attempts)
    last = run.attempts[-1] if run.attempts else None
    if last and last.worker:
        figures["Worker"] = last.worker + (f", slot {last.slot}" if last.slot else "")
    return figures


def _training(run: RunDetail, stage: Stage[Any]) -> dict[str, str]:
    figures: dict[str, str] = {}
    if "steps" in run.summary:
        figures["Steps"] = count(run.summary["steps"])
    return figures | _numbers(stage, run.summary)


def _evaluation(run: RunDetail, stage: Stage[Any]) -> dict[str, str]:
    figures = _numbers(stage, run.summary, so_far="" if run.status in RUN_ENDED else " so far")
    if run.status is RunStatus.SUCCEEDED and "accuracy" in run.summary:  # versions before did not have it
        figures.setdefault("Accuracy, box required", "not measured")
    if run.scorer_version is not None:
        figures["Scorer"] = f"version {run.scorer_version}"
    for earlier in run.scorings[:-1]:
        if "accuracy" in earlier.summary:
            figures[f"By version {earlier.version}"] = percent(earlier.summary["accuracy"])
    return figures


def _numbers(stage: Stage[Any], result: Mapping[str, float], so_far: str = "") -> dict[str, str]:
    """The figures of a stage that a result has, by their labels."""
    return {
        f"{figure.label}{so_far if figure.so_far else ''}": number(result[figure.name], figure.form)
        for figure in stage.charts.figures
        if figure.name in result
    }


def number(value: float, form: str) -> str:
    """A number in a form of `Figure`."""
    return percent(value) if form == "%" else f"{value:{form}}"
