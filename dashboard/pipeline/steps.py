"""The part of a pipeline's page that moves: its steps as a strip, what stops them, their results and warnings."""

from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import PipelineOut
from dashboard.parts import api
from dashboard.parts.components import run_seconds, time_caption
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.language import mark, t
from dashboard.parts.text import as_utc, duration
from dashboard.pipeline.actions import finished_evaluations
from dashboard.pipeline.result_table import result_table
from dashboard.pipeline.strip import strip
from dashboard.pipeline.table import finished_steps
from memgen.contract.status import PipelineStatus

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
        strip(pipeline)
        _warnings(pipeline)
        result_table(pipeline)


def _what_buttons_show(pipeline: PipelineOut) -> tuple[object, ...]:
    return pipeline.status, pipeline.can_continue, pipeline.continue_reason, finished_evaluations(pipeline)


def _summary(pipeline: PipelineOut) -> None:
    done, total = finished_steps(pipeline), len(pipeline.steps)
    st.progress(done / total if total else 0.0, text=t("{done} of {total} steps are done", done=done, total=total))
    with st.container(horizontal=True, gap="medium"):
        time_caption(mark("submitted {ago}"), pipeline.created_at)
        if pipeline.ended_at:
            time_caption(mark("ended {ago}"), pipeline.ended_at)
        st.caption(time_text(pipeline, datetime.now(UTC)), width="content")
    if pipeline.status in {PipelineStatus.FAILED, PipelineStatus.CANCELLED} and pipeline.continue_reason:
        words = mark("Continue: {reason}") if pipeline.can_continue else mark("Nothing to continue: {reason}")
        st.caption(t(words, reason=sentence(pipeline.continue_reason)))


def time_text(pipeline: PipelineOut, now: datetime) -> str:
    """`its runs took 12 min, 20 min since it was submitted`; plain text."""
    runs = [one.run for one in pipeline.steps if one.run is not None and not one.reused]
    worked = sum(run_seconds(run, now) or 0.0 for run in runs)
    end = as_utc(pipeline.ended_at) if pipeline.ended_at else now
    whole = max(0.0, (end - as_utc(pipeline.created_at)).total_seconds())
    words = (
        mark("its runs took {worked}, {whole} from its submission to its end")
        if pipeline.ended_at
        else mark("its runs took {worked}, {whole} since it was submitted")
    )
    return t(words, worked=duration(worked), whole=duration(whole))


def _warnings(pipeline: PipelineOut) -> None:
    """What the trainers warned of, which a green strip does not say."""
    warned = [one for one in pipeline.steps if one.warnings and one.run is not None]
    if not warned:
        return
    with st.container(key="pipeline_warnings"):
        for one in warned:
            run_id = one.run.id if one.run is not None else 0
            texts = "  \n".join(sentence(f"{text[:1].upper()}{text[1:].rstrip('.')}.") for text in one.warnings)
            head = t("**{step}, run {number}:**", step=escape_markdown(t(one.label)), number=run_id)
            st.warning(f"{head} {texts}", icon=":material/warning:")
