"""In which settings evaluations differ: reply in, DataFrame out."""

import pandas as pd
import streamlit as st

from backend.api.schemas import CompareOut
from dashboard.compare.table import run_label
from dashboard.parts.foreign_text import plain_frame
from dashboard.parts.language import t
from dashboard.parts.text import MISSING
from memgen.contract.titles import title_of


def settings_view(reply: CompareOut) -> None:
    """A row per setting, a column per evaluation."""
    if not reply.settings:
        st.info(t("The evaluations have the same settings."), icon=":material/tune:")
        return
    st.dataframe(
        settings_frame(reply),
        column_config={"field": st.column_config.TextColumn(t("Setting"), pinned=True, width=260)},
        hide_index=True,
        placeholder="",
        key="compare_settings",
        alt=t("Settings in which the evaluations, or the trainings that they descend from, differ"),
    )
    st.caption(t("Of the evaluations, and of the trainings that they descend from."))


def settings_frame(reply: CompareOut) -> pd.DataFrame:
    """`field`, then a column per evaluation under its label."""
    labels = [run_label(item) for item in reply.items]
    rows = [
        {
            "field": t(title_of(one.name)) + (f" ({one.stage})" if one.stage else ""),
            **{label: value or MISSING for label, value in zip(labels, one.values, strict=True)},
        }
        for one in reply.settings
    ]
    return plain_frame(rows, ["field", *labels])
