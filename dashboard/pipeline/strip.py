"""The steps of a pipeline side by side: status, bar, time, and below them why one waits or has failed."""

from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import PipelineOut, PipelineStepOut, RunOut
from dashboard.parts.checkpoint import origin_link
from dashboard.parts.components import progress_bar, run_seconds, status_badge
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.language import mark, t
from dashboard.parts.text import count, duration, percent
from memgen.contract.stages import trains
from memgen.contract.status import CAUSE_TEXT, RUN_ENDED, RUN_NOT_STARTED, RUN_UNDER_WAY, RunStatus

# as many beside each other as there is room for
_STYLE = """<style>
.st-key-strip > div { flex: 1 1 9.5rem; min-width: 9.5rem; }
.st-key-strip [class*="st-key-step_"] { height: 100%; padding: 0.6rem 0.7rem; }
</style>"""


def strip(pipeline: PipelineOut) -> None:
    """A card for each step, then a line for each that says something."""
    st.html(_STYLE)
    with st.container(horizontal=True, key="strip", gap="xsmall"):
        for number, one in enumerate(pipeline.steps, start=1):
            _card(number, one)
    labels: dict[str, list[str]] = {}
    for one in pipeline.steps:
        if text := step_text(one):
            labels.setdefault(text, []).append(t(one.label))
    for text, of in labels.items():  # what stops one step often stops those after it
        st.markdown(f"**{escape_markdown(', '.join(of))}:** {text}")


def _card(number: int, one: PipelineStepOut) -> None:
    with st.container(border=True, key=f"step_{one.step}", gap="xsmall"):
        st.markdown(f"**{number}. {escape_markdown(t(one.label))}**")
        if one.checkpoint is not None:
            _reused_badge()
            origin_link(
                one.checkpoint,
                outside=True,
                of_run=mark("The checkpoint of run {number}"),
                from_outside=mark("Checkpoint {number}"),
            )
            return
        if one.run is None:
            st.caption(t("Its run was deleted."))
            return
        with st.container(horizontal=True, gap="xsmall"):
            status_badge(one.run.status.value)
            if one.reused:
                _reused_badge()
        if one.run.progress is not None and one.run.status in RUN_UNDER_WAY:
            progress_bar(one.run.progress)
        if figures := step_figures(one.run):
            st.markdown(" · ".join(figures))
        st.page_link(
            "app_pages/run.py", label=t("Run {number}", number=one.run.id), query_params={"run": str(one.run.id)}
        )


def _reused_badge() -> None:
    st.badge(t("reused"), color="violet", icon=":material/recycling:")


def step_figures(run: RunOut) -> list[str]:
    """Accuracy, questions, attempts and duration as far as known, as markdown."""
    figures = []
    if not trains(run.stage) and "accuracy" in run.summary:
        questions = run.summary.get("num_questions")
        share = f"**{percent(run.summary['accuracy'])}**"
        text = share if questions is None else t("{accuracy} of {n}", accuracy=share, n=count(questions))
        so_far = "" if run.status in RUN_ENDED else f" {t('so far')}"
        figures.append(f"{text}{so_far}{run.scorer_mark}")
    if run.num_attempts > 1:
        figures.append(t("{n} attempts", n=run.num_attempts))
    if (seconds := run_seconds(run, datetime.now(UTC))) is not None:
        figures.append(duration(seconds))
    return figures


def step_text(one: PipelineStepOut) -> str:
    """Why a step waits, was skipped or failed, as markdown; empty where there is nothing to say."""
    run = one.run
    if run is None:
        return ""
    if run.status is RunStatus.FAILED:
        cause = run.cause_text or (CAUSE_TEXT[run.cause] if run.cause else mark("no cause was reported"))
        failed = t("Failed: {cause}.", cause=sentence(t(cause)))
        return f":red[{failed}] {sentence(one.reason)}".strip()
    reason = one.reason or (run.waits_for if run.status in RUN_NOT_STARTED else "")
    return sentence(reason) if reason else ""
