"""Where a launch is to run: at the workers of this service, or at a site."""

import streamlit as st

from dashboard.parts import api
from dashboard.parts.foreign_text import one_line
from dashboard.parts.language import t

SITE, HERE = "launch_site", ""


def choose_site() -> str | None:
    """The site; None for the workers of this service. Nothing is asked where the operator has described no site."""
    with api.page_errors():
        titles = {site.name: f"{site.name} ({site.title})" for site in api.sites()}
    if st.session_state.get(SITE, HERE) not in titles:  # it is not in the operator's file any more
        st.session_state[SITE] = HERE
    if not titles:
        return None
    chosen = st.selectbox(
        t("Where it runs"), [HERE, *titles], key=SITE, persist_state="session",
        format_func=lambda name: one_line(titles[name]) if name else t("Workers of this service"),
        help=t("A site is e.g. a Slurm cluster: its queue decides when the run starts, and on which machine."),
    )  # fmt: skip
    return chosen or None


def start_at(site: str | None) -> None:
    """Let the form begin with this site."""
    st.session_state[SITE] = site or HERE
