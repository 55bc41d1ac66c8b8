"""Where the keyboard goes on after a page was changed: Streamlit leaves the focus on nothing.

The scripts are fixed texts of our own; nothing foreign is ever part of one.
"""

import streamlit as st

_WANTED = "focus_wanted"
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
    if st.session_state.pop(_WANTED, False):
        _give(*TITLE)


def _give(selector: str, prevent_scroll: str) -> None:
    text = _SCRIPT.replace("SELECTOR", selector).replace("SCROLL", prevent_scroll)
    st.html(text, unsafe_allow_javascript=True)
