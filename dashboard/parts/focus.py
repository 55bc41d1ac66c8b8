"""Where the keyboard goes on after a page was changed: Streamlit leaves the focus on nothing.

The scripts are fixed texts of our own; nothing foreign is ever part of one.
"""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

_WANTED, _FIELD = "focus_wanted", "focus_field"
# what is to have the focus may be drawn a moment later than this
_SCRIPT = """<script>
(() => {
  let tries = 40;
  const look = () => {
    const found = document.querySelector("SELECTOR");
    if (!found) { if (tries-- > 0) setTimeout(look, 100); return; }
    if (found.tabIndex < 0) found.setAttribute("tabindex", "-1");
    found.focus({preventScroll: SCROLL});
  };
  look();
})();
</script>"""
TITLE = ("h1", "true")


def ask_for_title() -> None:
    """Let the next page that is drawn give the focus to its title."""
    st.session_state[_WANTED] = True


def give_to_title() -> None:
    """Give the focus to the page's title, if that was asked for."""
    place = _place()
    if st.session_state.pop(_WANTED, False):
        _give(place, *TITLE)


def ask_for_field(key: str) -> None:
    """Let the form that is drawn next give the focus to the widget with this key."""
    st.session_state[_FIELD] = key


def give_to_field() -> None:
    """Give the focus to a widget, if that was asked for."""
    place, key = _place(), st.session_state.pop(_FIELD, "")
    if key.isidentifier():
        _give(place, f".st-key-{key} :is(input, [role=combobox], [role=radio], [role=switch])", "false")


def _place() -> DeltaGenerator:
    """Always drawn: what stands below would else move up with the next run, and be there twice for a moment."""
    return st.container(key="focus")


def _give(place: DeltaGenerator, selector: str, prevent_scroll: str) -> None:
    text = _SCRIPT.replace("SELECTOR", selector).replace("SCROLL", prevent_scroll)
    place.html(text, unsafe_allow_javascript=True)
