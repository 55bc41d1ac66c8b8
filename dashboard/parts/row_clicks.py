"""A button in each row of a table that may refresh itself: it means the row that was seen."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard.parts.language import t


def open_column(key: str, label: str, *, width: int) -> Any:
    """The column whose cells are buttons with the rows' numbers on them.

    Args:
        key: of the table.
        label: of the column.
        width: in pixels.
    """
    return st.column_config.ButtonColumn(
        label, key=f"{key}_open", type="tertiary", width=width, help=t("Press a number to open it.")
    )


def opened(key: str, ids: Sequence[int]) -> int | None:
    """Whose button was pressed; None if none was. To be asked once, after the table was drawn.

    Streamlit tells a row's number alone, and the list may have changed since the table was drawn that was clicked.

    Args:
        key: of the table.
        ids: of the rows that it was given now.
    """
    seen = drawn_before(key, ids)
    remember_drawn(key, ids)
    click = st.session_state.get(f"{key}_open")
    return seen[click["row"]] if click and click["row"] < len(seen) else None


def drawn_before(key: str, ids: Sequence[int]) -> list[int]:
    """Rows of the table as it was last drawn; those it is given now where it is drawn for the first time."""
    seen: list[int] = st.session_state.get(f"{key}_drawn", list(ids))
    return seen


def remember_drawn(key: str, ids: Sequence[int]) -> None:
    """Remember which rows a table has."""
    st.session_state[f"{key}_drawn"] = list(ids)
