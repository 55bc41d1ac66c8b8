"""What a config would take, and why it can't be launched."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from backend.schemas import PreflightReply, PresetOut, SlotOut, WorkerOut
from dashboard import api
from dashboard.text import about_size, count, duration, escape_markdown, sentence, size


def preflight_panel(
    reply: PreflightReply,
    config: Mapping[str, Any],
    workers: Sequence[WorkerOut],
    presets: Sequence[PresetOut],
) -> None:
    """Figures, then problems, then warnings."""
    left, right = st.columns(2)
    left.metric("Questions", count(reply.num_questions))
    right.metric("Expected time", expected_time(reply, config, presets), help=_time_help(reply))
    left.metric("Memory", size(reply.memory_bytes), help=f"On a slot of kind {reply.memory_device}.")
    right.metric("Disk at most", size(reply.disk_bytes))
    slots = [slot for worker in workers if worker.alive for slot in worker.slots]
    text, fits = slots_text(reply.memory_bytes, slots)
    icon = ":material/check_circle:" if fits else ":material/info:"
    st.caption(f"{icon} {escape_markdown(text)}")
    for problem in reply.problems:
        st.error(
            api.item_text(problem.field, problem.value, problem.message, problem.way_out),
            icon=":material/error:",
        )
    for warning in reply.warnings:
        st.warning(sentence(warning), icon=":material/warning:")


def slots_text(need: int | None, slots: Sequence[SlotOut]) -> tuple[str, bool]:
    """How many of the slots that are alive hold the run, and whether one does."""
    if not slots:
        return "No slot is alive: the run would wait.", False
    largest = max(slot.total_memory for slot in slots)
    if need is None:
        return f"{len(slots)} slots alive, the largest with {size(largest)}.", True
    fitting = [slot for slot in slots if slot.total_memory >= need]
    total = f"{len(slots)} slot{'' if len(slots) == 1 else 's'} alive"
    if fitting:
        return f"Fits on {len(fitting)} of {total} (largest: {size(largest)}).", True
    return f"Fits on none of {total} (largest: {size(largest)}): the run would wait for a larger one.", False


def expected_time(reply: PreflightReply, config: Mapping[str, Any], presets: Sequence[PresetOut]) -> str:
    """From past runs; else the usual hours of the preset for this stage; else a dash."""
    if reply.expected_seconds is not None:
        return duration(reply.expected_seconds)
    for preset in presets:
        hours = preset.expected_hours.get(str(config.get("stage")))
        if preset.name == config.get("preset") and hours:
            return f"{hours[0]:g} to {hours[1]:g} h"
    return "not known yet"


def _time_help(reply: PreflightReply) -> str:
    if reply.expected_seconds is not None:
        return "From the median seconds per question of past runs of this model."
    return "No run of this model has ended here yet."


def preset_text(preset: PresetOut) -> str:
    """`Qwen/Qwen3-14B (~28 GB, large)`, plain text."""
    note = f", {preset.note}" if preset.note else ""
    return f"{preset.name} ({about_size(preset.weights_bytes)}{note})"
