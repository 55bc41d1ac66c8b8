"""What a config would take, and why it can't be launched."""

from collections.abc import Sequence

import streamlit as st

from backend.api.schemas import PreflightReply, PresetOut, SlotFit
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, one_line, sentence
from dashboard.parts.text import about_size, count, duration, size
from memgen.contract.problem import Problem

MOST_SLOTS = 6
SLOT_LOOK = {
    "free": ("green", "check", "fits"),
    "busy": ("orange", "hourglass_top", "fits, busy"),
    "held": ("orange", "lock", "full of another program"),
    "sick": ("orange", "healing", "takes no work"),
    "too_small": ("red", "block", "does not fit"),
}
"""Colour, icon and words by how a slot and a run go together."""


def preflight_panel(reply: PreflightReply, step: str, preset: str, presets: Sequence[PresetOut]) -> None:
    """Figures, then problems, then warnings."""
    left, right = st.columns(2)
    left.metric("Questions", count(reply.num_questions))
    hours = usual_hours(step, preset, presets)
    right.metric("Expected time", expected_time(reply, hours), help=time_help(reply, hours))
    left.metric("Memory", size(reply.memory_bytes), help=f"On a slot of kind {escape_markdown(reply.memory_device)}.")
    right.metric("Disk at most", size(reply.disk_bytes))
    if reply.placement:
        st.caption(f"{fit_icon(reply)} {escape_markdown(reply.placement)}")
    show_slots(reply.slots)
    show_problems(reply.problems)
    for warning in reply.warnings:
        st.warning(sentence(warning), icon=":material/warning:")


def show_slots(fits: Sequence[SlotFit]) -> None:
    """The run's memory against each slot that is alive."""
    for fit in fits[:MOST_SLOTS]:
        colour, icon, word = SLOT_LOOK[fit.state]
        busy = f" with run {fit.run_id}" if fit.state == "busy" else ""
        st.markdown(
            f":{colour}-badge[:material/{icon}: {word}{busy}] slot {escape_markdown(fit.slot)} of "
            f"{escape_markdown(fit.host)}: {size(fit.needed_bytes)} of {size(fit.total_bytes)}"
        )
    if len(fits) > MOST_SLOTS:
        st.caption(f"And {len(fits) - MOST_SLOTS} more slots.")


def fit_icon(reply: PreflightReply) -> str:
    """Before the sentence on the slots."""
    return ":material/check_circle:" if reply.fits else ":material/info:"


def show_problems(problems: Sequence[Problem]) -> None:
    """Each problem with its field, value and way out."""
    for problem in problems:
        st.error(api.item_text(problem), icon=":material/error:")


def usual_hours(step: str, preset: str, presets: Sequence[PresetOut]) -> tuple[float, float] | None:
    """Usual hours of a step on one GPU, where the preset knows them."""
    return next((one.expected_hours.get(step) for one in presets if one.name == preset), None)


def expected_time(reply: PreflightReply, hours: tuple[float, float] | None) -> str:
    """From past runs; else the usual hours; else that it is not known."""
    if reply.expected_seconds is not None:
        return duration(reply.expected_seconds)
    return f"{hours[0]:g} to {hours[1]:g} h" if hours else "not known yet"


def time_help(reply: PreflightReply, hours: tuple[float, float] | None) -> str:
    """Where the expected time comes from."""
    if reply.expected_seconds is not None:
        return "From past runs of this model."
    if hours:
        return "Usual time of a full run on one GPU; no run of this model has ended here yet."
    return "No run of this model has ended here yet."


def preset_text(preset: PresetOut) -> str:
    """`Qwen/Qwen3-14B (~28 GB, large)`, plain text."""
    note = f", {preset.note}" if preset.note else ""
    return one_line(f"{preset.name} ({about_size(preset.weights_bytes)}{note})")
