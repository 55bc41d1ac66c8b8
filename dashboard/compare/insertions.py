"""Right answers of two evaluations by the insertions of the second: shows what leaving out latents costs."""

from typing import Any

import pandas as pd
import streamlit as st

from backend.api.schemas import InsertionGroup, InsertionGroups
from dashboard.parts import api
from dashboard.parts.text import MISSING

AT_PROMPT = {True: "inserted", False: "skipped", None: MISSING}


def insertions_view(before: int, after: int) -> None:
    """The table.

    Args:
        before: id of the evaluation compared with.
        after: id of the one whose insertions are looked at.
    """
    with api.part_errors():
        _table(api.client().insertion_groups(before, after))


def _table(reply: InsertionGroups) -> None:
    if not reply.items:
        st.info("The evaluation under After inserts no latents.", icon=":material/memory:")
        return
    st.caption("Questions by what the evaluation under After inserted in its answer.")
    st.dataframe(
        insertions_frame(reply),
        column_config=COLUMNS,
        hide_index=True,
        placeholder="",
        key="insertions_table",
        alt="Right answers of both evaluations by the insertions of the second",
    )


def insertions_frame(reply: InsertionGroups) -> pd.DataFrame:
    """One row per group."""
    return pd.DataFrame([_row(item) for item in reply.items], columns=list(COLUMNS))


def _row(item: InsertionGroup) -> dict[str, Any]:
    return {
        "prompt": AT_PROMPT[item.at_prompt],
        "completion": item.in_completion,
        "n": item.num_questions,
        "before": item.right_before,
        "after": item.right_after,
        "fixed": item.fixed,
        "broken": item.broken,
    }


COLUMNS: dict[str, Any] = {
    "prompt": st.column_config.TextColumn("At the prompt", help="Latents at the end of the prompt", width=110),
    "completion": st.column_config.NumberColumn(
        "In the completion", help="Insertions after delimiters of the completion", width=130
    ),
    "n": st.column_config.NumberColumn("Questions", format="localized", width=84),
    "before": st.column_config.NumberColumn("Before right", format="localized", width=96),
    "after": st.column_config.NumberColumn("After right", format="localized", width=96),
    "fixed": st.column_config.NumberColumn("Fixed", help="Before wrong, After right", format="localized", width=64),
    "broken": st.column_config.NumberColumn("Broken", help="Before right, After wrong", format="localized", width=64),
}
