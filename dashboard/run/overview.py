"""The first tab of a run: why it failed or waits, its numbers, its main curves, and where it belongs."""

from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import RunDetail
from dashboard.parts import api
from dashboard.parts.components import facts, time_caption
from dashboard.parts.foreign_text import escape_markdown, sentence, visible
from dashboard.parts.language import mark, t
from dashboard.parts.run_figures import run_figures
from dashboard.run.links import run_links
from dashboard.run.live_part import live_part
from dashboard.run.live_run import LiveRun
from dashboard.run.metrics_view import main_charts
from dashboard.run.records import newest_events
from dashboard.run.tiles import tiles_of
from memgen.contract.status import RUN_RESTARTABLE, RunStatus


def overview(run: RunDetail) -> None:
    """What does not move, then what does."""
    run_links(run)
    failure_panel(run)
    if run.status is RunStatus.SKIPPED:
        with api.part_errors():
            st.info(t("**Skipped:** {reason}", reason=sentence(_skipped_words(run))), icon=":material/skip_next:")
    if run.status in RUN_RESTARTABLE and run.resume_reason:
        words = mark("Resume: {reason}") if run.can_resume else mark("No resume: {reason}")
        st.caption(t(words, reason=sentence(run.resume_reason)))
    live_part(run, _moving)


def _moving(run: RunDetail, live: LiveRun) -> None:
    above = {tile.label for tile in tiles_of(run)}
    facts({label: value for label, value in run_figures(run, datetime.now(UTC)).items() if label not in above})
    with st.container(horizontal=True, gap="medium"):
        time_caption(mark("submitted {ago}"), run.created_at)
        if run.started_at:
            time_caption(mark("started {ago}"), run.started_at)
        if run.ended_at:
            time_caption(mark("ended {ago}"), run.ended_at)
    if run.num_attempts and (curves := live.curves()):
        main_charts(run, curves)


def _skipped_words(run: RunDetail) -> str:
    """Why a run was skipped, as its history says, and the way out."""
    skips = [one.detail for one in newest_events(run).items if one.to_status == RunStatus.SKIPPED and one.detail]
    reason = next(iter(skips), "") or run.cause_text or t("a run that it needs has failed or was cancelled")
    ended = reason if reason.endswith((".", "!", "?")) else f"{reason}."
    sentence_of_it = f"{ended[:1].upper()}{ended[1:]}"
    return f"{sentence_of_it} {t('Its pipeline can be continued.')}" if run.pipeline_id else sentence_of_it


def failure_panel(run: RunDetail) -> None:
    """Why the run failed: what the trainer said, the way out, the traceback; the cause stands in the header."""
    if run.status is not RunStatus.FAILED:
        return
    lines = [api.item_text(run.failure)] if run.failure else [t("Its trainer said nothing about it.")]
    if run.exit_code is not None:
        lines.append(escape_markdown(exit_words(run.exit_code)))
    with st.container(key="failure"):
        st.error("\n\n".join(lines), icon=":material/error:")
        if run.traceback:
            with st.expander(t("Last traceback"), key="traceback"):
                st.code(visible(run.traceback), language=None, wrap_lines=True)


def exit_words(code: int) -> str:
    """An exit code in words; negative is minus the signal."""
    if code < 0:
        return t("The trainer was ended by signal {number}.", number=-code)
    return t("Exit code {number}.", number=code)
