"""Opening a session: a checkpoint's usual columns, or those of an evaluation; and the sessions that are there."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from backend.api.schemas import CheckpointOut, RunDetail, TrySessionDetail, TrySessionOut, TryStatus
from dashboard.parts import api
from dashboard.parts.components import time_caption
from dashboard.parts.foreign_text import escape_markdown, one_line, sentence
from dashboard.parts.language import mark, plural, t
from memgen.contract.stages import STAGES

OFFERED = 50  # checkpoints, the newest
LISTED = 10  # sessions, the newest
LONGEST_ANSWER = 512
_KEY = "try_open_key"
SHARED = ("preset", "revision", "data", "max_prompt_length", "max_completion_length", "dtype", "seed")
"""What the base has of an evaluation that stands beside it."""


def opening_form(checkpoint: int | None) -> None:
    """Choose a checkpoint, a data set whose way of asking is taken, and how long answers may get."""
    with api.page_errors():
        found = api.client().checkpoints(limit=OFFERED, also=[checkpoint] if checkpoint is not None else [])
    usable = {one.id: one for one in found.items if one.usable}
    if not usable:
        _nothing_to_try()
        return
    with st.container(border=True, key="open_try"):
        st.session_state.setdefault("try_checkpoint", checkpoint if checkpoint in usable else next(iter(usable)))
        chosen = st.selectbox(
            t("Checkpoint"), list(usable), key="try_checkpoint", format_func=lambda number: _words(usable[number])
        )
        left, right = st.columns(2)
        names = [one.name for one in api.data_sets().items]
        usual = usable[chosen].data
        data = left.selectbox(
            t("Ask as in"), names, index=names.index(usual) if usual in names else 0, key=f"try_data_{chosen}",
            help=t("The data set whose prompt stands before each question, and whose kind of answer counts."),
        )  # fmt: skip
        longest = right.number_input(
            t("Longest answer"), min_value=1, max_value=32_768, value=LONGEST_ANSWER, key="try_longest",
            help=t("Tokens after which an answer is cut."),
        )  # fmt: skip
        if st.button(t("Open a session"), key="open_session", type="primary", icon=":material/forum:"):
            shared = {"data": data, "max_completion_length": int(longest)}
            _open(lambda key: api.client().open_try(checkpoint=chosen, shared=shared, key=key))


def open_for_runs(run: RunDetail, beside: RunDetail | None) -> None:
    """Offer the columns of two evaluations; or of one, the base in front of what it measures."""
    columns = columns_of(run.config) if beside is None else [dict(run.config), dict(beside.config)]
    with st.container(border=True, key="open_try_run"):
        if beside is not None:
            words = mark("Two columns answer exactly as runs {first} and {second} do.")
            st.write(t(words, first=run.id, second=beside.id))
        elif len(columns) == 1:
            st.write(t("One column answers exactly as run {number} does.", number=run.id))
        else:
            st.write(t("The base, and a column that answers exactly as run {number} does.", number=run.id))
        if st.button(t("Open a session"), key="open_run_session", type="primary", icon=":material/forum:"):
            _open(lambda key: api.client().open_try(columns, key=key))


def columns_of(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The column of an evaluation, the base in front where it starts from a checkpoint."""
    base = {name: config[name] for name in SHARED if config.get(name) is not None} | {"stage": STAGES[0].name}
    return [*([base] if config.get("checkpoint") else []), dict(config)]


def _open(open_session: Callable[[str], TrySessionDetail]) -> None:
    key = st.session_state.setdefault(_KEY, uuid.uuid4().hex)  # a click that Streamlit repeats opens one session
    opened: list[TrySessionDetail] = []
    if api.attempt(lambda: opened.append(open_session(key))):
        st.session_state.pop(_KEY, None)
        st.query_params["session"] = str(opened[0].id)
        st.rerun()


def sessions_list(sessions: Sequence[TrySessionOut]) -> None:
    """The newest sessions, each with the way to it."""
    if not sessions:
        return
    st.subheader(t("Sessions"), anchor=False)
    for one in sessions[:LISTED]:
        with st.container(horizontal=True, vertical_alignment="center", key=f"session_{one.id}"):
            words = ", ".join(column.label for column in one.columns)
            st.page_link(
                "app_pages/try_out.py", label=f"**{one.id}** {escape_markdown(words)}", icon=":material/forum:",
                query_params={"session": str(one.id)},
            )  # fmt: skip
            st.caption(plural("{n} question", "{n} questions", one.num_asked), width="content")
            time_caption(mark("opened {ago}"), one.created_at)
            if one.status is not TryStatus.ENDED:
                st.caption(sentence(one.says), width="content")


def _words(one: CheckpointOut) -> str:
    parts = [str(one.id), one.made_by, one.preset.rpartition("/")[-1], one.note, " + ".join(one.trained)]
    return " · ".join(one_line(part) for part in parts if part)


def _nothing_to_try() -> None:
    st.info(
        t("No checkpoint is there yet: a training leaves one, or one is added from outside."),
        icon=":material/deployed_code:",
    )
    st.page_link("app_pages/checkpoints.py", label=t("Checkpoints"), icon=":material/deployed_code:")
