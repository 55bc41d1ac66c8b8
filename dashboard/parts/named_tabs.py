"""Tabs in the session's language; which one is open stays in the address by its English name."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard.parts.language import t


def named_tabs(names: Sequence[str], key: str, parameter: str) -> list[Any]:
    """Draw the tabs; returns their containers.

    Args:
        names: English, the first is open at first.
        key: of the widget, whose value is the label that is read.
        parameter: of the address.
    """
    labels = {t(name): name for name in names}
    if st.session_state.get(key) not in labels:  # another page's, or of the language before
        given = st.query_params.get(parameter, "")
        st.session_state[key] = t(given if given in names else names[0])

    def write() -> None:
        name = labels.get(st.session_state.get(key, ""), names[0])
        if name == names[0]:
            st.query_params.pop(parameter, None)
        else:
            st.query_params[parameter] = name

    return list(st.tabs(list(labels), key=key, on_change=write))
