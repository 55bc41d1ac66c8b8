"""What can be done with a run: stop, resume, retry, rescore, launch again, archive, delete."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import RunDetail
from dashboard.parts import api
from dashboard.parts.foreign_text import sentence, visible
from dashboard.parts.language import mark, t
from dashboard.parts.rescoring import rescore_button
from dashboard.parts.shortcuts import STOP
from dashboard.parts.text import size
from memgen.contract.fixing import is_to_fix
from memgen.contract.stages import trains
from memgen.contract.status import RUN_ENDED, RUN_LIVE, RUN_RESTARTABLE, RunStatus, StopMode

STOP_WORDS: dict[StopMode, tuple[str, str]] = {
    StopMode.SAVE: (
        mark("Save and stop"),
        mark("Ends at the next step and keeps what is done; the run can be resumed."),
    ),
    StopMode.DISCARD: (mark("Discard"), mark("Ends at the next step without saving; a resume may have to start over.")),
    StopMode.FORCE: (mark("Force"), mark("Kills the trainer and its children at once; for a run that does not react.")),
}
NOT_FOUND = 404
LEFT_BEHIND = "left_behind"
"""In the session: files of a run just deleted that could not be removed."""


def actions(run: RunDetail) -> None:
    """The buttons that fit the run's status."""
    with st.container(horizontal=True, horizontal_alignment="right", gap="small", key="actions"):
        if run.status in RUN_LIVE and st.button(t("Stop"), key="stop", icon=":material/stop:", shortcut=STOP.key):
            st.dialog(t("Stop this run?"))(_stop_dialog)(run)
        if run.status in RUN_RESTARTABLE:
            _start_again(run)
        with st.popover(t("More"), icon=":material/more_horiz:", key="more"):
            _rarer(run)


def _rarer(run: RunDetail) -> None:
    """What is done now and then."""
    if st.button(t("Launch again with these settings"), key="launch_again", icon=":material/replay:", width="stretch"):
        st.switch_page("app_pages/launch.py", query_params={"from": str(run.id)})
    rescore_button(run)
    if run.status in RUN_ENDED:
        _archive_button(run)
    if run.status in RUN_ENDED and st.button(t("Delete"), key="delete", icon=":material/delete:", width="stretch"):
        st.dialog(t("Delete this run?"), width="medium")(_delete_dialog)(run)


def _archive_button(run: RunDetail) -> None:
    label, icon = (
        (t("Take out of the archive"), "unarchive") if run.archived else (t("Put into the archive"), "archive")
    )
    if st.button(
        label,
        key="archive",
        icon=f":material/{icon}:",
        width="stretch",
        help=t("Lists, totals and offers leave out what is in the archive; nothing else changes."),
    ) and api.attempt(lambda: api.client().archive_runs([run.id], archived=not run.archived, confirm=True)):
        st.rerun()  # fmt: skip


def fix_button(run_id: int) -> None:
    """The way to a form that mends a run which running it once more would not."""
    if st.button(
        t("Fix and continue"), key="fix", icon=":material/build:", type="primary",
        help=t("Opens its settings with those marked that the failure names. What mends it is a new run: one goes on "
        "exactly only with the settings that it began with."),
    ):  # fmt: skip
        st.switch_page("app_pages/launch.py", query_params={"fix": str(run_id)})


def _start_again(run: RunDetail) -> None:
    is_to_be_fixed = run.status is RunStatus.FAILED and is_to_fix(run.config, run.failure)
    if is_to_be_fixed:
        fix_button(run.id)
    resumed = st.button(
        t("Resume"),
        key="resume",
        icon=":material/play_arrow:",
        type="primary" if run.can_resume and not is_to_be_fixed else "secondary",
        disabled=not run.can_resume,
        help=sentence(run.resume_reason) or None,
    )
    if resumed and api.attempt(lambda: api.client().resume(run.id)):
        st.rerun()
    retried = st.button(t("Retry"), key="retry", icon=":material/restart_alt:", help=t("A new attempt from the start."))
    if retried and api.attempt(lambda: api.client().retry(run.id)):
        st.rerun()


def choose_stop_mode() -> StopMode:
    """How a stop treats what was computed, each way with what it means."""
    chosen = st.radio(
        t("How to stop"),
        [choice.value for choice in StopMode],
        format_func=lambda choice: t(STOP_WORDS[StopMode(choice)][0]),
        captions=[t(STOP_WORDS[choice][1]) for choice in StopMode],
        key="stop_mode",
    )
    return StopMode(chosen)


def _stop_dialog(run: RunDetail) -> None:
    mode: StopMode = StopMode.SAVE
    if run.status is RunStatus.WAITING:
        st.write(
            t(
                "Run {number} waits for another run. It will not start, and what needs its checkpoint is skipped.",
                number=run.id,
            )
        )
    elif run.status is RunStatus.QUEUED:
        st.write(t("Run {number} has not started. It is taken out of the queue.", number=run.id))
    else:
        st.write(t("Run {number} is {status}. How should it end?", number=run.id, status=t(run.status.value)))
        mode = choose_stop_mode()
    with st.container(horizontal=True):
        confirmed = st.button(t("Stop the run"), key="confirm_stop", type="primary")
        if st.button(t("Cancel"), key="cancel_stop"):
            st.rerun()
    if confirmed and api.attempt(lambda: api.client().stop(run.id, mode)):
        st.rerun()


@contextmanager
def _while_it_is_there() -> Iterator[None]:
    """For a dialog about a run: where somebody else has deleted it meanwhile, the page below says so."""
    try:
        yield
    except ApiError as error:
        if error.problem.status != NOT_FOUND:
            raise
        st.rerun()


def _delete_dialog(run: RunDetail) -> None:
    with api.part_errors(), _while_it_is_there():
        preview = api.client().delete(run.id)
        gone = (
            mark("Run {number} goes for good, with its checkpoints, metrics, log and history.")
            if trains(run.stage)
            else mark("Run {number} goes for good, with its answers, metrics, log and history.")
        )
        st.write(t(gone, number=run.id))
        st.write(t("Files, {size}:", size=size(preview.size_bytes)))
        st.code(visible("\n".join(preview.paths)) or "no files", language=None, wrap_lines=True)
        with st.container(horizontal=True):
            confirmed = st.button(t("Delete for good"), key="confirm_delete", type="primary")
            if st.button(t("Keep it"), key="cancel_delete"):
                st.rerun()
        if confirmed:
            st.session_state[LEFT_BEHIND] = api.client().delete(run.id, confirm=True).left
            st.switch_page("app_pages/runs.py")
