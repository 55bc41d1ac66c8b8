"""What a pipeline would take, step by step and in sum, and why it can't be launched."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from backend.api.schemas import PipelinePreflight, PreflightReply, PresetOut
from dashboard.launch.preflight_panel import expected_time, fit_icon, show_problems, show_slots, usual_hours
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.language import mark, t
from dashboard.parts.text import MISSING, count, duration, size
from dashboard.parts.told import told
from memgen.contract.pipeline import STEPS, PipelineSpec

Span = tuple[float, float]


def pipeline_preflight(reply: PipelinePreflight, spec: PipelineSpec, presets: Sequence[PresetOut]) -> None:
    """The table of the steps, then problems, then warnings."""
    if reply.steps:
        frame = steps_frame(reply, spec, presets)
        st.table(frame, hide_index=True, border="horizontal", alt=t("What each step would take, and the sums"))
        largest = max(reply.steps.values(), key=lambda one: one.memory_bytes or 0)
        placement = told(largest.placement)
        text = t("The largest step: {placement}", placement=placement[:1].lower() + placement[1:])
        st.caption(f"{fit_icon(largest)} {escape_markdown(text)}")
        show_slots(largest.slots)
    show_problems(reply.problems)
    warnings = [warning for one in reply.steps.values() for warning in one.warnings]
    for warning in dict.fromkeys(warnings):
        st.warning(sentence(warning), icon=":material/warning:")


def steps_frame(reply: PipelinePreflight, spec: PipelineSpec, presets: Sequence[PresetOut]) -> pd.DataFrame:
    """One row per step of the pipeline and one of sums; texts are markdown."""
    preset = str(spec.shared.get("preset"))
    rows = []
    spans: list[Span | None] = []
    for name, step in STEPS.items():
        if name in spec.reuse:
            number = spec.reuse[name]
            words = mark("{step}, checkpoint {number}") if number in reply.outside else mark("{step}, run {number}")
            rows.append([t(words, step=t(step.label), number=number), t("reused"), "", "", ""])
        elif name in reply.steps:
            one = reply.steps[name]
            hours = usual_hours(name, preset, presets)
            spans.append(_span(one, hours))
            time = expected_time(one, hours)
            rows.append([t(step.label), count(one.num_questions), time, memory_text(one), size(one.disk_bytes)])
    steps = reply.steps.values()
    rows.append(
        [
            t("**Together**"),
            f"**{count(sum(one.num_questions or 0 for one in steps))}**",
            f"**{sum_text(spans)}**",
            t("**{size} at most**", size=size(max((one.memory_bytes or 0 for one in steps), default=0))),
            f"**{size(sum(one.disk_bytes or 0 for one in steps))}**",
        ]
    )
    return pd.DataFrame(rows, columns=[t("Pipeline step"), t("Questions"), t("Expected time"), t("Memory"), t("Disk")])


def memory_text(one: PreflightReply) -> str:
    """Memory of a step and whether a slot that is alive holds it, as markdown."""
    if one.memory_bytes is None:
        return MISSING
    fits = ":green[:material/check:]" if one.fits else f":red[{t('fits no slot')}]"
    return f"{size(one.memory_bytes)} {fits}"


def _span(one: PreflightReply, hours: Span | None) -> Span | None:
    if one.expected_seconds is not None:
        return one.expected_seconds, one.expected_seconds
    return (hours[0] * 3600, hours[1] * 3600) if hours else None


def sum_text(spans: Sequence[Span | None]) -> str:
    """`20 min`, `4 h to 6 h`, `at least 20 min` where some are not known."""
    known = [span for span in spans if span is not None]
    if not known:
        return t("not known yet")
    low, high = sum(span[0] for span in known), sum(span[1] for span in known)
    text = duration(low) if low == high else t("{low} to {high}", low=duration(low), high=duration(high))
    return text if len(known) == len(spans) else t("at least {n}", n=text)
