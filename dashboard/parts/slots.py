"""What several pages say of a slot."""

import streamlit as st

from backend.api.schemas import Sickness
from dashboard.parts.foreign_text import sentence
from dashboard.parts.language import t
from dashboard.parts.text import duration


def show_sickness(sick: Sickness) -> None:
    """Why a slot takes no work, and when it is asked again."""
    st.badge(t("takes no work"), color="orange", icon=":material/healing:")
    again = t("Asked again in {time}.", time=duration(sick.asked_again_in))
    st.caption(sentence(f"{sick.reason.in_sentences()} {again}"))
