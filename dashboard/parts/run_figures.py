"""The numbers of a run, as far as they are known. Pure functions, plain text."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backend.api.schemas import RunDetail
from dashboard.parts.components import run_seconds
from dashboard.parts.language import t
from dashboard.parts.text import count, duration, percent
from memgen.contract.stage import Figure, Stage
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
        figures[t("Duration")] = duration(seconds)
    if run.num_attempts:
        figures[t("Attempt")] = str(run.num_attempts)
    last = run.attempts[-1] if run.attempts else None
    if last and last.worker:
        figures[t("Worker")] = worker_words(last.worker, last.slot)
    if run.site is not None:
        figures[t("Site")] = (
            t("{site}, job {number}", site=run.site, number=last.job) if last and last.job else run.site
        )
    return figures


def _training(run: RunDetail, stage: Stage[Any]) -> dict[str, str]:
    figures: dict[str, str] = {}
    if "steps" in run.summary:
        figures[t("Steps")] = count(run.summary["steps"])
    return figures | _numbers(stage, run.summary)


def _evaluation(run: RunDetail, stage: Stage[Any]) -> dict[str, str]:
    figures = _numbers(stage, run.summary, so_far=run.status not in RUN_ENDED)
    if run.status is RunStatus.SUCCEEDED and "accuracy" in run.summary:  # versions before did not have it
        figures.setdefault(t("Accuracy, box required"), t("not measured"))
    if run.scorer_version is not None:
        figures[t("Scorer")] = t("version {number}", number=run.scorer_version)
    for earlier in run.scorings[:-1]:
        if "accuracy" in earlier.summary:
            figures[t("By version {number}", number=earlier.version)] = percent(earlier.summary["accuracy"])
    return figures


def _numbers(stage: Stage[Any], result: Mapping[str, float], so_far: bool = False) -> dict[str, str]:
    """The figures of a stage that a result has, by their labels."""
    return {
        figure_label(figure, so_far): number(result[figure.name], figure.form)
        for figure in stage.charts.figures
        if figure.name in result
    }


def figure_label(figure: Figure, so_far: bool) -> str:
    """What stands above a figure, and of a run that goes on that it is not the last word."""
    label = t(figure.label)
    return t("{figure} so far", figure=label) if so_far and figure.so_far else label


def worker_words(worker: str, slot: str | None) -> str:
    """`host, slot 0`."""
    return t("{worker}, slot {slot}", worker=worker, slot=slot) if slot else worker


def number(value: float, form: str) -> str:
    """A number in a form of `Figure`."""
    return percent(value) if form == "%" else f"{value:{form}}"
