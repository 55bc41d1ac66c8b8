"""The steps of a pipeline as they go: status, progress, accuracy, and why one waits."""

from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import PipelineOut, PipelineStepOut, RunOut
from dashboard.parts import api
from dashboard.parts.components import progress_bar, run_seconds, status_badge, time_caption
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.text import count, duration, percent
from dashboard.pipeline.actions import finished_evaluations
from dashboard.pipeline.table import finished_steps
from memgen.contract.stages import trains
from memgen.contract.status import CAUSE_TEXT, RUN_ENDED, RUN_NOT_STARTED, RUN_UNDER_WAY, PipelineStatus, RunStatus

REFRESH_SECONDS = 2


def live_steps(pipeline: PipelineOut) -> None:
    """The part of the page that moves; it stops asking once the pipeline has ended."""
    moving = pipeline.status is PipelineStatus.RUNNING
    st.fragment(_moving_part, run_every=REFRESH_SECONDS if moving else None)(pipeline, [pipeline])


def _moving_part(shown: PipelineOut, loaded: list[PipelineOut]) -> None:
    with api.part_errors():
        pipeline = api.once(loaded, lambda: api.client().pipeline(shown.id))
        if _what_buttons_show(pipeline) != _what_buttons_show(shown):
            st.rerun(scope="app")
        _summary(pipeline)
        for number, one in enumerate(pipeline.steps, start=1):
            _step(number, one)


def _what_buttons_show(pipeline: PipelineOut) -> tuple[object, ...]:
    return pipeline.status, pipeline.can_continue, pipeline.continue_reason, finished_evaluations(pipeline)


def _summary(pipeline: PipelineOut) -> None:
    done, total = finished_steps(pipeline), len(pipeline.steps)
    st.progress(done / total if total else 0.0, text=f"{done} of {total} steps are done")
    with st.container(horizontal=True, gap="medium"):
        time_caption("submitted", pipeline.created_at)
        if pipeline.ended_at:
            time_caption("ended", pipeline.ended_at)
    if pipeline.status in {PipelineStatus.FAILED, PipelineStatus.CANCELLED} and pipeline.continue_reason:
        label = "Continue" if pipeline.can_continue else "Nothing to continue"
        st.caption(f"{label}: {sentence(pipeline.continue_reason)}")


def _step(number: int, one: PipelineStepOut) -> None:
    """One step: name and status, figures, link; below what moves or why it does not."""
    with st.container(border=True, key=f"step_{one.step}", gap="small"):
        name, figures, link = st.columns([5, 5, 1], vertical_alignment="center")
        with name, st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{number}. {escape_markdown(one.label)}**", width="content")
            if one.run is not None:
                status_badge(one.run.status.value)
            if one.reused:
                st.badge("reused", color="violet", icon=":material/recycling:")
        if one.run is None:
            st.caption("Its run was deleted.")
        else:
            figures.markdown(" · ".join(step_figures(one.run)))
            link.page_link("app_pages/run.py", label=f"Run {one.run.id}", query_params={"run": str(one.run.id)})
            if one.run.progress is not None and one.run.status in RUN_UNDER_WAY:
                progress_bar(one.run.progress)
        if text := step_text(one):
            st.caption(text)


def step_figures(run: RunOut) -> list[str]:
    """Accuracy, questions, attempts and duration as far as known, as markdown."""
    figures = []
    if not trains(run.stage) and "accuracy" in run.summary:
        so_far = "" if run.status in RUN_ENDED else " so far"
        of = f" of {count(run.summary['num_questions'])}" if "num_questions" in run.summary else ""
        figures.append(f"accuracy **{percent(run.summary['accuracy'])}**{of}{so_far}{run.scorer_mark}")
    if run.num_attempts > 1:
        figures.append(f"{run.num_attempts} attempts")
    if (seconds := run_seconds(run, datetime.now(UTC))) is not None:
        figures.append(duration(seconds))
    return figures


def step_text(one: PipelineStepOut) -> str:
    """Why a step waits, was skipped or failed, as markdown; empty where there is nothing to say."""
    run = one.run
    if run is None:
        return ""
    if run.status is RunStatus.FAILED:
        cause = run.cause_text or (CAUSE_TEXT[run.cause] if run.cause else "no cause was reported")
        return f":red[Failed: {sentence(cause)}.] {sentence(one.reason)}".strip()
    reason = one.reason or (run.waits_for if run.status in RUN_NOT_STARTED else "")
    return sentence(reason) if reason else ""
