"""The numbers in the header of a run, as far as they are known. Pure functions, plain text."""

from collections.abc import Mapping
from datetime import datetime

from backend.api.schemas import RunDetail
from dashboard.parts.components import run_seconds
from dashboard.parts.text import count, duration, percent
from memgen.contract.status import RUN_ENDED

TRAININGS = frozenset({"weaver_sft", "trigger_grpo"})
_RESULTS: dict[str, tuple[str, str]] = {
    "loss": ("Last loss", ".4g"),
    "eval_loss_before": ("Validation loss at the start", ".4g"),
    "eval_loss": ("Validation loss", ".4g"),
    "reward": ("Last reward", ".3f"),
    "reward_std": ("Last reward std", ".3f"),
    "insert_rate": ("Last insert rate", "%"),
    "frac_reward_zero_std": ("Groups without signal", "%"),
}
_OF_THE_TRIGGER = frozenset({"reward", "reward_std", "insert_rate", "frac_reward_zero_std"})


def run_figures(run: RunDetail, now: datetime, newest: Mapping[str, float] | None = None) -> dict[str, str]:
    """Results, counts and times of a run; of a live run, so far.

    Args:
        run: of either kind.
        now: for the duration of a live run.
        newest: of a live training the metrics of its last step, names without `train/`.
    """
    figures = _training(run, newest or {}) if run.stage in TRAININGS else _evaluation(run)
    if (seconds := run_seconds(run, now)) is not None:
        figures["Duration"] = duration(seconds)
    if run.num_attempts:
        figures["Attempt"] = str(run.num_attempts)
    last = run.attempts[-1] if run.attempts else None
    if last and last.worker:
        figures["Worker"] = last.worker + (f", slot {last.slot}" if last.slot else "")
    return figures


def _training(run: RunDetail, newest: Mapping[str, float]) -> dict[str, str]:
    figures: dict[str, str] = {}
    result = run.summary if "loss" in run.summary else newest
    if "steps" in run.summary:
        figures["Steps"] = count(run.summary["steps"])
    elif run.progress is not None and run.progress.unit == "steps" and run.progress.done is not None:
        figures["Steps so far"] = f"{count(run.progress.done)} of {count(run.progress.total)}"
    for name, (label, form) in _RESULTS.items():
        # a policy gradient's loss says nothing about how good the policy is
        hidden = name == "loss" if "reward" in result else name in _OF_THE_TRIGGER
        if name in result and not hidden:
            figures[label] = percent(result[name]) if form == "%" else f"{result[name]:{form}}"
    for name, label in (("num_examples", "Examples"), ("num_prompts", "Questions")):
        if name in run.summary:
            figures[label] = count(run.summary[name])
    return figures


def _evaluation(run: RunDetail) -> dict[str, str]:
    so_far = "" if run.status in RUN_ENDED else " so far"
    summary, figures = run.summary, {}
    if "accuracy" in summary:
        figures[f"Accuracy{so_far}"] = percent(summary["accuracy"])
    if "num_questions" in summary:
        figures[f"Questions{so_far}"] = count(summary["num_questions"])
    if "truncated" in summary:
        figures["Truncated"] = percent(summary["truncated"])
    if "mean_completion_tokens" in summary:
        figures["Mean tokens"] = f"{summary['mean_completion_tokens']:,.1f}"
    if "mean_insertions" in summary:
        figures["Mean insertions"] = f"{summary['mean_insertions']:.2f}"
    if "insert_rate" in summary:
        figures["Insert rate"] = percent(summary["insert_rate"])
    if "ltpo_reward_gain" in summary:
        figures["LTPO reward gain"] = f"{summary['ltpo_reward_gain']:+.4f}"
    if "ltpo_distance" in summary:
        figures["LTPO distance"] = f"{summary['ltpo_distance']:.3g}"
    if run.scorer_version is not None:
        figures["Scorer"] = f"version {run.scorer_version}"
    for earlier in run.scorings[:-1]:
        if "accuracy" in earlier.summary:
            figures[f"By version {earlier.version}"] = percent(earlier.summary["accuracy"])
    return figures
