"""Pieces of an answer that several pages show. All model text is shown as plain text."""

import streamlit as st

from dashboard.parts.components import Colour
from dashboard.parts.foreign_text import escape_markdown, visible
from dashboard.parts.language import plural, t
from dashboard.parts.text import duration
from memgen.contract.answers import AnswerRecord
from memgen.contract.titles import title_of

LONG_TEXT, TEXT_PIXELS = 900, 300


def answer_facts(answer: AnswerRecord, title: str = "") -> None:
    """Verdicts as badges, then tokens, seconds and scores, in one row."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if title:
            st.markdown(f"**{title}**", width="content")
        for word, colour, icon in verdicts(answer):
            st.badge(word, color=colour, icon=f":material/{icon}:")
        st.caption(facts_line(answer), width="content")


def plain_text(title: str, text: str) -> None:
    """Foreign text under a title, as it is; a long one scrolls."""
    st.caption(escape_markdown(title))
    st.code(
        visible(text) or t("(empty)"),
        language=None,
        wrap_lines=True,
        height=TEXT_PIXELS if len(text) > LONG_TEXT else "content",
    )


def verdicts(answer: AnswerRecord) -> list[tuple[str, Colour, str]]:
    """Word, colour and icon of each thing to know about an answer."""
    right = answer.metrics.get("accuracy", 0.0) >= 1.0
    found: list[tuple[str, Colour, str]] = [(t("right"), "green", "check") if right else (t("wrong"), "red", "close")]
    if answer.truncated:
        found.append((t("truncated"), "orange", "content_cut"))
    if answer.metrics.get("format_ok", 1.0) < 1.0:
        found.append((t("no box"), "gray", "crop_free"))
    return found


def facts_line(answer: AnswerRecord) -> str:
    """Tokens, seconds and the other scores, as markdown."""
    parts = [plural("{n} token", "{n} tokens", answer.completion_tokens), duration(answer.seconds)]
    shown = {"accuracy", "accuracy_strict", "format_ok"}  # the badges say so
    parts += [f"{t(title_of(name))} {value:g}" for name, value in sorted(answer.metrics.items()) if name not in shown]
    return escape_markdown(" · ".join(parts))


def question_of(answer: AnswerRecord) -> str:
    """The question; of an answer of an earlier version, which lacks it, the user's last turn."""
    if answer.question is not None:
        return answer.question.strip()
    turns = [message.content for message in answer.prompt if message.role == "user"]
    return turns[-1].strip() if turns else t("(no question)")
