"""The picture of a lineage with what steers it: a search, steps from match to match, nearer and further.

What was looked at stays in the middle when the picture changes under the reader: the browser would begin at the top.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from dashboard.lineage.graph import ROWS_IN_SIGHT, Look, last_row, lineage_option, picked, picture_height
from dashboard.lineage.layout import Spot
from dashboard.lineage.words import matches
from dashboard.parts.language import plural, t
from dashboard.parts.url_state import keep_in_url, start_from_url

FIND, CHOSEN = "lineage_find", "lineage_chosen"
_AT, _JUMP, _ROWS, _VIEW = "lineage_at", "lineage_jump", "lineage_rows", "lineage_view"
_SCOPE = "lineage_scope"
_LONGEST = 100  # characters of a search


@dataclass
class _View:
    """What the picture was last drawn of, and what is in its middle."""

    drawn: object
    centre: int | None


def begin_at(scope: object, number: int | None) -> None:
    """Where another part of the lineage is looked at than before: choose what the address names.

    Args:
        scope: what the address narrows it to.
        number: of the run or checkpoint to choose.
    """
    if st.session_state.get(_SCOPE) == scope:
        start_from_url(FIND, parameter="find")
        return
    for key in (FIND, _AT, _JUMP, _ROWS, _VIEW):
        st.session_state.pop(key, None)
    start_from_url(FIND, parameter="find")
    st.session_state[_SCOPE], st.session_state[CHOSEN] = scope, number


def search_field() -> list[str]:
    """The field that finds runs, `?find=` in the address; the words that are in it, in lower case."""
    text = st.text_input(
        t("Find in the lineage"), key=FIND, max_chars=_LONGEST, icon=":material/search:",
        on_change=_begin_search, placeholder=t("number, note, model, stage or hash"),
    )  # fmt: skip
    return (text or "").casefold().split()


def found_in(spots: Sequence[Spot], words: Sequence[str]) -> list[int] | None:
    """Numbers of what has all words, in the order of the picture; None where nothing is looked for."""
    if not words:
        return None
    return [spot.number for spot in spots if spot.number is not None and matches(spot.thing, words)]


def steering(spots: Sequence[Spot], found: Sequence[int] | None) -> None:
    """The buttons: to the match before and after, and how many rows are in sight; what a jump leads to is chosen."""
    if found:
        at = min(st.session_state.setdefault(_AT, 0), len(found) - 1)
        if st.session_state.pop(_JUMP, False):
            _centre(found[at])
        st.caption(t("{n} of {total}", n=at + 1, total=len(found)), width="content")
        for key, step, icon, words in (
            ("lineage_before", -1, "keyboard_arrow_up", t("Match before")),
            ("lineage_after", 1, "keyboard_arrow_down", t("Next match")),
        ):
            st.button(
                words, key=key, icon=f":material/{icon}:", disabled=len(found) < 2, on_click=_step,
                args=(at + step, len(found)),
            )  # fmt: skip
    elif found is not None:
        st.caption(t("Nothing has all of these words."), width="content")
    rows = st.session_state.setdefault(_ROWS, ROWS_IN_SIGHT)
    most = last_row(spots) + 1
    if most <= ROWS_IN_SIGHT:
        return
    for key, changed, icon, words, off in (
        ("lineage_nearer", rows // 3, "zoom_in", t("Nearer"), rows <= ROWS_IN_SIGHT),
        ("lineage_further", rows * 3, "zoom_out", t("Further away"), rows >= most),
    ):
        st.button(words, key=key, icon=f":material/{icon}:", disabled=off, on_click=_zoom, args=(changed,))


def picture(spots: Sequence[Spot], found: Sequence[int] | None, drawn: object) -> None:
    """Draw it; a click chooses a run or checkpoint.

    Args:
        spots: of all things.
        found: by the search.
        drawn: another value where what is drawn has changed.
    """
    view: _View = st.session_state.setdefault(_VIEW, _View(drawn, st.session_state.get(CHOSEN)))
    if view.drawn != drawn:
        view.drawn, view.centre = drawn, st.session_state.get(CHOSEN)
    look = Look(st.session_state[_ROWS], view.centre, None if found is None else frozenset(found))
    # the browser knows points by their places: where these mean others, nothing is selected any more
    key = f"lineage_graph_{zlib.crc32(repr([spot.number for spot in spots]).encode())}"

    def pick() -> None:
        if key in st.session_state:
            event: Any = st.session_state[key]
            st.session_state[CHOSEN] = picked(spots, event["selection"]["selected"])

    n = sum(spot.number is not None for spot in spots)
    st.echarts_chart(
        lineage_option(spots, look), height=picture_height(spots), key=key, on_select=pick, renderer="svg",
        alt=plural(
            "Picture of {n} run, from the base models to the evaluations; the table below says the same",
            "Picture of {n} runs, from the base models to the evaluations; the table below says the same",
            n,
        ),
    )  # fmt: skip


def _begin_search() -> None:
    keep_in_url(FIND, parameter="find")()
    st.session_state[_AT], st.session_state[_JUMP] = 0, True


def _step(to: int, number: int) -> None:
    st.session_state[_AT], st.session_state[_JUMP] = to % number, True


def _zoom(rows: int) -> None:
    st.session_state[_ROWS] = max(ROWS_IN_SIGHT, rows)
    _centre(st.session_state.get(CHOSEN))


def _centre(number: int | None) -> None:
    st.session_state[CHOSEN] = number
    if _VIEW in st.session_state:
        st.session_state[_VIEW].centre = number
