"""What a config would take, and why it can't be launched."""

from collections.abc import Sequence

import streamlit as st

from backend.api.schemas import PreflightReply, PresetOut, SlotFit
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, one_line, sentence
from dashboard.parts.language import mark, plural, t
from dashboard.parts.text import about_size, count, duration, size
from memgen.contract.problem import Problem

MOST_SLOTS = 6
SLOT_LOOK = {
    "free": ("green", "check", mark("fits")),
    "busy": ("orange", "hourglass_top", mark("fits, busy with run {number}")),
    "held": ("orange", "lock", mark("full of another program")),
    "sick": ("orange", "healing", mark("takes no work")),
    "closed": ("gray", "do_not_disturb_on", mark("is given no work")),
    "too_small": ("red", "block", mark("does not fit")),
}
"""Colour, icon and words by how a slot and a run go together."""


def preflight_panel(reply: PreflightReply, step: str, preset: str, presets: Sequence[PresetOut]) -> None:
    """Figures, then problems, then warnings."""
    left, right = st.columns(2)
    left.metric(t("Questions"), count(reply.num_questions))
    hours = usual_hours(step, preset, presets)
    right.metric(t("Expected time"), expected_time(reply, hours), help=time_help(reply, hours))
    left.metric(
        t("Memory"),
        size(reply.memory_bytes),
        help=t("On a slot of kind {device}.", device=escape_markdown(reply.memory_device)),
    )
    right.metric(t("Disk at most"), size(reply.disk_bytes))
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
        memory = t(
            "slot {slot} of {host}: {needed} of {total}", slot=escape_markdown(fit.slot),
            host=escape_markdown(fit.host), needed=size(fit.needed_bytes), total=size(fit.total_bytes),
        )  # fmt: skip
        st.markdown(f":{colour}-badge[:material/{icon}: {t(word, number=fit.run_id)}] {memory}")
    if len(fits) > MOST_SLOTS:
        st.caption(plural("And {n} more slot.", "And {n} more slots.", len(fits) - MOST_SLOTS))


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
    return t("{low} to {high} h", low=f"{hours[0]:g}", high=f"{hours[1]:g}") if hours else t("not known yet")


def time_help(reply: PreflightReply, hours: tuple[float, float] | None) -> str:
    """Where the expected time comes from."""
    if reply.expected_seconds is not None:
        return t("From past runs of this model.")
    if hours:
        return t("Usual time of a full run on one GPU; no run of this model has ended here yet.")
    return t("No run of this model has ended here yet.")


def preset_text(preset: PresetOut) -> str:
    """`Qwen/Qwen3-14B (~28 GB, large)`, plain text."""
    note = f", {t(preset.note)}" if preset.note else ""
    return one_line(f"{preset.name} ({about_size(preset.weights_bytes)}{note})")
