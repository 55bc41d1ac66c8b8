"""The list of pipelines as a table: replies in, DataFrame and column settings out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from backend.api.schemas import PipelineOut
from dashboard.parts.components import ARCHIVED, STATUS_LOOK
from dashboard.parts.foreign_text import plain_frame
from dashboard.parts.language import mark
from dashboard.parts.text import ago
from memgen.contract.pipeline import StepName
from memgen.contract.status import PipelineStatus, RunStatus

EVALUATED: dict[StepName, str] = {
    "base_eval": mark("Base"),
    "weaver_eval": mark("Weaver"),
    "trigger_eval": mark("+ trigger"),
    "ltpo_eval": mark("+ LTPO"),
}


def pipelines_frame(pipelines: Sequence[PipelineOut], now: datetime) -> pd.DataFrame:
    """One row per pipeline, in the given order."""
    return plain_frame([_row(one, now) for one in pipelines], ["pipeline", *COLUMNS])


def _row(pipeline: PipelineOut, now: datetime) -> dict[str, Any]:
    accuracies = step_accuracies(pipeline)
    return {
        "pipeline": pipeline.id,
        "status": [pipeline.status.value, *([ARCHIVED] if pipeline.archived else [])],
        "model": pipeline.preset.split("/")[-1],
        "data": pipeline.data,
        "steps": 100.0 * finished_steps(pipeline) / max(1, len(pipeline.steps)),
        **{name: None if (share := accuracies.get(name)) is None else round(share * 100, 1) for name in EVALUATED},
        "submitted": ago(pipeline.created_at, now),
        "tags": " · ".join(pipeline.tags),
        "note": pipeline.note,
    }


def finished_steps(pipeline: PipelineOut) -> int:
    """Steps that are done, reused ones among them."""
    return sum(one.is_done for one in pipeline.steps)


def step_accuracies(pipeline: PipelineOut) -> dict[StepName, float]:
    """Accuracy of each finished evaluation."""
    return {
        one.step: one.run.summary["accuracy"]
        for one in pipeline.steps
        if one.run is not None and one.run.status is RunStatus.SUCCEEDED and "accuracy" in one.run.summary
    }


def any_moving(pipelines: Sequence[PipelineOut]) -> bool:
    """Whether some pipeline can still change by itself."""
    return any(one.status is PipelineStatus.RUNNING for one in pipelines)


COLUMNS: dict[str, Any] = {
    "status": st.column_config.MultiselectColumn(
        mark("Status"),
        options=[*STATUS_LOOK, ARCHIVED],
        color=[*(colour for colour, _ in STATUS_LOOK.values()), "gray"],
        width=100,
    ),
    "model": st.column_config.TextColumn(mark("Model"), width=156),
    "data": st.column_config.TextColumn(mark("Data"), width=100),
    "steps": st.column_config.ProgressColumn(
        mark("Steps done"), min_value=0, max_value=100, format="%.0f %%", width=110
    ),
    **{
        name: st.column_config.NumberColumn(label, help=mark("Accuracy"), format="%.1f %%", width=78)
        for name, label in EVALUATED.items()
    },
    "submitted": st.column_config.TextColumn(mark("Submitted"), width=94),
    "tags": st.column_config.TextColumn(mark("Tags"), width=110),
    "note": st.column_config.TextColumn(mark("Note")),
}
SORTED_BY: dict[str, str] = {
    "pipeline": mark("Pipeline"),
    "model": mark("Model"),
    "data": mark("Data"),
    "base_eval": mark("Accuracy, base"),
    "weaver_eval": mark("Accuracy, weaver"),
    "trigger_eval": mark("Accuracy, trigger"),
    "ltpo_eval": mark("Accuracy, LTPO"),
    "note": mark("Note"),
}
"""What the backend can sort the list by."""
RISING = frozenset({"model", "data", "note"})
