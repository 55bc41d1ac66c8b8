"""The top of a run's page: what it is, how far it is, why it failed."""

from datetime import UTC, datetime

import streamlit as st

from backend.schemas import RunDetail
from dashboard import api
from dashboard.components import facts, progress_bar, run_seconds, status_badge, time_caption
from dashboard.text import count, duration, escape_markdown, percent, sentence
from memgen.contract.status import CAUSE_TEXT, RUN_ENDED, RunStatus

REFRESH_SECONDS = 2


def run_title(run: RunDetail) -> None:
    """Number, status, model, data, note."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="run_title"):
        st.title(f"Run {run.id}", width="content", anchor=False)
        status_badge(run.status.value)
    data = f"{run.data} {run.config.get('split', '')}".strip()
    st.markdown(escape_markdown(" · ".join([run.preset, f"{run.stage}, {run.setting}", data])))
    if run.note:
        st.caption(f":material/sticky_note_2: {escape_markdown(run.note)}")


def live_header(run: RunDetail) -> None:
    """The part of the header that moves; it stops asking once the run has ended."""
    ended = run.status in RUN_ENDED
    st.fragment(_moving_part, run_every=None if ended else REFRESH_SECONDS)(run)


def _moving_part(shown: RunDetail) -> None:
    with api.part_errors():
        run = api.client().run(shown.id)
        if (run.status, run.num_attempts) != (shown.status, shown.num_attempts):
            st.rerun(scope="app")  # badge, buttons and the other parts follow the status
        _state(run)
        facts(_figures(run))
        with st.container(horizontal=True, gap="medium"):
            time_caption("submitted", run.created_at)
            if run.started_at:
                time_caption("started", run.started_at)
            if run.ended_at:
                time_caption("ended", run.ended_at)


def _state(run: RunDetail) -> None:
    """One block that fits the status."""
    if run.status in {RunStatus.QUEUED, RunStatus.WAITING}:
        reason = run.waits_for or "It will start when a slot takes it."
        st.info(f"**Waits:** {sentence(reason)}", icon=":material/schedule:")
    elif run.status is RunStatus.STOPPING:
        st.info("A stop was asked for; the trainer is ending.", icon=":material/stop_circle:")
    elif run.status is RunStatus.RUNNING and run.progress is None:
        st.info("The trainer is starting.", icon=":material/play_circle:")
    elif run.status is RunStatus.CANCELLED:
        saved = "It can be resumed." if run.can_resume else ""
        st.info(f"This run was stopped. {saved}", icon=":material/cancel:")
    if run.progress is not None and run.status in {RunStatus.RUNNING, RunStatus.STOPPING}:
        with st.container(key="progress"):
            progress_bar(run.progress)


def _figures(run: RunDetail) -> dict[str, str]:
    """Accuracy, counts and times, as far as known; of a live run, so far."""
    so_far = "" if run.status in RUN_ENDED else " so far"
    summary, figures = run.summary, {}
    if "accuracy" in summary:
        figures[f"Accuracy{so_far}"] = percent(summary["accuracy"])
    if "num_questions" in summary:
        figures[f"Questions{so_far}"] = count(summary["num_questions"])
    if "truncated" in summary:
        figures["Truncated"] = percent(summary["truncated"])
    if "mean_completion_tokens" in summary:
        figures["Mean tokens"] = f"{summary['mean_completion_tokens']:,.1f}"
    if (seconds := run_seconds(run, datetime.now(UTC))) is not None:
        figures["Duration"] = duration(seconds)
    if run.num_attempts:
        figures["Attempt"] = str(run.num_attempts)
    newest = run.attempts[-1] if run.attempts else None
    if newest and newest.worker:
        figures["Worker"] = newest.worker + (f", slot {newest.slot}" if newest.slot else "")
    return figures


def failure_panel(run: RunDetail) -> None:
    """Why the run failed: cause, what the trainer said, the way out, the traceback."""
    if run.status is not RunStatus.FAILED:
        return
    cause = run.cause_text or (CAUSE_TEXT[run.cause] if run.cause else "no cause was reported")
    lines = [f"**Failed: {sentence(cause)}.**"]
    if run.failure:
        item = run.failure
        lines.append(api.item_text(item.field, item.value, item.message, item.way_out))
    if run.exit_code is not None:
        lines.append(escape_markdown(exit_words(run.exit_code)))
    with st.container(key="failure"):
        st.error("\n\n".join(lines), icon=":material/error:")
        if run.traceback:
            with st.expander("Last traceback", key="traceback"):
                st.code(run.traceback, language=None, wrap_lines=True)


def exit_words(code: int) -> str:
    """An exit code in words; negative is minus the signal."""
    return f"The trainer was ended by signal {-code}." if code < 0 else f"Exit code {code}."
