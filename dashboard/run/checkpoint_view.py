"""What a finished training left, and what can be done with it."""

import pandas as pd
import streamlit as st

from backend.api.schemas import CheckpointOut, RunDetail
from dashboard.parts import api
from dashboard.parts.components import facts
from dashboard.parts.foreign_text import plain_frame, sentence, visible
from dashboard.parts.link_row import link_row
from dashboard.parts.text import MISSING, count, size, weights_words
from dashboard.run.links import lineage_link
from memgen.contract.stages import find_stage
from memgen.contract.titles import title_of


def checkpoint_view(run: RunDetail) -> None:
    """Links, facts, folder and files of the checkpoint."""
    with api.part_errors():
        checkpoint = api.client().checkpoint(run.id)
        next_links(checkpoint)
        if checkpoint.reason:
            st.warning(sentence(checkpoint.reason), icon=":material/warning:")
        facts(checkpoint_facts(checkpoint))
        if checkpoint.latents:
            st.caption("Latents")
            facts({title_of(name): str(value) for name, value in checkpoint.latents.items()})
        if checkpoint.folder:
            st.caption("Folder, relative to the home folder")
            st.code(visible(checkpoint.folder), language=None, wrap_lines=True)
        st.caption("Files with their sha256, checked just now")
        st.dataframe(
            files_frame(checkpoint), hide_index=True, key="checkpoint_files", placeholder="", height="content",
            alt="Files of the checkpoint with their hashes",
        )  # fmt: skip


def next_links(checkpoint: CheckpointOut) -> None:
    """What can be launched from the checkpoint, and its descent."""
    with link_row("checkpoint"):
        stage = find_stage(checkpoint.stage)
        for one in stage.next if stage else ():
            st.page_link(
                "app_pages/launch.py",
                label=one.label,
                icon=f":material/{one.icon}:",
                query_params={"what": one.form, "checkpoint": str(checkpoint.id)},
            )
        if checkpoint.parent_id is not None:
            st.page_link(
                "app_pages/run.py",
                label=f"Its parent, the checkpoint of run {checkpoint.parent_id}",
                icon=":material/deployed_code:",
                query_params={"run": str(checkpoint.parent_id), "tab": "Checkpoint"},
            )
        lineage_link(checkpoint.id)


def checkpoint_facts(checkpoint: CheckpointOut) -> dict[str, str]:
    """Names and values of what a checkpoint is, plain text."""
    return {
        "Hash": checkpoint.content_hash or MISSING,
        "Base": checkpoint.preset,
        **(
            {"Weights": weights_words(weights)}
            if (weights := checkpoint.base_model or "") not in {"", checkpoint.preset}
            else {}
        ),
        "Trained": ", ".join(checkpoint.trained) or "nothing",
        **({"Ablation": checkpoint.ablation} if checkpoint.ablation else {}),
        "Step": count(checkpoint.step),
        "Size": size(checkpoint.size_bytes),
    }


def files_frame(checkpoint: CheckpointOut) -> pd.DataFrame:
    """One row per file."""
    rows = [{"File": name, "sha256": digest} for name, digest in sorted(checkpoint.files.items())]
    return plain_frame(rows, ["File", "sha256"])
