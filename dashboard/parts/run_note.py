"""The note of a run: shown as a button that opens a field to change it."""

import streamlit as st

from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import t

SHOWN_NOTE = 30  # characters on the button


def run_note(run_id: int, note: str) -> bool:
    """Draw it; whether another note was saved just now."""
    short = note if len(note) <= SHOWN_NOTE else f"{note[:SHOWN_NOTE]}…"
    label = escape_markdown(short) if note else t("Add a note")
    with st.popover(label, icon=":material/sticky_note_2:", type="tertiary", key="note"):
        written = st.text_input(t("Note"), note, key=f"note_of_{run_id}", max_chars=200)
        saved = st.button(t("Save"), key="save_note", type="primary")
        return saved and api.attempt(lambda: api.client().set_note(run_id, written.strip()))
