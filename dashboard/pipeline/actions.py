"""What can be done with a pipeline: continue, stop, compare, see its lineage, run all again."""

import streamlit as st

from backend.api.schemas import PipelineOut
from dashboard.parts import api
from dashboard.parts.foreign_text import sentence
from dashboard.parts.language import t
from dashboard.parts.run_actions import choose_stop_mode, fix_button
from dashboard.parts.shortcuts import STOP
from memgen.contract.stages import trains
from memgen.contract.status import PipelineStatus, RunStatus


def pipeline_actions(pipeline: PipelineOut) -> None:
    """The buttons that fit the pipeline's status."""
    finished = finished_evaluations(pipeline)
    with st.container(horizontal=True, horizontal_alignment="right", gap="small", key="pipeline_actions"):
        if pipeline.status is PipelineStatus.RUNNING and st.button(
            t("Stop"), key="stop", icon=":material/stop:", shortcut=STOP.key
        ):
            st.dialog(t("Stop this pipeline?"))(_stop_dialog)(pipeline)
        broken = next((one.run for one in pipeline.steps if one.can_be_fixed), None)
        if broken is not None:
            fix_button(broken.id)
        _continue(pipeline, is_first=broken is None)
        if st.button(
            t("Compare"),
            key="compare",
            icon=":material/compare_arrows:",
            disabled=len(finished) < 2,
            help=None if len(finished) > 1 else t("Two finished evaluations are needed."),
        ):
            st.switch_page("app_pages/compare.py", query_params={"runs": ",".join(map(str, finished))})
        if st.button(t("Lineage"), key="lineage", icon=":material/account_tree:"):
            st.switch_page("app_pages/lineage.py", query_params={"pipeline": str(pipeline.id)})
        _archive(pipeline)
        if st.button(t("Run all again with these settings"), key="run_all_again", icon=":material/replay:"):
            st.switch_page("app_pages/launch.py", query_params={"what": "all", "from_pipeline": str(pipeline.id)})


def _archive(pipeline: PipelineOut) -> None:
    """Into the archive with its runs, or out of it, once nothing of it runs or waits."""
    if pipeline.status is PipelineStatus.RUNNING:
        return
    label, icon = (t("Take out of the archive"), "unarchive") if pipeline.archived else (t("Archive"), "archive")
    moved = st.button(
        label, key="archive", icon=f":material/{icon}:",
        help=t("With the runs that it submitted; lists, totals and offers leave out what is in the archive."),
    )  # fmt: skip
    move = api.client().archive_pipelines
    if moved and api.attempt(lambda: move([pipeline.id], archived=not pipeline.archived, confirm=True)):
        st.rerun()


def finished_evaluations(pipeline: PipelineOut) -> list[int]:
    """Runs with answers that can be compared, in the order of the steps."""
    return [
        one.run.id
        for one in pipeline.steps
        if one.run is not None and one.run.status is RunStatus.SUCCEEDED and not trains(one.run.stage)
    ]


def _continue(pipeline: PipelineOut, *, is_first: bool) -> None:
    if pipeline.status is PipelineStatus.SUCCEEDED:
        return
    clicked = st.button(
        t("Continue"),
        key="continue",
        icon=":material/play_arrow:",
        type="primary" if pipeline.can_continue and is_first else "secondary",
        disabled=not pipeline.can_continue,
        help=sentence(pipeline.continue_reason) or None,
    )
    if clicked and api.attempt(lambda: api.client().continue_pipeline(pipeline.id)):
        st.rerun()


def _stop_dialog(pipeline: PipelineOut) -> None:
    st.write(
        t(
            "Pipeline {number}: the step that runs is stopped, and those that wait do not start. "
            "Finished steps stay, and it can be continued later. How should the running step end?",
            number=pipeline.id,
        )
    )
    mode = choose_stop_mode()
    with st.container(horizontal=True):
        confirmed = st.button(t("Stop the pipeline"), key="confirm_stop", type="primary")
        if st.button(t("Cancel"), key="cancel_stop"):
            st.rerun()
    if confirmed and api.attempt(lambda: api.client().stop_pipeline(pipeline.id, mode)):
        st.rerun()
