"""Pages of a list that the backend hands out by cursors; a fragment draws list and buttons."""

import streamlit as st

from dashboard.parts.language import t
from dashboard.parts.shortcuts import NEXT, PREVIOUS


def cursors_of(name: str, chosen: object) -> list[str | None]:
    """Cursors of the pages up to the shown one; another list or filter starts anew.

    Args:
        name: of the list; begins the keys of its buttons.
        chosen: what decides which list it is, e.g. run and filter.
    """
    place, filtered = f"{name}_cursors", f"{name}_filter"
    if place not in st.session_state or st.session_state.get(filtered) != chosen:
        st.session_state[filtered], st.session_state[place] = chosen, [None]
    cursors: list[str | None] = st.session_state[place]
    return cursors


def step_back(cursors: list[str | None]) -> None:
    """To the page before."""
    cursors.pop()


def pager(
    name: str, cursors: list[str | None], *, page_size: int, shown: int, total: int, next_cursor: str | None
) -> None:
    """Buttons to the previous and next page, and which part of the list this is."""
    first = (len(cursors) - 1) * page_size + 1
    with st.container(horizontal=True, vertical_alignment="center", key=f"{name}_pager"):
        st.button(
            t("Previous"), key=f"{name}_previous", icon=":material/chevron_left:", disabled=len(cursors) < 2,
            shortcut=PREVIOUS.key, on_click=step_back, args=(cursors,),
        )  # fmt: skip
        st.button(
            t("Next"), key=f"{name}_next", icon=":material/chevron_right:", disabled=not next_cursor,
            shortcut=NEXT.key, on_click=cursors.append, args=(next_cursor,),
        )  # fmt: skip
        st.caption(
            t("{first} to {last} of {total}", first=f"{first:,}", last=f"{first + shown - 1:,}", total=f"{total:,}"),
            width="content",
        )
