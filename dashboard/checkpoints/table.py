"""The list of checkpoints as a table: replies in, DataFrame and column settings out."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from backend.api.schemas import CheckpointResult
from dashboard.parts.foreign_text import plain_frame
from dashboard.parts.language import mark, t
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
        "stage": trained if checkpoint.usable else t("{origin} (damaged)", origin=trained),
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
    row |= {"best": t("{setting}, run {number}", setting=best.run.setting, number=best.run.id)}
    if best.gain is not None:
        row |= {"change": points(best.gain.points), "verdict": [VERDICTS[best.gain.verdict][0]]}
    return row


COLUMNS: dict[str, Any] = {
    "stage": st.column_config.TextColumn(mark("Made by"), width=120),
    "accuracy": st.column_config.NumberColumn(
        mark("Accuracy"), help=mark("Of the best of its evaluations"), format="%.1f %%", width=84
    ),
    "n": st.column_config.NumberColumn(
        mark("n"), help=mark("Questions of that evaluation"), format="localized", width=52
    ),
    "change": st.column_config.TextColumn(
        mark("Change"), help=mark("In points, against the base that it may be compared with"), width=76
    ),
    "verdict": st.column_config.MultiselectColumn(
        mark("Verdict"),
        options=[word for word, _, _ in VERDICTS.values()],
        color=[colour for _, colour, _ in VERDICTS.values()],
        width=150,
    ),
    "best": st.column_config.TextColumn(mark("Best evaluation"), width=130),
    "evaluations": st.column_config.NumberColumn(mark("Evaluations"), help=mark("That have finished"), width=84),
    "parent": st.column_config.NumberColumn(
        mark("Parent"), help=mark("Checkpoint that it was made from"), format="%d", width=64
    ),
    "model": st.column_config.TextColumn(mark("Model"), width=150),
    "data": st.column_config.TextColumn(mark("Data"), width=104),
    "step": st.column_config.NumberColumn(mark("Step"), format="localized", width=60),
    "size": st.column_config.TextColumn(mark("Size"), width=70),
    "made": st.column_config.TextColumn(mark("Made"), width=90),
    "note": st.column_config.TextColumn(mark("Note")),
}
SORTED_BY: dict[str, str] = {
    "checkpoint": mark("Checkpoint"),
    "accuracy": mark("Best accuracy"),
    "stage": mark("Made by"),
    "model": mark("Model"),
    "data": mark("Data"),
    "parent": mark("Parent"),
    "step": mark("Step"),
    "size": mark("Size"),
    "note": mark("Note"),
}
"""What the backend can sort the list by."""
RISING = frozenset({"stage", "model", "data", "note"})
