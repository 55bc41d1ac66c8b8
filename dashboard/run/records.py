"""What is written down about a run: config, environment, history, attempts."""

import pandas as pd
import streamlit as st

from backend.api.schemas import AttemptOut, RunDetail, RunEventOut
from dashboard.parts import api
from dashboard.parts.foreign_text import plain_frame, visible, visible_json
from dashboard.parts.text import MISSING, as_utc, duration, full_time, size
from memgen.contract.status import CAUSE_TEXT

MAX_EVENT_PAGES = 20


def config_view(run: RunDetail) -> None:
    """The config as JSON (with a copy button) and its hash."""
    st.caption("Hash of the config")
    st.code(visible(run.config_hash), language=None, width=280)
    st.caption("Config")
    st.code(visible_json(run.config), language="json")
    if run.output:
        st.caption("Output, relative to the home folder")
        st.code(visible(run.output), language=None, wrap_lines=True)


def files_view(run: RunDetail) -> None:
    """What a run has on disk, and how much."""
    with api.part_errors():
        found = api.client().delete(run.id)  # without a confirmation it tells and takes nothing
        st.caption(f"On disk: {size(found.size_bytes)}")
        st.code(visible("\n".join(found.paths)) or "nothing yet", language=None, wrap_lines=True)


def environment_view(run: RunDetail) -> None:
    """Versions, device and hashes that the trainer saw."""
    if not run.environment:
        st.info("The trainer has not reported its environment yet.", icon=":material/memory:")
        return
    st.code(visible_json(run.environment), language="json")


def history_view(run: RunDetail) -> None:
    """Every change of status and every warning, newest first."""
    events: list[RunEventOut] = []
    cursor = None
    with api.part_errors():
        for _ in range(MAX_EVENT_PAGES):
            reply = api.client().run_events(run.id, cursor=cursor)
            events += reply.items
            cursor = reply.next_cursor
            if cursor is None:
                break
        if cursor is not None:
            st.caption(f"Shows the first {len(events):,} entries.")
        st.dataframe(
            history_frame(events), hide_index=True, key="history", placeholder="", alt="History of the run",
            height="content",
        )  # fmt: skip


def history_frame(events: list[RunEventOut]) -> pd.DataFrame:
    """One row per event, newest first."""
    rows = [
        {
            "Time (UTC)": f"{as_utc(event.time):%Y-%m-%d %H:%M:%S}",
            "Attempt": "" if event.attempt is None else str(event.attempt),
            "What": event.kind,
            "Change": f"{event.from_status or 'new'} → {event.to_status}" if event.to_status else "",
            "Cause": event.cause or "",
            "By": event.actor,
            "Detail": event.detail,
        }
        for event in reversed(events)
    ]
    return plain_frame(rows, ["Time (UTC)", "Attempt", "What", "Change", "Cause", "By", "Detail"])


def attempts_view(run: RunDetail) -> None:
    """Each start of the run."""
    if not run.attempts:
        st.info("No attempt has started.", icon=":material/replay:")
        return
    st.dataframe(
        attempts_frame(run.attempts),
        hide_index=True,
        key="attempts",
        placeholder="",
        alt="Attempts of the run",
    )


def attempts_frame(attempts: list[AttemptOut]) -> pd.DataFrame:
    """One row per attempt, newest first."""
    rows = [
        {
            "Attempt": one.number,
            "Status": one.status.value,
            "Cause": CAUSE_TEXT[one.cause] if one.cause else "",
            "Worker": f"{one.worker}, slot {one.slot}" if one.worker else "",
            "Resumes attempt": "" if one.resumes is None else str(one.resumes),
            "Claimed": full_time(one.claimed_at) if one.claimed_at else "",
            "Duration": _attempt_duration(one),
            "Log": size(one.log_bytes),
        }
        for one in sorted(attempts, key=lambda one: -one.number)
    ]
    return plain_frame(rows, list(rows[0]) if rows else [])


def _attempt_duration(attempt: AttemptOut) -> str:
    if attempt.claimed_at is None or attempt.ended_at is None:
        return MISSING
    return duration((as_utc(attempt.ended_at) - as_utc(attempt.claimed_at)).total_seconds())
