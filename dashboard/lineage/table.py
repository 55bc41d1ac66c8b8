"""The descent of runs as a table: replies in, DataFrame and column settings out."""

from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from backend.api.schemas import LineageNode
from dashboard.lineage.words import parent_words
from dashboard.parts.components import STATUS_LOOK
from dashboard.parts.foreign_text import plain_frame
from dashboard.parts.language import mark, t


def lineage_frame(nodes: Sequence[LineageNode], outside: Collection[int] = ()) -> pd.DataFrame:
    """One row per run, in the given order; `outside` are numbers of checkpoints from outside."""
    return plain_frame([_row(node, outside) for node in nodes], ["run", *COLUMNS])


def _row(node: LineageNode, outside: Collection[int]) -> dict[str, Any]:
    return {
        "run": node.run_id,
        "status": [node.status.value],
        "stage": node.title,
        "from": parent_words(node, outside),
        "checkpoint": node.content_hash or "",
        "accuracy": None if node.accuracy is None else round(node.accuracy * 100, 1),
        "n": node.num_questions,
        "attempts": attempts_words(node),
        "model": node.preset.split("/")[-1],
        "note": node.note,
    }


def attempts_words(node: LineageNode) -> str:
    """`1`; `2: lost, succeeded`."""
    each = ", ".join(t(attempt.status.value) for attempt in sorted(node.attempts, key=lambda one: one.number))
    return f"{len(node.attempts)}: {each}" if len(node.attempts) > 1 else str(len(node.attempts))


COLUMNS: dict[str, Any] = {
    "status": st.column_config.MultiselectColumn(
        mark("Status"),
        options=list(STATUS_LOOK),
        color=[colour for colour, _ in STATUS_LOOK.values()],
        width=100,
    ),
    "stage": st.column_config.TextColumn(mark("Stage, setting"), width=230),
    "from": st.column_config.TextColumn(mark("Starts from"), width=92),
    "checkpoint": st.column_config.TextColumn(mark("Checkpoint"), width=134),
    "accuracy": st.column_config.NumberColumn(mark("Accuracy"), format="%.1f %%", width=76),
    "n": st.column_config.NumberColumn(mark("n"), help=mark("Questions answered"), format="localized", width=48),
    "attempts": st.column_config.TextColumn(mark("Attempts"), width=104),
    "model": st.column_config.TextColumn(mark("Model"), width=142),
    "note": st.column_config.TextColumn(mark("Note")),
}
