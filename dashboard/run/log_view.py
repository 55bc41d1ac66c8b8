"""The log of an attempt: its end, of a failed one what begins with the first error, lines that say something."""

from dataclasses import dataclass

import streamlit as st

from backend.api.schemas import AttemptOut, LogLevel, LogOut, RunDetail
from dashboard.parts import api
from dashboard.parts.components import status_badge
from dashboard.parts.language import mark, plural, t
from dashboard.parts.pager import cursors_of, step_back
from dashboard.parts.text import readable_log, size
from dashboard.parts.url_state import keep_in_url, start_from_url
from dashboard.run.live_part import live_part
from dashboard.run.live_run import TAIL_BYTES, LiveRun
from dashboard.run.log_download import log_address
from memgen.contract.status import ATTEMPT_ENDED, AttemptStatus

HEIGHT_PIXELS = 460
BEFORE_THE_ERROR = 1000  # bytes that are shown in front of it
AT_A_GLANCE = 2000  # bytes of a log that is seen as a whole
SHOWN_LINES = 200
LEVELS: dict[str, tuple[str, LogLevel | None]] = {
    "all": (mark("All lines"), None), "warning": (mark("Warnings"), "warning"), "error": (mark("Errors"), "error"),
}  # fmt: skip
PARTS = {"error": mark("First error"), "end": mark("End")}


@dataclass(frozen=True)
class Wanted:
    """What of a log is looked at."""

    attempt: int
    text: str
    level: LogLevel | None


def log_view(run: RunDetail) -> None:
    """Attempt, search, level and download; below them the log."""
    if not run.attempts:
        st.info(t("No attempt has started, so there is no log."), icon=":material/article:")
        return
    attempts = {attempt.number: attempt for attempt in sorted(run.attempts, key=lambda one: -one.number)}
    start_from_url("log_text")
    start_from_url("log_level", LEVELS)
    st.session_state.setdefault("log_level", "all")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = st.selectbox(
            t("Attempt"), list(attempts), key="log_attempt", width=110
        )  # without their states: a label that changes loses its choice
        text = st.text_input(
            t("Find"), key="log_text", icon=":material/search:", max_chars=200, on_change=keep_in_url("log_text"),
            width=260,
        )  # fmt: skip
        level = st.segmented_control(
            t("Level"), list(LEVELS), key="log_level", required=True, format_func=lambda name: t(LEVELS[name][0]),
            on_change=keep_in_url("log_level", default="all"),
        )  # fmt: skip
        status_badge(attempts[number].status.value)
        st.link_button(t("Download the whole log"), log_address(run.id, number), icon=":material/download:")
    wanted = Wanted(number, (text or "").strip(), LEVELS[level or "all"][1])
    failed = attempts[number].status is AttemptStatus.FAILED
    if wanted.text or wanted.level:
        live_part(run, lambda run, live: _lines(run, live, wanted))
    else:
        live_part(run, lambda run, live: _piece(run, live, number, failed))


def is_live(attempt: AttemptOut) -> bool:
    """Whether the attempt can still write."""
    return attempt.status not in ATTEMPT_ENDED


def _attempt(run: RunDetail, number: int) -> AttemptOut:
    """The newest of what is known of an attempt."""
    return next(attempt for attempt in run.attempts if attempt.number == number)


def _piece(run: RunDetail, live: LiveRun, number: int, failed: bool) -> None:
    attempt = _attempt(run, number)
    error = _first_error(run, live, attempt) if failed and attempt.log_bytes > AT_A_GLANCE else None
    if error is not None:
        st.session_state.setdefault("log_part", "error")
        part = st.segmented_control(
            t("Show"), list(PARTS), key="log_part", required=True, format_func=lambda name: t(PARTS[name]),
            label_visibility="collapsed",
        )  # fmt: skip
        if part == "error":
            _text(_from(run, live, attempt, error), is_tail=False, moves=False)
            return
    _text(live.tail(number), is_tail=True, moves=is_live(attempt))


def _first_error(run: RunDetail, live: LiveRun, attempt: AttemptOut) -> int | None:
    """Where the first error of an ended attempt's log stands, among as much of it as one search reads."""
    found = live.kept(
        ("first error", attempt.number), attempt.log_bytes,
        lambda _: api.client().log_lines(run.id, attempt=attempt.number, level="error", limit=1),
    )  # fmt: skip
    return found.lines[0].offset if found.lines else None


def _from(run: RunDetail, live: LiveRun, attempt: AttemptOut, error: int) -> LogOut:
    start = max(0, error - BEFORE_THE_ERROR)
    return live.kept(
        ("from the error", attempt.number), attempt.log_bytes,
        lambda _: api.client().log(run.id, attempt=attempt.number, offset=start, limit=TAIL_BYTES),
    )  # fmt: skip


def _text(log: LogOut, *, is_tail: bool, moves: bool) -> None:
    text = readable_log(log.text).rstrip("\n")
    if not text:
        st.info(t("Nothing has been written yet.") if moves else t("The log is empty."), icon=":material/article:")
        return
    if not log.offset and (is_tail or log.next_offset >= log.size):
        words = mark("Shows {size}.")
    elif is_tail:
        words = mark("Shows the last {part} of {size}.")
    else:
        words = mark("Shows {part} around the first error of {size}.")
    shown = t(words, part=size(log.next_offset - log.offset), size=size(log.size))
    st.caption(f"{shown} {t('Refreshed every few seconds.')}" if moves else shown)
    with st.container(height=HEIGHT_PIXELS, border=True, autoscroll=is_tail, key="log"):
        st.code(text, language=None, wrap_lines=True)


def _lines(run: RunDetail, live: LiveRun, wanted: Wanted) -> None:
    """Lines that match, as many as one search finds, and the way on to the next ones."""
    places = cursors_of("log", (run.id, wanted))
    start = int(places[-1] or 0)
    found = live.kept(
        ("lines", wanted, start), _attempt(run, wanted.attempt).log_bytes,
        lambda _: api.client().log_lines(
            run.id, attempt=wanted.attempt, text=wanted.text or None, level=wanted.level, offset=start,
            limit=SHOWN_LINES,
        ),
    )  # fmt: skip
    where = ""
    if start or found.next_offset < found.size:
        where = t(
            "Searched from {start} to {end} of {size}.", start=size(start), end=size(found.next_offset),
            size=size(found.size),
        )  # fmt: skip
    if found.lines:
        st.caption(f"{plural('{n} line.', '{n} lines.', len(found.lines))} {where}")
        with st.container(height=HEIGHT_PIXELS, border=True, key="log"):
            st.code(readable_log("\n".join(line.text for line in found.lines)), language=None, wrap_lines=True)
    else:
        st.info(f"{t('No line matches.')} {where}", icon=":material/filter_alt_off:")
    with st.container(horizontal=True):
        if start:
            st.button(t("Back"), key="log_back", icon=":material/chevron_left:", on_click=step_back, args=(places,))
        if found.next_offset < found.size:
            st.button(
                t("Search on"), key="log_on", icon=":material/chevron_right:", on_click=places.append,
                args=(str(found.next_offset),),
            )  # fmt: skip
