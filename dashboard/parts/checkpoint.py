"""What a checkpoint is, as pages show it: facts and files, and the way to it."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from backend.api.schemas import CheckpointOut
from dashboard.parts.components import facts
from dashboard.parts.foreign_text import plain_frame, sentence, visible
from dashboard.parts.text import MISSING, count, size, weights_words
from memgen.contract.stage import Next
from memgen.contract.stages import find_stage, next_of
from memgen.contract.titles import title_of, words_of


def origin_link(words: str, checkpoint_id: int, *, outside: bool) -> None:
    """Link to a checkpoint after some words: the page of its training, or the list with one that came from outside."""
    if outside:
        st.page_link(
            "app_pages/checkpoints.py",
            label=f"{words} checkpoint {checkpoint_id} from outside",
            icon=":material/download:",
            query_params={"checkpoint": str(checkpoint_id)},
        )
        return
    st.page_link(
        "app_pages/run.py",
        label=f"{words} checkpoint of run {checkpoint_id}",
        icon=":material/deployed_code:",
        query_params={"run": str(checkpoint_id), "tab": "Checkpoint"},
    )


def next_from(checkpoint: CheckpointOut) -> Sequence[Next]:
    """What can be launched from it, the usual thing first."""
    stage = find_stage(checkpoint.stage)
    return stage.next if stage is not None else next_of(checkpoint.kind or "", checkpoint.trained)


def launch_links(checkpoint: CheckpointOut) -> None:
    """Links to what can be launched from it."""
    for one in next_from(checkpoint):
        st.page_link(
            "app_pages/launch.py",
            label=one.label,
            icon=f":material/{one.icon}:",
            query_params={"what": one.form, "checkpoint": str(checkpoint.id)},
        )


def checkpoint_facts(checkpoint: CheckpointOut) -> None:
    """What it is, why it can't be used, its folder and its files."""
    if checkpoint.reason:
        st.warning(sentence(checkpoint.reason), icon=":material/warning:")
    facts(facts_of(checkpoint))
    if checkpoint.latents:
        st.caption("Latents")
        facts({title_of(name): words_of(name, value) for name, value in checkpoint.latents.items()})
    if checkpoint.folder:
        st.caption("Folder, relative to the home folder")
        st.code(visible(checkpoint.folder), language=None, wrap_lines=True)
    st.caption("Files with their sha256, checked just now")
    st.dataframe(
        files_frame(checkpoint), hide_index=True, key="checkpoint_files", placeholder="", height="content",
        alt="Files of the checkpoint with their hashes",
    )  # fmt: skip


def facts_of(checkpoint: CheckpointOut) -> dict[str, str]:
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
