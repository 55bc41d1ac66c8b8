"""Ways to look at curves: smoothing, what they stand over, the axis, a range of steps. All stay in the address."""

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.parts.charts import Look, Over
from dashboard.parts.url_state import keep_in_url, run_numbers, start_from_url

SMOOTHING = {"none": 0.0, "a little": 0.6, "much": 0.9, "very much": 0.97}
AXIS = {"linear": False, "log": True}
FIRST, LAST = "first_step", "last_step"
KEYS = ("smoothing", "over", "axis", FIRST, LAST)
"""Of the widgets, and names of their values in the address."""


def choose_look(over: Sequence[Over]) -> Look:
    """Draw the choices.

    Args:
        over: what the curves can stand over.
    """
    smoothing = choose("Smoothing", "smoothing", {name: name for name in SMOOTHING})
    place = choose("Over", "over", {name: name for name in over})
    axis = choose("Axis", "axis", {"linear": "linear", "log": "logarithmic"})
    first, last = _step("From step", FIRST, "the first"), _step("To step", LAST, "the last")
    return Look(
        smoothing=SMOOTHING[smoothing], over=next(one for one in over if one == place), log=AXIS[axis],
        first=first, last=last,
    )  # fmt: skip


def choose(label: str, key: str, options: Mapping[str, str]) -> str:
    """One of a few, kept in the address; the first is the usual one.

    Args:
        label: of the choice.
        key: of the widget.
        options: with the words for each.
    """
    usual = next(iter(options))
    if st.session_state.get(key, usual) not in options:  # left by another run
        st.session_state.pop(key)
    start_from_url(key, options)
    st.session_state.setdefault(key, usual)
    chosen = st.segmented_control(
        label, list(options), key=key, required=True, on_change=keep_in_url(key, default=usual),
        format_func=options.__getitem__,
    )  # fmt: skip
    return chosen or usual


def _step(label: str, key: str, usual: str) -> int | None:
    if key not in st.session_state and (given := run_numbers(st.query_params.get(key, ""))):
        st.session_state[key] = given[0]
    return st.number_input(
        label, value=None, min_value=0, step=1, key=key, placeholder=usual, width=132, on_change=keep_in_url(key)
    )
