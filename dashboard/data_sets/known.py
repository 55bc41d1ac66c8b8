"""The data sets that are there, and the way to delete one that was registered."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from backend.api.schemas import DataSetOut
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, one_line


def known_data_sets(items: Sequence[DataSetOut]) -> None:
    """A table of all."""
    rows = [
        {
            "Data set": one_line(one.name),
            "Called": one_line(one.word),
            "Answer": one.answer,
            **{name.capitalize(): (one.sizes or {}).get(name) for name in ("train", "validation", "test")},
            "About": one_line(one.help),
        }
        for one in items
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="known_data_sets")


def delete_one(items: Sequence[DataSetOut]) -> None:
    """Choose a registered data set, see what deleting it takes away, and do it."""
    names = [one.name for one in items if one.registered]
    if not names:
        return
    with st.expander("Delete a registered data set"):
        name = st.selectbox("Data set", names, index=None, key="delete_data_set", format_func=one_line)
        if name is None:
            return
        with api.part_errors():
            preview = api.client().delete_data_set(name)
            runs = f"{preview.runs} run{' has' if preview.runs == 1 else 's have'} used it"
            st.write(
                f"{escape_markdown(name)} takes {preview.bytes:,} bytes. {runs}: they stay, but can't be scored anew "
                "or started again."
            )
            if st.button("Delete for good", key="delete_data_set_now", icon=":material/delete:") and api.attempt(
                lambda: api.client().delete_data_set(name, confirm=True)
            ):
                api.forget_data_sets()
                st.rerun()
