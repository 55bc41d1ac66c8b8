"""A row of links that may lead to the page that is open, with another query."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

# Streamlit marks a link to the open page as the place where one is, whatever its query says
_STYLE = """<style>
[class*="st-key-links_"] [data-testid="stPageLink-NavLink"]:not(:hover) { background: transparent; }
[class*="st-key-links_"] [data-testid="stPageLink-NavLink"] * { font-weight: 400; }
</style>"""


def link_row(key: str) -> DeltaGenerator:
    """The container of the row; all its links look alike.

    Args:
        key: `links_<key>` is the container's.
    """
    st.html(_STYLE)
    return st.container(horizontal=True, gap="small", key=f"links_{key}")
