"""The data sets that are there, and the way to delete one that was registered."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from backend.api.schemas import DataSetOut
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, one_line
from dashboard.parts.language import columns_in_language, mark, plural, t
from dashboard.parts.rows_report import SPLITS
from dashboard.parts.text import MISSING


def known_data_sets(items: Sequence[DataSetOut]) -> None:
    """A table of all."""
    rows = [
        {
            "word": one_line(one.word if one.registered else t(one.word)),
            "name": one_line(one.name),
            "answer": t(one.answer),
            **{split: (one.sizes or {}).get(split) for split in SPLITS},
            "help": one_line(one.help if one.registered else t(one.help)),
        }
        for one in items
    ]
    frame = pd.DataFrame(rows).astype(dict.fromkeys(SPLITS, "Int64"))
    st.dataframe(
        frame, column_config=columns_in_language(COLUMNS), hide_index=True, placeholder=MISSING, key="known_data_sets",
        alt=t("Data sets with the sizes of their splits"),
    )  # fmt: skip


def delete_one(items: Sequence[DataSetOut]) -> None:
    """Choose a registered data set, see what deleting it takes away, and do it."""
    names = [one.name for one in items if one.registered]
    if not names:
        return
    with st.expander(t("Delete a registered data set")):
        name = st.selectbox(t("Data set"), names, index=None, key="delete_data_set", format_func=one_line)
        if name is None:
            return
        with api.part_errors():
            preview = api.client().delete_data_set(name)
            st.write(
                plural(
                    "{name} takes {size} bytes. {n} run has used it: it stays, but can't be scored anew or started "
                    "again.",
                    "{name} takes {size} bytes. {n} runs have used it: they stay, but can't be scored anew or started "
                    "again.",
                    preview.runs,
                    name=escape_markdown(name),
                    size=f"{preview.bytes:,}",
                )
            )
            if st.button(t("Delete for good"), key="delete_data_set_now", icon=":material/delete:") and api.attempt(
                lambda: api.client().delete_data_set(name, confirm=True)
            ):
                api.forget_data_sets()
                st.rerun()


COLUMNS: dict[str, Any] = {
    "word": st.column_config.TextColumn(mark("Data set"), width=180),
    "name": st.column_config.TextColumn(mark("Name"), help=mark("As configs and the command line call it"), width=180),
    "answer": st.column_config.TextColumn(
        mark("Answer"), help=mark("What an answer is, which decides how it is scored"), width=90
    ),
    **{
        split: st.column_config.NumberColumn(
            word,
            help=mark("Rows; a dash where there are none, or where they can't be counted here"),
            format="localized",
            width=80,
        )
        for split, word in SPLITS.items()
    },
    "help": st.column_config.TextColumn(mark("About")),
}
