"""The top of a run's page: what it is, how far it is, why it failed."""

from datetime import UTC, datetime

import streamlit as st

from backend.api.schemas import RunDetail
from dashboard.parts import api
from dashboard.parts.components import facts, progress_bar, status_badge, time_caption
from dashboard.parts.foreign_text import escape_markdown, sentence, visible
from dashboard.parts.run_figures import run_figures
from memgen.contract.status import CAUSE_TEXT, RUN_ENDED, RUN_NOT_STARTED, RUN_UNDER_WAY, RunStatus

REFRESH_SECONDS = 2
MAX_EVENT_PAGES = 20


def run_title(run: RunDetail) -> None:
    """Number, status, model, data, note."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="run_title"):
        st.title(f"Run {run.id}", width="content", anchor=False)
        status_badge(run.status.value)
    data = f"{run.data} {run.config.get('split', '')}".strip()
    stage = f"{run.stage}, {run.setting}" if run.setting else run.stage
    st.markdown(escape_markdown(" · ".join([run.preset, stage, data])))
    if run.note:
        st.caption(f":material/sticky_note_2: {escape_markdown(run.note)}")


def live_header(run: RunDetail) -> None:
    """The part of the header that moves; it stops asking once the run has ended."""
    ended = run.status in RUN_ENDED
    st.fragment(_moving_part, run_every=None if ended else REFRESH_SECONDS)(run, [run])


def _moving_part(shown: RunDetail, loaded: list[RunDetail]) -> None:
    with api.part_errors():
        run = api.once(loaded, lambda: api.client().run(shown.id))
        if (run.status, run.num_attempts) != (shown.status, shown.num_attempts):
            st.rerun(scope="app")  # badge, buttons and the other parts follow the status
        _state(run)
        _warnings(run)
        facts(run_figures(run, datetime.now(UTC)))
        with st.container(horizontal=True, gap="medium"):
            time_caption("submitted", run.created_at)
            if run.started_at:
                time_caption("started", run.started_at)
            if run.ended_at:
                time_caption("ended", run.ended_at)


def _state(run: RunDetail) -> None:
    """One block that fits the status."""
    if run.status in RUN_NOT_STARTED:
        st.info(f"**Waits:** {sentence(run.waits_for or '')}", icon=":material/schedule:")
    elif run.status is RunStatus.SKIPPED:
        st.info(f"**Skipped:** {sentence(_skipped_words(run))}", icon=":material/skip_next:")
    elif run.status is RunStatus.STOPPING:
        st.info("A stop was asked for; the trainer is ending.", icon=":material/stop_circle:")
    elif run.status is RunStatus.RUNNING and run.progress is None:
        st.info("The trainer is starting.", icon=":material/play_circle:")
    elif run.status is RunStatus.CANCELLED:
        saved = "It can be resumed." if run.can_resume else ""
        st.info(f"This run was stopped. {saved}", icon=":material/cancel:")
    if run.progress is not None and run.status in RUN_UNDER_WAY:
        with st.container(key="progress"):
            progress_bar(run.progress)


def _warnings(run: RunDetail) -> None:
    """What the trainer warned of, in one block."""
    if run.warnings:
        lines = [f"{sentence(one[:1].upper() + one[1:].rstrip('.'))}." for one in run.warnings]
        text = lines[0] if len(lines) == 1 else "\n".join(f"- {line}" for line in lines)
        with st.container(key="warnings"):
            st.warning(text, icon=":material/warning:")


def _skipped_words(run: RunDetail) -> str:
    """Why a run was skipped, as its history says, and the way out."""
    said, cursor = "", None
    for _ in range(MAX_EVENT_PAGES):
        reply = api.client().run_events(run.id, cursor=cursor)
        for event in reply.items:
            if event.to_status == RunStatus.SKIPPED and event.detail:
                said = event.detail
        cursor = reply.next_cursor
        if cursor is None:
            break
    reason = said or run.cause_text or "a run that it needs has failed or was cancelled"
    ended = reason if reason.endswith((".", "!", "?")) else f"{reason}."
    return f"{ended[:1].upper()}{ended[1:]}" + (" Its pipeline can be continued." if run.pipeline_id else "")


def failure_panel(run: RunDetail) -> None:
    """Why the run failed: cause, what the trainer said, the way out, the traceback."""
    if run.status is not RunStatus.FAILED:
        return
    cause = run.cause_text or (CAUSE_TEXT[run.cause] if run.cause else "no cause was reported")
    lines = [f"**Failed: {sentence(cause)}.**"]
    if run.failure:
        lines.append(api.item_text(run.failure))
    if run.exit_code is not None:
        lines.append(escape_markdown(exit_words(run.exit_code)))
    with st.container(key="failure"):
        st.error("\n\n".join(lines), icon=":material/error:")
        if run.traceback:
            with st.expander("Last traceback", key="traceback"):
                st.code(visible(run.traceback), language=None, wrap_lines=True)


def exit_words(code: int) -> str:
    """An exit code in words; negative is minus the signal."""
    return f"The trainer was ended by signal {-code}." if code < 0 else f"Exit code {code}."
