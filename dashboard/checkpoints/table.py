"""The list of checkpoints as a table: replies in, DataFrame and column settings out."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from backend.api.schemas import CheckpointResult
from dashboard.parts.foreign_text import plain_frame
from dashboard.parts.text import ago, size
from dashboard.parts.verdicts import VERDICTS, points


def checkpoints_frame(results: Sequence[CheckpointResult], now: datetime) -> pd.DataFrame:
    """One row per checkpoint, in the given order."""
    return plain_frame([_row(one, now) for one in results], ["checkpoint", *COLUMNS])


def _row(result: CheckpointResult, now: datetime) -> dict[str, Any]:
    checkpoint, best = result.checkpoint, result.best
    trained = f"{checkpoint.made_by}, {checkpoint.ablation}" if checkpoint.ablation else checkpoint.made_by
    row: dict[str, Any] = {
        "checkpoint": checkpoint.id,
        "stage": trained if checkpoint.usable else f"{trained} (damaged)",
        "model": checkpoint.preset.split("/")[-1],
        "data": checkpoint.data,
        "parent": checkpoint.parent_id,
        "evaluations": result.num_evaluations,
        "step": checkpoint.step,
        "size": size(checkpoint.size_bytes),
        "made": ago(checkpoint.created_at or datetime.fromtimestamp(0, UTC), now),
        "note": checkpoint.note,
    }
    if best is None:
        return row
    summary = best.run.summary
    row |= {"accuracy": round(summary["accuracy"] * 100, 1)} if "accuracy" in summary else {}
    row |= {"n": int(summary["num_questions"])} if "num_questions" in summary else {}
    row |= {"best": f"{best.run.setting}, run {best.run.id}"}
    if best.gain is not None:
        row |= {"change": points(best.gain.points), "verdict": [VERDICTS[best.gain.verdict][0]]}
    return row


COLUMNS: dict[str, Any] = {
    "stage": st.column_config.TextColumn("Made by", width=120),
    "accuracy": st.column_config.NumberColumn(
        "Accuracy", help="Of the best of its evaluations", format="%.1f %%", width=84
    ),
    "n": st.column_config.NumberColumn("n", help="Questions of that evaluation", format="localized", width=52),
    "change": st.column_config.TextColumn(
        "Change", help="In points, against the base that it may be compared with", width=76
    ),
    "verdict": st.column_config.MultiselectColumn(
        "Verdict",
        options=[word for word, _, _ in VERDICTS.values()],
        color=[colour for _, colour, _ in VERDICTS.values()],
        width=150,
    ),
    "best": st.column_config.TextColumn("Best evaluation", width=130),
    "evaluations": st.column_config.NumberColumn("Evaluations", help="That have finished", width=84),
    "parent": st.column_config.NumberColumn("Parent", help="Checkpoint that it was made from", format="%d", width=64),
    "model": st.column_config.TextColumn("Model", width=150),
    "data": st.column_config.TextColumn("Data", width=104),
    "step": st.column_config.NumberColumn("Step", format="localized", width=60),
    "size": st.column_config.TextColumn("Size", width=70),
    "made": st.column_config.TextColumn("Made", width=90),
    "note": st.column_config.TextColumn("Note"),
}
SORTED_BY: dict[str, str] = {
    "checkpoint": "Checkpoint",
    "accuracy": "Best accuracy",
    "stage": "Made by",
    "model": "Model",
    "data": "Data",
    "parent": "Parent",
    "step": "Step",
    "size": "Size",
    "note": "Note",
}
"""What the backend can sort the list by."""
RISING = frozenset({"stage", "model", "data", "note"})
