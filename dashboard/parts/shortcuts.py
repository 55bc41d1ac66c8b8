"""Keys that do something on a page, in one table: the buttons take theirs from it, and the help panel lists it.

None of them does anything while one types in a field. Streamlit's buttons take letters alone, so a script of our own,
a fixed text, presses the buttons that have a sign.
"""

from dataclasses import dataclass

import streamlit as st

from dashboard.parts.language import mark, t


@dataclass(frozen=True)
class Shortcut:
    """A key and what it does."""

    key: str
    words: str
    button: str = ""
    """Key of the button that the script presses; empty where the button listens itself."""


SEARCH = Shortcut("/", mark("Search everything"), button="search")
HELP = Shortcut("?", mark("Show these keys"), button="shortcuts")
LAUNCH = Shortcut("L", mark("Launch, from Home and from the lists"))
NEXT = Shortcut("N", mark("Next page of a list"))
PREVIOUS = Shortcut("P", mark("Page before in a list"))
STOP = Shortcut("S", mark("Stop the run or the pipeline that is shown, after a question"))
SHORTCUTS = (SEARCH, HELP, LAUNCH, NEXT, PREVIOUS, STOP)
OTHERS = {
    "Enter": mark("In the search: open the first that was found"),
    "Esc": mark("Close what lies over the page"),
}

# Enter waits until what is shown was found for what is typed; the search field gets the focus once it is there
_SCRIPT = """<script>
(() => {
  if (window.memgenKeys) return;
  window.memgenKeys = true;
  const keys = KEYS;
  const wait = (look, tries) => { if (!look() && tries > 0) setTimeout(() => wait(look, tries - 1), 50); };
  const focusField = () => wait(() => {
    const field = document.querySelector(".st-key-search_text input");
    if (field) field.focus();
    return field;
  }, 60);
  document.addEventListener("click", (event) => {
    if (event.target.closest && event.target.closest(".st-key-search button")) focusField();
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target;
    if (event.key === "Enter" && target.closest(".st-key-search_text")) {
      wait(() => {
        const found_for = document.querySelector(".st-key-search_mark [data-testid=stText]");
        const first = document.querySelector(".st-key-search_hits :is(a, button)");
        if (!found_for || !first || found_for.textContent.trim() !== target.value.trim()) return false;
        first.click();
        return true;
      }, 100);
      return;
    }
    if (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
    if (document.querySelector("[role=dialog]") || !(event.key in keys)) return;
    const button = document.querySelector(".st-key-" + keys[event.key] + " button");
    if (button) { event.preventDefault(); button.click(); }
  });
})();
</script>"""


def listen() -> None:
    """Let the signs press their buttons; on every page."""
    signs = ", ".join(f'"{one.key}": "{one.button}"' for one in SHORTCUTS if one.button)
    st.html(_SCRIPT.replace("KEYS", f"{{{signs}}}"), unsafe_allow_javascript=True)


def help_panel() -> None:
    """What each key does."""
    keys = {one.key: one.words for one in SHORTCUTS} | OTHERS
    st.markdown(
        "\n".join([f"| {t('Key')} | |", "|---|---|", *(f"| `{key}` | {t(words)} |" for key, words in keys.items())])
    )
    st.caption(t("None of them does anything while you type in a field."))
