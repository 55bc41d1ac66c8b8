"""A checkpoint that came from outside: what it is, where to go from it, and how it is deleted."""

import streamlit as st

from backend.api.schemas import CheckpointOut
from dashboard.parts import api
from dashboard.parts.checkpoint import checkpoint_facts, launch_links
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import plural, t
from dashboard.parts.link_row import link_row
from dashboard.parts.text import size


def show_outside(checkpoint: CheckpointOut) -> None:
    """Facts, files and links; `?checkpoint=ID` opens it."""
    with st.container(border=True, key="outside"):
        st.subheader(
            t("Checkpoint {number}, {origin}", number=checkpoint.id, origin=escape_markdown(checkpoint.made_by)),
            anchor=False,
        )
        if checkpoint.note:
            st.write(escape_markdown(checkpoint.note))
        with link_row("outside"):
            launch_links(checkpoint)
            st.page_link(
                "app_pages/lineage.py",
                label=t("Lineage"),
                icon=":material/account_tree:",
                query_params={"run": str(checkpoint.id)},
            )
        checkpoint_facts(checkpoint)
        with st.container(horizontal=True):
            if st.button(t("Close"), key="close_outside", icon=":material/close:"):
                st.query_params.pop("checkpoint", None)
                st.rerun()
            if st.button(t("Delete"), key="delete_outside", icon=":material/delete:"):
                st.dialog(t("Delete this checkpoint?"), width="medium")(_delete_dialog)(checkpoint.id)


def _delete_dialog(checkpoint_id: int) -> None:
    with api.part_errors():
        preview = api.client().delete_checkpoint(checkpoint_id)
        st.write(t("Checkpoint {number} goes for good: {size}.", number=checkpoint_id, size=size(preview.bytes)))
        if preview.runs:
            st.write(plural("{n} run started from it and stays.", "{n} runs started from it and stay.", preview.runs))
        with st.container(horizontal=True):
            confirmed = st.button(t("Delete for good"), key="confirm_delete", type="primary")
            if st.button(t("Keep it"), key="cancel_delete"):
                st.rerun()
        if confirmed:
            api.client().delete_checkpoint(checkpoint_id, confirm=True)
            st.query_params.pop("checkpoint", None)
            st.rerun()
