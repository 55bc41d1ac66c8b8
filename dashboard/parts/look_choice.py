"""Ways to look at curves: smoothing, what they stand over, the axis, a range of steps. All stay in the address."""

from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard.parts.charts import Look, Over
from dashboard.parts.language import mark, t
from dashboard.parts.url_state import keep_in_url, run_numbers, start_from_url

SMOOTHING = {mark("none"): 0.0, mark("a little"): 0.6, mark("much"): 0.9, mark("very much"): 0.97}
AXIS = {"linear": False, "log": True}
FIRST, LAST = "first_step", "last_step"
PARAMETERS = ("smoothing", "over", "axis", FIRST, LAST)
"""Of the address."""


def choose_look(over: Sequence[Over], place: str = "") -> Look:
    """Draw the choices.

    Args:
        over: what the curves can stand over.
        place: begins the keys of the widgets; each page has its own.
    """
    smoothing = choose(t("Smoothing"), "smoothing", {name: t(name) for name in SMOOTHING}, place)
    stands_over = choose(t("Over"), "over", {name: t(name) for name in over}, place)
    axis = choose(t("Axis"), "axis", {"linear": t("linear"), "log": t("logarithmic")}, place)
    first, last = (
        _step(t("From step"), FIRST, t("the first"), place),
        _step(t("To step"), LAST, t("the last"), place),
    )
    return Look(
        smoothing=SMOOTHING[smoothing], over=next(one for one in over if one == stands_over), log=AXIS[axis],
        first=first, last=last,
    )  # fmt: skip


def choose(label: str, parameter: str, options: Mapping[str, str], place: str = "") -> str:
    """One of a few, kept in the address; the first is the usual one.

    Args:
        label: of the choice.
        parameter: of the address.
        options: with the words for each.
        place: begins the key of the widget.
    """
    key, usual = place + parameter, next(iter(options))
    if st.session_state.get(key, usual) not in options:  # left by another run
        st.session_state.pop(key)
    start_from_url(key, options, parameter=parameter)
    st.session_state.setdefault(key, usual)
    chosen = st.segmented_control(
        label, list(options), key=key, required=True, format_func=options.__getitem__,
        on_change=keep_in_url(key, default=usual, parameter=parameter),
    )  # fmt: skip
    return chosen or usual


def _step(label: str, parameter: str, usual: str, place: str) -> int | None:
    key = place + parameter
    if key not in st.session_state and (given := run_numbers(st.query_params.get(parameter, ""))):
        st.session_state[key] = given[0]
    return st.number_input(
        label, value=None, min_value=0, step=1, key=key, placeholder=usual, width=132,
        on_change=keep_in_url(key, parameter=parameter),
    )  # fmt: skip
