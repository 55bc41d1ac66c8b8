"""Pipeline: one pipeline, `?pipeline=ID`, with its steps in their order."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import PipelineOut, PipelinesOut
from dashboard.parts import api
from dashboard.parts.components import archived_badge, status_badge
from dashboard.parts.focus import give_to_title
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import mark, t
from dashboard.parts.tag_choice import tags_popover
from dashboard.pipeline.actions import pipeline_actions
from dashboard.pipeline.steps import live_steps


def load() -> PipelineOut:  # noqa: RET503 (st.stop does not return)
    """The pipeline of the address; without one, or with one that does not exist, the page ends here."""
    asked = st.query_params.get("pipeline", "")
    if not asked:
        st.info(t("No pipeline is chosen."), icon=":material/list:")
    elif not (asked.isascii() and asked.isdecimal() and len(asked) < 16):
        st.error(
            t("{text} is not the number of a pipeline.", text=escape_markdown(asked[:100])), icon=":material/error:"
        )
    else:
        with api.page_errors():
            try:
                return api.client().pipeline(int(asked))
            except ApiError as error:
                if error.problem.status != 404:
                    raise
                st.error(
                    t("There is no pipeline {number}; it may have been deleted.", number=asked), icon=":material/error:"
                )
    st.page_link("app_pages/pipelines.py", label=t("All pipelines"), icon=":material/arrow_back:")
    st.stop()


def _tag(pipeline_id: int, add: Sequence[str], remove: Sequence[str], _: str | None) -> PipelinesOut:
    return api.client().tag_pipelines([pipeline_id], add=add, remove=remove, confirm=True)


def title(pipeline: PipelineOut) -> None:
    """Number, status, model, data, note, tags."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="pipeline_title"):
        st.title(t("Pipeline {number}", number=pipeline.id), width="content", anchor=False)
        status_badge(pipeline.status.value)
        if pipeline.archived:
            archived_badge()
    st.markdown(escape_markdown(f"{pipeline.preset} · {pipeline.data}"))
    if pipeline.note:
        st.caption(f":material/sticky_note_2: {escape_markdown(pipeline.note)}")
    tags_popover(pipeline.id, pipeline.tags, partial(_tag, pipeline.id), grouped=False)
    for words, other in (
        (mark("mends pipeline {number}"), pipeline.spec.get("fixes")),
        (mark("is mended by pipeline {number}"), pipeline.fixed_by),
    ):
        if other is not None:
            st.page_link(
                "app_pages/pipeline.py", label=t(words, number=other), icon=":material/build:",
                query_params={"pipeline": str(other)},
            )  # fmt: skip


shown = load()
st.page_link("app_pages/pipelines.py", label=t("All pipelines"), icon=":material/arrow_back:")
title_column, actions_column = st.columns([2, 5], vertical_alignment="top")
with title_column:
    title(shown)
with actions_column:
    pipeline_actions(shown)
give_to_title()
live_steps(shown)
