"""The ways from a run to what it belongs to: its parent, its pipeline, its descent, a comparison."""

import streamlit as st

from backend.api.schemas import RunDetail
from dashboard.parts.checkpoint import origin_link, try_link
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import mark, t
from dashboard.parts.link_row import link_row
from memgen.contract.pipeline import STEPS
from memgen.contract.stages import find_stage, trains
from memgen.contract.status import RunStatus


def run_links(run: RunDetail) -> None:
    """Links that fit the run, in one row."""
    with link_row("run"):
        if run.parent_id is not None:
            origin_link(
                run.parent_id,
                outside=run.parent_outside,
                of_run=mark("starts from the checkpoint of run {number}"),
                from_outside=mark("starts from the checkpoint {number} from outside"),
            )
        if run.pipeline_id is not None:
            st.page_link(
                "app_pages/pipeline.py",
                label=escape_markdown(pipeline_words(run.pipeline_id, run.step)),
                icon=":material/linear_scale:",
                query_params={"pipeline": str(run.pipeline_id)},
            )
        for words, other in (
            (mark("mends run {number}"), run.fixes_id),
            (mark("is mended by run {number}"), run.fixed_by),
        ):
            if other is not None:
                st.page_link(
                    "app_pages/run.py", label=t(words, number=other), icon=":material/build:",
                    query_params={"run": str(other)},
                )  # fmt: skip
        lineage_link(run.id)
        if (stage := find_stage(run.stage)) is not None and stage.recipe is not None:
            try_link(run=run.id)
        if run.status is RunStatus.SUCCEEDED and not trains(run.stage):
            st.page_link(
                "app_pages/compare.py",
                label=t("Compare"),
                icon=":material/compare_arrows:",
                query_params={"runs": str(run.id)},
            )


def lineage_link(run_id: int) -> None:
    """Link to the descent of a run."""
    st.page_link(
        "app_pages/lineage.py", label=t("Lineage"), icon=":material/account_tree:", query_params={"run": str(run_id)}
    )


def pipeline_words(pipeline_id: int, step: str | None) -> str:
    """`pipeline 2, Weaver SFT`."""
    labels: dict[str, str] = {name: one.label for name, one in STEPS.items()}
    words = t("pipeline {number}", number=pipeline_id)
    return f"{words}, {t(labels.get(step, step))}" if step else words
