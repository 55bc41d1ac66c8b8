"""Right answers of two evaluations by the insertions of the second: shows what leaving out latents costs."""

from typing import Any

import pandas as pd
import streamlit as st

from backend.api.schemas import InsertionGroup, InsertionGroups
from dashboard.parts import api
from dashboard.parts.language import columns_in_language, mark, t
from dashboard.parts.text import MISSING

AT_PROMPT = {True: mark("inserted"), False: mark("skipped"), None: MISSING}


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
        st.info(t("The evaluation under After inserts no latents."), icon=":material/memory:")
        return
    st.caption(t("Questions by what the evaluation under After inserted in its answer."))
    st.dataframe(
        insertions_frame(reply),
        column_config=columns_in_language(COLUMNS),
        hide_index=True,
        placeholder="",
        key="insertions_table",
        alt=t("Right answers of both evaluations by the insertions of the second"),
    )


def insertions_frame(reply: InsertionGroups) -> pd.DataFrame:
    """One row per group."""
    return pd.DataFrame([_row(item) for item in reply.items], columns=list(COLUMNS))


def _row(item: InsertionGroup) -> dict[str, Any]:
    return {
        "prompt": t(AT_PROMPT[item.at_prompt]),
        "completion": item.in_completion,
        "n": item.num_questions,
        "before": item.right_before,
        "after": item.right_after,
        "fixed": item.fixed,
        "broken": item.broken,
    }


COLUMNS: dict[str, Any] = {
    "prompt": st.column_config.TextColumn(
        mark("At the prompt"), help=mark("Latents at the end of the prompt"), width=110
    ),
    "completion": st.column_config.NumberColumn(
        mark("In the completion"), help=mark("Insertions after delimiters of the completion"), width=130
    ),
    "n": st.column_config.NumberColumn(mark("Questions"), format="localized", width=84),
    "before": st.column_config.NumberColumn(mark("Before right"), format="localized", width=96),
    "after": st.column_config.NumberColumn(mark("After right"), format="localized", width=96),
    "fixed": st.column_config.NumberColumn(
        mark("Fixed"), help=mark("Before wrong, After right"), format="localized", width=64
    ),
    "broken": st.column_config.NumberColumn(
        mark("Broken"), help=mark("Before right, After wrong"), format="localized", width=64
    ),
}
