"""The end of an attempt's log, and the whole of it for download."""

from functools import partial

import streamlit as st

from backend.api.schemas import AttemptOut, RunDetail
from dashboard.parts import api
from dashboard.parts.text import readable_log, size
from memgen.contract.status import ATTEMPT_ENDED

TAIL_BYTES = 64 * 1024
PIECE_BYTES = 2**20
REFRESH_SECONDS = 1
HEIGHT_PIXELS = 460


def log_view(run: RunDetail) -> None:
    """Attempt selector, tail, download."""
    if not run.attempts:
        st.info("No attempt has started, so there is no log.", icon=":material/article:")
        return
    attempts = {attempt.number: attempt for attempt in sorted(run.attempts, key=lambda one: -one.number)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = st.selectbox(
            "Attempt", list(attempts), key="log_attempt", width=220,
            format_func=lambda one: f"{one} ({attempts[one].status.value})",
        )  # fmt: skip
        st.download_button(
            "Download the whole log",
            partial(whole_log, run.id, number),
            file_name=f"run-{run.id}-attempt-{number}.log",
            mime="text/plain",
            key="log_download",
            icon=":material/download:",
            on_click="ignore",
        )
    live = is_live(attempts[number])
    st.fragment(_tail, run_every=REFRESH_SECONDS if live else None)(run.id, number, live)


def is_live(attempt: AttemptOut) -> bool:
    """Whether the attempt can still write."""
    return attempt.status not in ATTEMPT_ENDED


def _tail(run_id: int, number: int, live: bool) -> None:
    with api.part_errors():
        log = api.client().log(run_id, attempt=number, limit=TAIL_BYTES)
        text = readable_log(log.text).rstrip("\n")
        if not text:
            st.info("Nothing has been written yet." if live else "The log is empty.", icon=":material/article:")
            return
        cut = f"the last {size(log.next_offset - log.offset)} of " if log.offset else ""
        st.caption(f"Shows {cut}{size(log.size)}" + (", refreshed every second." if live else "."))
        with st.container(height=HEIGHT_PIXELS, border=True, autoscroll=live, key="log"):
            st.code(text, language=None, wrap_lines=True)


def whole_log(run_id: int, number: int) -> str:
    """The whole log of an attempt, fetched piece by piece."""
    pieces, offset = [], 0
    while True:
        log = api.client().log(run_id, attempt=number, offset=offset, limit=PIECE_BYTES)
        pieces.append(log.text)
        if log.next_offset <= offset or log.next_offset >= log.size:
            return "".join(pieces)
        offset = log.next_offset
