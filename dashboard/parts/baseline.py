"""The pinned baseline: pinned and unpinned from where results are looked at."""

import streamlit as st

from backend.api.schemas import BaselineOut
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import mark, t

_HELP = mark(
    "Home measures its last results against the pinned baseline. Compare takes it as the base where it is one of the "
    "evaluations."
)


def pin_buttons(base_id: int, pinned_id: int | None) -> None:
    """Beside a comparison: whether its base is pinned, and the way to pin or unpin it.

    Args:
        base_id: the base of the comparison.
        pinned_id: the pinned evaluation.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="pin"):
        if pinned_id == base_id:
            st.badge(
                t("run {run} is the pinned baseline", run=base_id), color="gray", icon=":material/keep:", help=t(_HELP)
            )
            _unpin_button()
            return
        label = t("Pin run {run} as the baseline", run=base_id)
        pressed = st.button(label, key="pin_baseline", icon=":material/keep:", type="tertiary", help=t(_HELP))
        if pressed and api.attempt(lambda: api.client().pin_baseline(base_id)):
            st.rerun()
        if pinned_id is not None:
            st.caption(t("Pinned is run {run}.", run=pinned_id), width="content")
            _unpin_button()


def baseline_line(baseline: BaselineOut) -> None:
    """Above results: what they are measured against, where an evaluation is pinned; that it was deleted is said."""
    if baseline.run_id is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="baseline"):
        if baseline.run is None:
            st.warning(
                t(
                    "The pinned baseline, run {run}, was deleted. Results are measured against their bases.",
                    run=baseline.run_id,
                ),
                icon=":material/keep_off:",
            )
        else:
            st.page_link(
                "app_pages/run.py", label=t("Pinned baseline: run {run}, {setting}", run=baseline.run_id,
                setting=escape_markdown(baseline.run.label)), icon=":material/keep:",
                query_params={"run": str(baseline.run_id)},
            )  # fmt: skip
        _unpin_button()


def _unpin_button() -> None:
    pressed = st.button(t("Unpin"), key="unpin_baseline", icon=":material/keep_off:", type="tertiary")
    if pressed and api.attempt(lambda: api.client().pin_baseline(None)):
        st.rerun()
