"""Plug-ins and registered data sets that can't be used: named where one would look for them."""

from collections.abc import Sequence

import streamlit as st

from backend.api.schemas import BrokenPluginOut
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.language import t


def broken_plugins(plugins: Sequence[BrokenPluginOut]) -> None:
    """One warning per plug-in, with the reason."""
    for one in plugins:
        name, reason = escape_markdown(one.name), sentence(one.reason)
        st.warning(
            t("The data set **{name}** registered here can't be used: {reason}", name=name, reason=reason)
            if one.package is None
            else t(
                "The data set **{name}** of the package **{package}** can't be used: {reason}",
                name=name,
                package=escape_markdown(one.package),
                reason=reason,
            ),
            icon=":material/extension_off:",
        )
