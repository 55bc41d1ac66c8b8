"""What was chosen in the picture of a lineage: what it is, its note, and what can be launched from it."""

from collections.abc import Collection

import streamlit as st

from backend.api.schemas import LineageNode, OutsideNode
from dashboard.lineage.words import parent_words, status_words
from dashboard.parts.components import facts
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import t
from dashboard.parts.link_row import link_row
from dashboard.parts.run_note import run_note
from dashboard.parts.text import accuracy_words
from memgen.contract.stages import find_stage


def chosen_run(node: LineageNode, outside: Collection[int]) -> bool:
    """The panel of a run; whether its note was changed just now.

    Args:
        node: the run.
        outside: numbers of checkpoints from outside.
    """
    with st.container(border=True, key="lineage_chosen_box"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{escape_markdown(f'{node.run_id} · {node.title}')}**", width="content")
            noted = run_note(node.run_id, node.note)
        facts(_facts(node, outside))
        with link_row("lineage_chosen"):
            st.page_link(
                "app_pages/run.py", label=t("Open run {number}", number=node.run_id), icon=":material/monitoring:",
                query_params={"run": str(node.run_id)},
            )  # fmt: skip
            if node.pipeline_id is not None:
                st.page_link(
                    "app_pages/pipeline.py", label=t("Pipeline {number}", number=node.pipeline_id),
                    icon=":material/linear_scale:", query_params={"pipeline": str(node.pipeline_id)},
                )  # fmt: skip
            st.page_link(
                "app_pages/lineage.py", label=t("Only its family"), icon=":material/account_tree:",
                query_params={"run": str(node.run_id)},
            )  # fmt: skip
            st.page_link(
                "app_pages/launch.py", label=t("Launch again with these settings"), icon=":material/replay:",
                query_params={"from": str(node.run_id)},
            )  # fmt: skip
        _branch(node)
    return noted


def _branch(node: LineageNode) -> None:
    """What can be launched from the checkpoint that a training has left."""
    stage = find_stage(node.stage)
    if node.content_hash is None or stage is None:
        return
    st.caption(t("Branch from its checkpoint"))
    with link_row("lineage_branch"):
        for one in stage.next:
            st.page_link(
                "app_pages/launch.py", label=t(one.label), icon=f":material/{one.icon}:",
                query_params={"what": one.form, "checkpoint": str(node.run_id)},
            )  # fmt: skip


def _facts(node: LineageNode, outside: Collection[int]) -> dict[str, str]:
    told = {
        t("Status"): status_words(node),
        t("Starts from"): parent_words(node, outside),
        t("Model"): node.preset.rpartition("/")[-1],
        t("Data"): node.data,
    }
    if node.content_hash:
        told[t("Checkpoint")] = node.content_hash
    if node.accuracy is not None:
        told[t("Accuracy")] = accuracy_words(node.accuracy, node.num_questions) + node.scorer_mark
    return told


def chosen_outside(one: OutsideNode) -> None:
    """The panel of a checkpoint from outside."""
    with st.container(border=True, key="lineage_chosen_box"):
        st.markdown(f"**{escape_markdown(f'{one.id} · {one.name}')}**")
        facts({t("Model"): one.preset, t("Checkpoint"): one.content_hash, t("Note"): one.note})
        with link_row("lineage_chosen"):
            st.page_link(
                "app_pages/checkpoints.py", label=t("Open it, and branch from it"), icon=":material/download:",
                query_params={"checkpoint": str(one.id)},
            )  # fmt: skip
