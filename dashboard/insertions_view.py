"""Answers of two evaluations by where the second inserted latents: shows what leaving out insertions costs."""

from typing import Any

import pandas as pd
import streamlit as st

from backend.schemas import InsertionPattern, InsertionPatterns
from dashboard import api

INSERTED, SKIPPED = "●", "○"


def insertions_view(before: int, after: int) -> None:
    """A folded table, fetched when it is unfolded.

    Args:
        before: id of the evaluation compared with.
        after: id of the one whose insertions are looked at.
    """
    with st.expander(
        "Right answers by where latents were inserted", key="insertion_patterns", icon=":material/memory:",
        on_change="rerun",
    ) as folded:  # fmt: skip
        if folded.open:
            with api.part_errors():
                _table(api.client().insertion_patterns(before, after))


def _table(reply: InsertionPatterns) -> None:
    if not reply.items:
        st.info("The evaluation under After inserts no latents.", icon=":material/memory:")
        return
    st.caption(
        "At the decision points of After in the order of the text, usually the end of the prompt first: "
        f"{INSERTED} latents inserted, {SKIPPED} skipped."
    )
    st.dataframe(
        pattern_frame(reply),
        column_config=COLUMNS,
        hide_index=True,
        placeholder="",
        key="insertion_patterns_table",
        alt="Right answers of both evaluations by where the second inserted latents",
    )


def pattern_frame(reply: InsertionPatterns) -> pd.DataFrame:
    """One row per pattern, the commonest first."""
    return pd.DataFrame([_row(item) for item in reply.items], columns=list(COLUMNS))


def _row(item: InsertionPattern) -> dict[str, Any]:
    return {
        "decisions": decision_words(item),
        "n": item.num_questions,
        "before": item.right_before,
        "after": item.right_after,
        "fixed": item.fixed,
        "broken": item.broken,
    }


def decision_words(item: InsertionPattern) -> str:
    """`● ○ ● …`: inserted, skipped, inserted, and more points behind."""
    if item.decisions is None:
        return "all others"
    marks = [INSERTED if inserted else SKIPPED for inserted in item.decisions] + ["…"] * item.more_points
    return " ".join(marks) or "no decision point"


COLUMNS: dict[str, Any] = {
    "decisions": st.column_config.TextColumn("Decisions of After", width=220),
    "n": st.column_config.NumberColumn("Questions", format="localized", width=84),
    "before": st.column_config.NumberColumn("Before right", format="localized", width=96),
    "after": st.column_config.NumberColumn("After right", format="localized", width=96),
    "fixed": st.column_config.NumberColumn("Fixed", help="Before wrong, After right", format="localized", width=64),
    "broken": st.column_config.NumberColumn("Broken", help="Before right, After wrong", format="localized", width=64),
}
