"""Plug-ins and registered data sets that can't be used: named where one would look for them."""

from collections.abc import Sequence

import streamlit as st

from backend.api.schemas import BrokenPluginOut
from dashboard.parts.foreign_text import escape_markdown


def broken_plugins(plugins: Sequence[BrokenPluginOut]) -> None:
    """One warning per plug-in, with the reason."""
    for one in plugins:
        name = escape_markdown(one.name)
        origin = "registered here" if one.package is None else f"of the package **{escape_markdown(one.package)}**"
        st.warning(
            f"The data set **{name}** {origin} can't be used: {escape_markdown(one.reason)}",
            icon=":material/extension_off:",
        )
