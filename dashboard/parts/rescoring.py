"""Scoring stored answers anew: the offer on a run's page, and where a comparison needs it."""

from functools import partial

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import RunDetail
from dashboard.parts import api
from dashboard.parts.language import mark, plural, t
from dashboard.parts.url_state import run_numbers

REFUSED = "scorers_differ"
"""Code with which the backend refuses to compare scores of different versions of the scorer."""
HELP = mark("Scores the stored answers with the newest version of the scorer, beside the scores that there are.")


def rescore_button(run: RunDetail) -> None:
    """The button on a run's page, where its scores are by an older version of the scorer."""
    if not run.can_rescore:
        return
    pressed = st.button(t("Rescore"), key="rescore", icon=":material/rule:", help=t(HELP), width="stretch")
    if pressed and api.attempt(lambda: api.client().rescore(run.id)):
        st.rerun()


def offer_rescoring(error: ApiError) -> None:
    """In place of a comparison that was refused: why, and a button that scores the older runs anew."""
    api.show_error(error)
    older = run_numbers(error.problem.value or "")
    label = plural("Rescore run {runs}", "Rescore runs {runs}", len(older), runs=", ".join(map(str, older)))
    pressed = st.button(label, key="rescore", icon=":material/rule:", type="primary", help=t(HELP))
    if pressed and all(api.attempt(partial(api.client().rescore, number)) for number in older):
        st.rerun()
    st.stop()
