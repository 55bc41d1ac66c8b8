"""What a config would take, and why it can't be launched."""

from collections.abc import Sequence

import streamlit as st

from backend.schemas import PreflightReply, PresetOut, ProblemItem, SlotOut, WorkerOut
from dashboard import api
from dashboard.text import about_size, count, duration, escape_markdown, sentence, size
from memgen.contract.pipeline import StepName


def preflight_panel(
    reply: PreflightReply,
    step: StepName,
    preset: str,
    workers: Sequence[WorkerOut],
    presets: Sequence[PresetOut],
) -> None:
    """Figures, then problems, then warnings."""
    left, right = st.columns(2)
    left.metric("Questions", count(reply.num_questions))
    hours = usual_hours(step, preset, presets)
    right.metric("Expected time", expected_time(reply, hours), help=time_help(reply, hours))
    left.metric("Memory", size(reply.memory_bytes), help=f"On a slot of kind {reply.memory_device}.")
    right.metric("Disk at most", size(reply.disk_bytes))
    slots = [slot for worker in workers if worker.alive for slot in worker.slots]
    text, fits = slots_text(reply.memory_bytes, slots)
    icon = ":material/check_circle:" if fits else ":material/info:"
    st.caption(f"{icon} {escape_markdown(text)}")
    show_problems(reply.problems)
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


def show_problems(problems: Sequence[ProblemItem]) -> None:
    """Each problem with its field, value and way out."""
    for problem in problems:
        st.error(
            api.item_text(problem.field, problem.value, problem.message, problem.way_out),
            icon=":material/error:",
        )


def usual_hours(step: StepName, preset: str, presets: Sequence[PresetOut]) -> tuple[float, float] | None:
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
    return f"{preset.name} ({about_size(preset.weights_bytes)}{note})"
