"""The order of a list: chosen by a click on a column's header or in a box, and kept in the address as `?sort=`."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.parts.foreign_text import one_line
from dashboard.parts.language import t

PARAMETER = "sort"
FALLS = "-"  # in front of a column's name, as the API takes it: the highest first


class Order:
    """What a list is sorted by, in this browser session.

    Args:
        name: of the list; begins the keys of its widgets.
        columns: what the backend can sort by, with the words for it; a table's columns of these names can be clicked.
        rising: columns of which the lowest comes first when they are chosen; of the others the highest does.
    """

    def __init__(self, name: str, columns: Mapping[str, str], rising: frozenset[str] = frozenset()) -> None:
        self._key = f"{name}_order"
        self.columns = columns
        self._rising = rising

    def start(self) -> None:
        """When a page is drawn: the address says the order, else it is the one that was chosen last in this tab."""
        asked = st.query_params.get(PARAMETER)
        if asked is not None and asked.removeprefix(FALLS) in self.columns:
            st.session_state[self._key] = asked
        self._write()

    @property
    def sort(self) -> str | None:
        """As the API takes it; None is newest first."""
        chosen: str | None = st.session_state.get(self._key)
        return chosen

    @property
    def column(self) -> str | None:
        """The column that the list is sorted by."""
        return self.sort.removeprefix(FALLS) if self.sort else None

    @property
    def falls(self) -> bool:
        """Whether the highest comes first."""
        return self.sort is None or self.sort.startswith(FALLS)

    def take(self, sort: str | None) -> None:
        """Sort as somebody has kept it; what the list can't be sorted by is newest first."""
        known = sort is not None and sort.removeprefix(FALLS) in self.columns
        st.session_state[self._key] = sort if known else None
        self._write()

    def by(self, column: str | None) -> None:
        """Sort by a column, the other way round where the list is sorted by it; None is newest first.

        Without an order the list is sorted by its first column, that of the numbers: a click there turns it round.
        """
        if column is not None and column not in self.columns:
            return
        if column is None:
            st.session_state[self._key] = None
        else:
            sorted_by = self.column or next(iter(self.columns))
            falls = not self.falls if column == sorted_by else column not in self._rising
            st.session_state[self._key] = f"{FALLS if falls else ''}{column}"
        self._write()

    def choose(self) -> None:
        """Draw the box and the button that turns the order round."""
        box, turn = f"{self._key}_column", f"{self._key}_turn"
        st.session_state[box] = self.column
        st.selectbox(
            t("Sort by"),
            list(self.columns),
            index=None,
            key=box,
            placeholder=t("newest first"),
            format_func=lambda name: one_line(t(self.columns[name])),
            on_change=lambda: self._chosen(st.session_state.get(box, self.column)),
            width=180,
        )
        st.button(
            t("Highest first") if self.falls else t("Lowest first"),
            key=turn,
            icon=f":material/{'arrow_downward' if self.falls else 'arrow_upward'}:",
            disabled=self.column is None,
            help=t("Turn the order round"),
            on_click=lambda: self.by(self.column),
        )

    def marked(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Settings of a table's columns, an arrow beside the name of the one that it is sorted by."""
        shown = dict(columns)
        if self.column in shown:
            settings = shown[self.column]
            shown[self.column] = settings | {"label": f"{settings['label']} {'↓' if self.falls else '↑'}"}
        return shown

    def _chosen(self, column: str | None) -> None:
        if column != self.column:
            self.by(column)

    def _write(self) -> None:
        if self.sort:
            st.query_params[PARAMETER] = self.sort
        else:
            st.query_params.pop(PARAMETER, None)
