"""What several pages say of a slot."""

import streamlit as st

from backend.api.schemas import Sickness
from dashboard.parts.foreign_text import sentence
from dashboard.parts.language import t
from dashboard.parts.text import duration
from memgen.contract.problem import Problem

DRAINED = "drained"
"""Code of the reason why a slot is given no work as somebody wants it so."""


def show_sickness(sick: Sickness) -> None:
    """Why a slot takes no work, and when it is asked again."""
    st.badge(t("takes no work"), color="orange", icon=":material/healing:")
    again = t("Asked again in {time}.", time=duration(sick.asked_again_in))
    st.caption(sentence(f"{sick.reason.in_sentences()} {again}"))


def show_closed(closed: Problem) -> None:
    """Why a slot or a machine is given no work."""
    if closed.code == DRAINED:
        st.badge(t("drained"), color="gray", icon=":material/do_not_disturb_on:")
    else:
        st.badge(t("is given no work"), color="orange", icon=":material/block:")
    st.caption(sentence(f"{closed.in_sentences()}"))
