"""A click on a row of a table that refreshes itself: it means the row that was seen."""

from collections.abc import Sequence
from typing import Any

import streamlit as st


def clicked(key: str, event: Any, ids: Sequence[int]) -> int | None:
    """Whose row was clicked; None if none was.

    Streamlit tells a row's number alone, and the list may have changed since the table was drawn that was clicked.

    Args:
        key: of the table.
        event: what `st.dataframe` has returned.
        ids: of the rows that it was given now.
    """
    drawn = st.session_state.get(f"{key}_drawn", ids)
    st.session_state[f"{key}_drawn"] = list(ids)
    row = event.selection.cells[0][0] if event.selection.cells else None
    return drawn[row] if row is not None and row < len(drawn) else None
