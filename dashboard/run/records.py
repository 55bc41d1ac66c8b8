"""What is written down about a run: its settings (config, environment, files), and its history with its attempts."""

import pandas as pd
import streamlit as st

from backend.api.schemas import AttemptOut, RunDetail, RunEventList, RunEventOut
from dashboard.parts import api
from dashboard.parts.foreign_text import plain_frame, visible, visible_json
from dashboard.parts.language import mark, t
from dashboard.parts.run_figures import worker_words
from dashboard.parts.text import MISSING, as_utc, duration, full_time, in_zones, size
from dashboard.parts.url_state import keep_in_url, start_from_url
from dashboard.run.live_run import live_run
from memgen.contract.status import CAUSE_TEXT, Cause

PARTS = (mark("Config"), mark("Environment"), mark("Files"))


def settings_view(run: RunDetail) -> None:
    """One of three parts: what was asked for, what the trainer saw, what it left."""
    start_from_url("part", PARTS)
    st.session_state.setdefault("part", PARTS[0])
    part = st.segmented_control(
        t("Part"), PARTS, key="part", format_func=t, required=True, label_visibility="collapsed",
        on_change=keep_in_url("part", default=PARTS[0]),
    )  # fmt: skip
    {"Config": _config, "Environment": _environment, "Files": _files}[part or PARTS[0]](run)


def _config(run: RunDetail) -> None:
    """The config as JSON (with a copy button) and its hash."""
    st.caption(t("Hash of the config"))
    st.code(visible(run.config_hash), language=None, width=280)
    st.caption(t("Config"))
    st.code(visible_json(run.config), language=None)


def _files(run: RunDetail) -> None:
    """What a run has on disk, how much, and where its output was published."""
    if run.output:
        st.caption(t("Output, relative to the home folder"))
        st.code(visible(run.output), language=None, wrap_lines=True)
    with api.part_errors():
        preview = api.client().delete(run.id)  # without a confirmation it tells and takes nothing
        st.caption(t("On disk: {size_bytes}", size_bytes=size(preview.size_bytes)))
        st.code(visible("\n".join(preview.paths)) or t("nothing yet"), language=None, wrap_lines=True)


def _environment(run: RunDetail) -> None:
    """Versions, device and hashes that the trainer saw."""
    if not run.environment:
        st.info(t("The trainer has not reported its environment yet."), icon=":material/memory:")
        return
    st.code(visible_json(run.environment), language=None)


def history_view(run: RunDetail) -> None:
    """Its attempts; then its newest changes of status and warnings, and of older ones how many are not shown."""
    _attempts(run)
    with api.part_errors():
        events = newest_events(run)
        frame = history_frame(events.items, st.context.timezone)
        st.dataframe(
            frame, hide_index=True, key="history", placeholder="", alt=t("History of the run"), height="content"
        )  # fmt: skip
        if events.next_cursor is not None:
            st.caption(t("Shows the newest {items} entries.", items=f"{len(events.items):,}"))


def newest_events(run: RunDetail) -> RunEventList:
    """The newest of the history; asked for again where the run has moved, a warning or another note included."""
    moved = (
        run.status,
        run.num_attempts,
        run.priority,
        run.archived,
        run.warnings,
        [one.status for one in run.attempts],
    )
    return live_run(run.id).kept("history", moved, lambda _: api.client().run_events(run.id, newest=True))


def history_frame(events: list[RunEventOut], zone: str | None = None) -> pd.DataFrame:
    """One row per event, in the given order; times in the reader's zone, where that is known, and in UTC."""
    rows = [
        {
            **{name: f"{time:%Y-%m-%d %H:%M:%S}" for name, time in in_zones(event.time, zone).items()},
            t("Attempt"): "" if event.attempt is None else str(event.attempt),
            t("What"): t(event.kind.replace("_", " ")),
            t("Change"): f"{t(event.from_status or mark('new'))} → {t(event.to_status)}" if event.to_status else "",
            t("Cause"): t(CAUSE_TEXT[Cause(event.cause)]) if event.cause in CAUSE_TEXT else event.cause or "",
            t("By"): event.actor,
            t("Detail"): event.detail,
        }
        for event in events
    ]
    return plain_frame(rows, list(rows[0]) if rows else [])


def _attempts(run: RunDetail) -> None:
    """Each start of the run."""
    if not run.attempts:
        st.info(t("No attempt has started."), icon=":material/replay:")
        return
    st.dataframe(
        attempts_frame(run.attempts, st.context.timezone),
        hide_index=True,
        key="attempts",
        placeholder="",
        alt=t("Attempts of the run"),
    )


def attempts_frame(attempts: list[AttemptOut], zone: str | None = None) -> pd.DataFrame:
    """One row per attempt, newest first."""
    rows = [
        {
            t("Attempt"): one.number,
            t("Status"): t(one.status.value),
            t("Cause"): t(CAUSE_TEXT[one.cause]) if one.cause else "",
            t("Worker"): worker_words(one.worker, one.slot) if one.worker else "",
            **({t("Job"): one.job or ""} if any(other.job for other in attempts) else {}),
            t("Resumes attempt"): "" if one.resumes is None else str(one.resumes),
            t("Claimed"): full_time(one.claimed_at, zone) if one.claimed_at else "",
            t("Duration"): _attempt_duration(one),
            t("Log"): size(one.log_bytes),
        }
        for one in sorted(attempts, key=lambda one: -one.number)
    ]
    return plain_frame(rows, list(rows[0]) if rows else [])


def _attempt_duration(attempt: AttemptOut) -> str:
    if attempt.claimed_at is None or attempt.ended_at is None:
        return MISSING
    return duration((as_utc(attempt.ended_at) - as_utc(attempt.claimed_at)).total_seconds())
