"""Small pieces that several pages show: status, progress, times, figures."""

from datetime import UTC, datetime
from typing import Literal, TypeAlias

import streamlit as st

from backend.api.schemas import ProgressOut, RunOut
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import mark, t
from dashboard.parts.text import ago, as_utc, count, duration, full_time, size

Colour: TypeAlias = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray", "grey", "primary"]

STATUS_LOOK: dict[str, tuple[Colour, str]] = {
    "waiting": ("gray", "hourglass_empty"),
    "queued": ("yellow", "schedule"),
    "starting": ("blue", "play_circle"),
    "running": ("blue", "autorenew"),
    "stopping": ("orange", "stop_circle"),
    "succeeded": ("green", "check_circle"),
    "failed": ("red", "error"),
    "lost": ("red", "link_off"),
    "cancelled": ("gray", "cancel"),
    "stopped": ("gray", "cancel"),
    "skipped": ("gray", "skip_next"),
    "incomplete": ("gray", "help"),
}

ARCHIVED = mark("archived")
"""Stands beside the status of what is in the archive."""


def status_badge(status: str) -> None:
    """A coloured word with an icon, so that colour is not the only sign."""
    colour, icon = STATUS_LOOK.get(status, ("gray", "help"))
    st.badge(t(status), color=colour, icon=f":material/{icon}:")


def archived_badge() -> None:
    """Says that lists leave something out."""
    st.badge(t(ARCHIVED), color="gray", icon=":material/archive:")


def time_caption(words: str, time: datetime) -> None:
    """`started 3 min ago`, with the full time as its tooltip.

    Args:
        words: with `{ago}` where the time stands.
        time: of what they say.
    """
    text = t(words, ago=ago(time, datetime.now(UTC)))
    st.caption(text, help=full_time(time, st.context.timezone), width="content")


def run_seconds(run: RunOut, now: datetime) -> float | None:
    """Seconds from the start of a run to its end, or to now."""
    if run.started_at is None:
        return None
    end = as_utc(run.ended_at) if run.ended_at else now
    return max(0.0, (end - as_utc(run.started_at)).total_seconds())


def progress_share(progress: ProgressOut | None) -> float | None:
    """Done of total, 0 to 1; None where it is not known."""
    if progress is None or progress.done is None or not progress.total:
        return None
    return min(1.0, max(0.0, progress.done / progress.total))


def progress_words(progress: ProgressOut) -> str:
    """`generate: 40 of 200 questions, 2 min 10 s left`, plain text."""
    amount = size if progress.unit == "bytes" else count
    unit = "" if progress.unit in {"", "bytes"} else t(progress.unit)
    parts = []
    if progress.done is not None:
        done = amount(progress.done)
        if progress.total:
            parts.append(t("{done} of {total} {unit}", done=done, total=amount(progress.total), unit=unit).strip())
        else:
            parts.append(f"{done} {unit}".strip())
    if progress.seconds_left is not None:
        parts.append(t("{time} left", time=duration(progress.seconds_left)))
    return f"{t(progress.phase)}: {', '.join(parts)}" if parts else t(progress.phase)


def progress_bar(progress: ProgressOut) -> None:
    """Bar, numbers, time left, and the phase's detail below."""
    text = escape_markdown(progress_words(progress))
    share = progress_share(progress)
    if share is None:
        st.markdown(f":material/autorenew: {text}")
    else:
        st.progress(share, text=text)
    if progress.detail:
        st.caption(escape_markdown(progress.detail))


def facts(items: dict[str, str]) -> None:
    """Names and values in one wrapping row; the values are foreign text."""
    with st.container(horizontal=True, gap="medium"):
        for name, value in items.items():
            with st.container(width="content", gap=None):
                st.caption(escape_markdown(name))
                st.markdown(f"**{escape_markdown(value)}**" if value else "–")
