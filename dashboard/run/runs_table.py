"""The list of runs as a table: replies in, DataFrame and column settings out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from backend.api.schemas import RunOut
from dashboard.parts.components import ARCHIVED, STATUS_LOOK, progress_share, run_seconds
from dashboard.parts.foreign_text import plain_frame
from dashboard.parts.language import mark
from dashboard.parts.text import ago, duration
from memgen.contract.status import RUN_ENDED, RunStatus


def runs_frame(runs: Sequence[RunOut], now: datetime) -> pd.DataFrame:
    """One row per run, in the given order."""
    rows = [_row(run, now) for run in runs]
    return plain_frame(rows, ["run", *COLUMNS])


def _row(run: RunOut, now: datetime) -> dict[str, Any]:
    ended_well = run.status is RunStatus.SUCCEEDED
    answered = run.summary.get("num_questions")
    return {
        "run": run.id,
        "status": [run.status.value, *([ARCHIVED] if run.archived else [])],
        "stage": run.title,
        "model": run.preset.split("/")[-1],
        "data": run.data,
        "progress": 100.0 if ended_well else _percent(progress_share(run.progress)),
        # of a training: what its rollouts got, which is no result
        "accuracy": _percent(run.summary.get("accuracy")) if run.setting else None,
        "questions": None if answered is None else int(answered),
        "scorer": run.scorer_version,
        "started": ago(run.started_at, now) if run.started_at else "",
        "duration": duration(seconds) if (seconds := run_seconds(run, now)) is not None else "",
        "group": run.group or "",
        "tags": " · ".join(tag for tag in run.tags if tag != run.group),
        "note": run.note,
    }


def _percent(share: float | None) -> float | None:
    # rounded here: the browser rounds halves up and Python to even, and a run must not have two accuracies
    return None if share is None else round(share * 100, 1)


COLUMNS: dict[str, Any] = {
    "status": st.column_config.MultiselectColumn(
        mark("Status"),
        options=[*STATUS_LOOK, ARCHIVED],
        color=[*(colour for colour, _ in STATUS_LOOK.values()), "gray"],
        width=96,
    ),
    "stage": st.column_config.TextColumn(mark("Stage, setting"), width=230),
    "model": st.column_config.TextColumn(mark("Model"), width=142),
    "data": st.column_config.TextColumn(mark("Data"), width=88),
    "progress": st.column_config.ProgressColumn(
        mark("Progress"), min_value=0, max_value=100, format="%.0f %%", width=90
    ),
    "accuracy": st.column_config.NumberColumn(mark("Accuracy"), format="%.1f %%", width=74),
    "questions": st.column_config.NumberColumn(
        mark("n"), help=mark("Questions answered"), format="localized", width=46
    ),
    "scorer": st.column_config.NumberColumn(
        mark("Scorer"), help=mark("Version of the scorer that gave the accuracy"), width=54
    ),
    "started": st.column_config.TextColumn(mark("Started"), width=86),
    "duration": st.column_config.TextColumn(mark("Duration"), width=84),
    "group": st.column_config.TextColumn(
        mark("Group"), help=mark("The tag that it is listed and drawn with"), width=90
    ),
    "tags": st.column_config.TextColumn(mark("Tags"), help=mark("Its other tags"), width=110),
    "note": st.column_config.TextColumn(mark("Note")),
}
SORTED_BY: dict[str, str] = {
    "run": mark("Run"), "status": mark("Status"), "stage": mark("Stage, setting"), "model": mark("Model"),
    "data": mark("Data"), "accuracy": mark("Accuracy"), "questions": mark("Questions answered"),
    "started": mark("Started"), "ended": mark("Ended"), "duration": mark("Duration"), "group": mark("Group"),
    "note": mark("Note"),
}  # fmt: skip
"""What the backend can sort the list by."""
RISING = frozenset({"status", "stage", "model", "data", "group", "note"})


def any_live(runs: Sequence[RunOut]) -> bool:
    """Whether some run can still change by itself."""
    return any(run.status not in RUN_ENDED for run in runs)
