"""A table whose rows are selected and opened, sorted by a click on a column's header; it may refresh itself.

The browser tells places of rows, and a place means another row once the list has changed: what is selected is followed
by the rows' numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.parts.language import columns_in_language, t
from dashboard.parts.order import Order
from dashboard.parts.row_clicks import drawn_before, open_column, opened

ROW_PIXELS, ROWS_IN_SIGHT = 36, 20
MOST_COMPARED = 12  # evaluations side by side


@dataclass(frozen=True)
class Picked:
    """What was done with a table."""

    opened: int | None
    """The row whose button was pressed."""
    selected: list[int]
    """The rows that are ticked."""


def rows_table(
    key: str, frame: pd.DataFrame, ids: Sequence[int], columns: Mapping[str, Any], order: Order, *, alt: str
) -> Picked:
    """Draw the table.

    Args:
        key: of the table; `<key>_open` is that of its buttons.
        frame: a row per id; its first column has the numbers that open the rows.
        ids: of the rows.
        columns: settings of the other columns.
        order: of the list.
        alt: what the table is.
    """
    _follow_selection(key, ids)
    first = str(frame.columns[0])
    label = t(order.columns.get(first, first))
    arrow = "" if order.column != first else " ↓" if order.falls else " ↑"
    buttons = open_column(key, label + arrow, width=32 + 8 * len(label + arrow))
    event: Any = st.dataframe(
        frame,
        column_config={first: buttons, **order.marked(columns_in_language(columns))},
        hide_index=True,
        height=min(len(frame) + 1, ROWS_IN_SIGHT) * ROW_PIXELS + 3,
        row_height=ROW_PIXELS,
        placeholder="",
        # sorting in the browser would sort this page alone: with columns that can be selected a click on a header
        # selects, and the list is sorted where it is stored
        on_select=lambda: _sort_by_header(key, order),
        selection_mode=["multi-row", "single-column"],
        key=key,
        alt=alt,
    )
    return Picked(opened(key, ids), [ids[row] for row in event.selection["rows"] if row < len(ids)])


def forget_selection(key: str) -> None:
    """Tick nothing any more; before the table is drawn."""
    st.session_state.pop(key, None)


def _follow_selection(key: str, ids: Sequence[int]) -> None:
    """Where the rows stand elsewhere than before, tick the same ones again."""
    before = drawn_before(key, ids)
    if key not in st.session_state or before == list(ids):
        return
    selection = st.session_state[key]["selection"]
    ticked = {before[row] for row in selection["rows"] if row < len(before)}
    rows = [place for place, number in enumerate(ids) if number in ticked]
    st.session_state[key] = {"selection": {"rows": rows, "columns": []}}


def _sort_by_header(key: str, order: Order) -> None:
    if key not in st.session_state:  # the page has changed meanwhile
        return
    selection = st.session_state[key]["selection"]
    if selection["columns"]:
        order.by(selection["columns"][0])
        st.session_state[key] = {"selection": {"rows": selection["rows"], "columns": []}}
