"""Which files rows come from: sent from this browser, lying where the operator allows, or on the hub."""

from io import BytesIO
from typing import Any, get_args

import streamlit as st
from pydantic import ValidationError

from backend.api.schemas import GivenFile
from dashboard.parts import api
from dashboard.parts.foreign_text import one_line
from dashboard.parts.language import mark, t
from memgen.contract.data_sets.hub_rows import HubRows
from memgen.contract.data_sets.record import Split

SENT = "data_set_sent"  # ids of uploads by the browser's file
ROUND = "data_set_round"  # a box of files of its own for each data set
ENDINGS = ["jsonl", "ndjson", "json", "csv", "tsv", "parquet", "pq"]
BROWSER, MACHINE, HUB = mark("From this computer"), mark("From the backend's machine"), mark("From the hub")
BY_ROWS = mark("by rows")


def choose_files() -> list[GivenFile]:
    """The files that the user chose, each sent to the backend once."""
    with api.page_errors():
        allowed = api.client().data_files()
    places = [BROWSER, *([MACHINE] if allowed.paths else []), *([HUB] if allowed.hub else [])]
    where: str | None = BROWSER
    if len(places) > 1:
        where = st.segmented_control(
            t("Where the rows lie"), places, key="rows_where", format_func=t, required=True, default=BROWSER
        )
    if where == HUB:
        return _of_hub(allowed.hub)
    if where == MACHINE:
        path = st.selectbox(
            t("File or folder"), allowed.paths, index=None, key="rows_path", format_func=one_line,
            help=t("What the operator lets users read. Files of a folder that are named train, validation and test are "
            "these splits."),
        )  # fmt: skip
        return [GivenFile(path=path)] if path else []
    files = st.file_uploader(
        t("Files"), ENDINGS, accept_multiple_files=True, key=f"rows_files_{st.session_state.setdefault(ROUND, 0)}",
        help=t("JSON lines, CSV or Parquet. Larger files go through `memgen-studio data-set add`."),
    )  # fmt: skip
    return [given for file in files or [] if (given := _given(file, several=len(files or []) > 1)) is not None]


def forget_files() -> None:
    """The uploads have become a data set, so they are no more: the next ones begin with an empty box."""
    st.session_state.pop(SENT, None)
    st.session_state[ROUND] = st.session_state.get(ROUND, 0) + 1


def _of_hub(repositories: list[str]) -> list[GivenFile]:
    first, second, third = st.columns(3)
    repository = first.selectbox(t("Data set of the hub"), repositories, index=None, key="hub_repository")
    config = second.text_input(t("Configuration"), key="hub_config", max_chars=100, placeholder=t("the only one"))
    revision = third.text_input(t("Revision"), key="hub_revision", max_chars=100, placeholder=t("the newest"))
    if repository is None:
        return []
    try:
        rows = HubRows(repository=repository, config=config or None, revision=revision or None)
    except ValidationError:
        st.error(t("A configuration or a revision can't be named so."), icon=":material/error:")
        return []
    return [GivenFile(hub=rows)]


def _given(file: Any, *, several: bool) -> GivenFile | None:
    """One file of the browser; None where the backend did not take it."""
    split: Split | None = None
    if several:
        options = (BY_ROWS, *get_args(Split))
        chosen = st.selectbox(
            t("Rows of {file} are", file=one_line(file.name)), options, format_func=t,
            index=options.index(_guess(file.name)), key=f"rows_split_{file.file_id}",
        )  # fmt: skip
        split = next((one for one in get_args(Split) if one == chosen), None)
    sent: dict[str, str] = st.session_state.setdefault(SENT, {})
    if file.file_id not in sent:
        with api.part_errors():
            sent[file.file_id] = _send(file.name, file.getvalue())
    upload = sent.get(file.file_id)
    return GivenFile(upload=upload, split=split) if upload is not None else None


def _send(name: str, data: bytes) -> str:
    """Send a file to the backend; its id there."""
    bar = st.progress(0.0, t("Sending the file to the backend"))

    def show(done: int) -> None:
        bar.progress(done / len(data), t("Sending the file to the backend"))

    out = api.client().upload(lambda: BytesIO(data), name, len(data), show)
    bar.empty()
    return out.id


def _guess(name: str) -> str:
    """What a file is by its name, where that says so."""
    return next((split for split in get_args(Split) if name.lower().startswith(split)), BY_ROWS)
