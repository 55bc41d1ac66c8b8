"""Adding a checkpoint from outside: a folder of this computer is sent, looked at, and turned into our layout if need
be."""

from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

import streamlit as st

from backend.api.schemas import CheckpointCreate, CheckpointFile, CheckpointOut
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, one_line
from dashboard.parts.language import t
from memgen.contract.checkpoint_kinds import files_of_a_checkpoint

ADDED = "checkpoint_added"


def add_dialog() -> None:
    """Ask for a folder and what is known of it, and add it."""
    st.write(
        t(
            "Choose the checkpoint's folder on this computer: one that a training of MemGen Studio left, or one of "
            "the authors' layout (`projs.bin`, `weaver.bin`, `trigger.bin`, `weaver/`, `trigger/`). Runs can start "
            "from it as from any other; lineage says that it came from outside."
        )
    )
    files: Any = st.file_uploader(t("Folder"), accept_multiple_files="directory", key="checkpoint_folder")
    preset = st.selectbox(
        t("Model"), [one.name for one in api.presets()], index=None, key="checkpoint_preset", format_func=one_line,
        placeholder=t("as its manifest says"),
        help=t("The model that it was trained on. The authors' layout does not say; our manifest does where the "
        "weights came from the hub."),
    )  # fmt: skip
    data = st.text_input(
        t("Trained on"),
        key="checkpoint_data",
        max_chars=60,
        placeholder=t("unknown"),
        help=t("Shown in the lists, no more."),
    )
    note = st.text_input(t("Note"), key="checkpoint_note", max_chars=2000)
    by_path = {one.name: one for one in files or []}
    wanted = files_of_a_checkpoint(by_path)
    if files and len(wanted) < len(files):
        st.caption(
            t(
                "{n} of {total} files are no part of a checkpoint and stay here.",
                n=len(files) - len(wanted),
                total=len(files),
            )
        )
    with st.container(horizontal=True):
        confirmed = st.button(t("Add it"), key="confirm_add", type="primary", disabled=not wanted)
        if st.button(t("Cancel"), key="cancel_add"):
            st.rerun()
    if confirmed:
        with api.part_errors():
            st.session_state[ADDED] = _add({path: by_path[path] for path in wanted}, preset, data, note)
            st.rerun()


def _add(files: dict[str, Any], preset: str | None, data: str, note: str) -> CheckpointOut:
    """Send the files and have them looked at."""
    sent = []
    bar = st.progress(0.0, t("Sending the files"))
    for number, (path, file) in enumerate(files.items()):
        content = file.getvalue()

        def show(done: int, number: int = number, content: bytes = content) -> None:
            bar.progress((number + done / max(1, len(content))) / len(files), t("Sending the files"))

        out = api.client().upload(
            lambda content=content: BytesIO(content), PurePosixPath(path).name, len(content), show  # type: ignore[misc]
        )  # fmt: skip
        sent.append(CheckpointFile(upload=out.id, path=path))
    bar.progress(1.0, t("Checking the files; a checkpoint of the authors' layout is read with its base model"))
    parts = {PurePosixPath(path).parts[0] for path in files}
    name = parts.pop() if len(parts) == 1 else "a folder"
    return api.client().add_checkpoint(
        CheckpointCreate(files=sent, name=name, preset=preset, data=data.strip(), note=note.strip())
    )


def say_added() -> None:
    """After one was added: which number it has."""
    made: CheckpointOut | None = st.session_state.pop(ADDED, None)
    if made is not None:
        st.toast(
            t(
                "Checkpoint {number} was added: {parts} for {model}.",
                number=made.id,
                parts=escape_markdown(", ".join(map(t, made.trained))),
                model=escape_markdown(made.preset),
            ),
            icon=":material/check:",
        )
