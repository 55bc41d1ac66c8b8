"""What a checkpoint is, as pages show it: facts and files, and the way to it."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from backend.api.schemas import CheckpointOut
from dashboard.parts.components import facts
from dashboard.parts.foreign_text import plain_frame, sentence, visible
from dashboard.parts.language import t
from dashboard.parts.text import MISSING, count, size, weights_words
from memgen.contract.stage import Next
from memgen.contract.stages import find_stage, next_of
from memgen.contract.titles import title_of, words_of


def origin_link(checkpoint_id: int, *, outside: bool, of_run: str, from_outside: str) -> None:
    """Link to a checkpoint: the page of its training, or the list with one that came from outside.

    Args:
        checkpoint_id: of the checkpoint.
        outside: whether it came from outside.
        of_run: the link's words for one of a run, whose number stands in it as `{number}`.
        from_outside: the words for the other.
    """
    if outside:
        st.page_link(
            "app_pages/checkpoints.py",
            label=t(from_outside, number=checkpoint_id),
            icon=":material/download:",
            query_params={"checkpoint": str(checkpoint_id)},
        )
        return
    st.page_link(
        "app_pages/run.py",
        label=t(of_run, number=checkpoint_id),
        icon=":material/deployed_code:",
        query_params={"run": str(checkpoint_id), "tab": "Checkpoint"},
    )


def next_from(checkpoint: CheckpointOut) -> Sequence[Next]:
    """What can be launched from it, the usual thing first."""
    stage = find_stage(checkpoint.stage)
    return stage.next if stage is not None else next_of(checkpoint.kind or "", checkpoint.trained)


def try_link(**query: int) -> None:
    """Link to the page where checkpoints are asked questions.

    Args:
        query: what a session is opened with, e.g. `checkpoint=3`.
    """
    st.page_link(
        "app_pages/try_out.py",
        label=t("Try"),
        icon=":material/forum:",
        query_params={name: str(number) for name, number in query.items()},
    )


def ask_again_link(runs: Sequence[tuple[int, str]], index: int) -> None:
    """Link to the page where the question of an answer is asked again; none where a stage answers no single question.

    Args:
        runs: number and stage of the evaluation, or of two evaluations that have answered it.
        index: of the answer.
    """
    stages = [find_stage(stage) for _, stage in runs]
    if any(stage is None or stage.recipe is None for stage in stages):
        return
    names = dict(zip(("run", "beside"), (str(number) for number, _ in runs), strict=False))
    st.page_link(
        "app_pages/try_out.py", label=t("Ask this one again"), icon=":material/forum:",
        query_params=names | {"answer": str(index + 1)},
    )  # fmt: skip


def launch_links(checkpoint: CheckpointOut) -> None:
    """Links to what can be launched from it, and to asking it a question."""
    try_link(checkpoint=checkpoint.id)
    for one in next_from(checkpoint):
        st.page_link(
            "app_pages/launch.py",
            label=t(one.label),
            icon=f":material/{one.icon}:",
            query_params={"what": one.form, "checkpoint": str(checkpoint.id)},
        )


def checkpoint_facts(checkpoint: CheckpointOut) -> None:
    """What it is, why it can't be used, its folder and its files."""
    if checkpoint.reason:
        st.warning(sentence(checkpoint.reason), icon=":material/warning:")
    facts(facts_of(checkpoint))
    if checkpoint.latents:
        st.caption(t("Latents"))
        facts({t(title_of(name)): t(words_of(name, value)) for name, value in checkpoint.latents.items()})
    if checkpoint.folder:
        st.caption(t("Folder, relative to the home folder"))
        st.code(visible(checkpoint.folder), language=None, wrap_lines=True)
    st.caption(t("Files with their sha256, checked just now"))
    st.dataframe(
        files_frame(checkpoint), hide_index=True, key="checkpoint_files", placeholder="", height="content",
        alt=t("Files of the checkpoint with their hashes"),
    )  # fmt: skip


def facts_of(checkpoint: CheckpointOut) -> dict[str, str]:
    """Names and values of what a checkpoint is, plain text."""
    return {
        t("Hash"): checkpoint.content_hash or MISSING,
        t("Base"): checkpoint.preset,
        **(
            {t("Weights"): weights_words(weights)}
            if (weights := checkpoint.base_model or "") not in {"", checkpoint.preset}
            else {}
        ),
        t("Trained"): ", ".join(map(t, checkpoint.trained)) or t("nothing"),
        **({t("Ablation"): checkpoint.ablation} if checkpoint.ablation else {}),
        t("Step"): count(checkpoint.step),
        t("Size"): size(checkpoint.size_bytes),
    }


def files_frame(checkpoint: CheckpointOut) -> pd.DataFrame:
    """One row per file."""
    rows = [{t("File"): name, "sha256": digest} for name, digest in sorted(checkpoint.files.items())]
    return plain_frame(rows, [t("File"), "sha256"])
