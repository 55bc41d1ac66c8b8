"""The answers of a run, question by question. All model text is shown as plain text."""

import streamlit as st

from backend.api.schemas import AnswersOut, RunDetail
from dashboard.parts import api
from dashboard.parts.components import Colour
from dashboard.parts.foreign_text import escape_markdown, visible
from dashboard.parts.latents_view import latents_view
from dashboard.parts.pager import cursors_of, pager
from dashboard.parts.text import count, duration, words
from memgen.contract.answers import AnswerRecord
from memgen.contract.status import RUN_ENDED

SHOW: dict[str, str] = {
    "all": "All", "right": "Right", "wrong": "Wrong", "truncated": "Truncated", "no_box": "No box",
}  # fmt: skip
PAGE_SIZE = 10
REFRESH_SECONDS = 5
LONG_TEXT, TEXT_PIXELS = 900, 300


def answers_view(run: RunDetail) -> None:
    """Filter, search, pages; the counts move while the run is live."""
    live = run.status not in RUN_ENDED
    versions = [one.version for one in run.scorings]
    st.fragment(_answers, run_every=REFRESH_SECONDS if live else None)(run.id, live, versions)


def _answers(run_id: int, live: bool, versions: list[int]) -> None:
    with api.part_errors():
        show, text = st.session_state.get("show", "all"), (st.session_state.get("find") or "").strip()
        version = _scorer(versions)
        cursors = cursors_of("answers", (run_id, show, text, version))
        reply = api.client().answers(
            run_id, show=show, text=text or None, cursor=cursors[-1], limit=PAGE_SIZE, scorer_version=version
        )
        _filters(reply.counts)
        if not reply.items:
            _none(reply, live)
            return
        for answer in reply.items:
            answer_card(answer)
        pager(
            "answers", cursors, page_size=PAGE_SIZE, shown=len(reply.items), total=reply.total,
            next_cursor=reply.next_cursor,
        )  # fmt: skip


def _scorer(versions: list[int]) -> int | None:
    """Whose scores to show, where the answers were scored by several versions; None is the newest."""
    if len(versions) < 2:
        return None
    chosen: int | None = st.segmented_control(
        "Scores by version",
        versions,
        default=versions[-1],
        required=True,
        key="scorer_version",
    )
    return chosen


def _filters(counts: dict[str, int]) -> None:
    left, right = st.columns([3, 2])
    left.segmented_control(
        "Show",
        list(SHOW),
        default="all",
        required=True,
        key="show",
        format_func=lambda name: f"{SHOW[name]} {count(counts.get(name, 0))}",
    )
    right.text_input("Find", key="find", placeholder="in questions and answers", icon=":material/search:")


def _none(reply: AnswersOut, live: bool) -> None:
    if reply.counts.get("all"):
        st.info("No answer matches.", icon=":material/filter_alt_off:")
    elif live:
        st.info("No answers yet; they come batch by batch.", icon=":material/quiz:")
    else:
        st.info("This run left no answers.", icon=":material/quiz:")


def answer_card(answer: AnswerRecord) -> None:
    """Verdicts, question, completion, reference and insertions of one answer."""
    with st.container(border=True, key=f"answer_{answer.index}"):
        answer_facts(answer, title=f"Question {answer.index + 1}")
        st.text(visible(question_of(answer)))
        left, right = st.columns([3, 2])
        with left:
            plain_text("Completion", answer.completion)
        with right:
            plain_text("Reference solution", answer.solution)
        latents_view(answer, key="answer")


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
        visible(text) or "(empty)",
        language=None,
        wrap_lines=True,
        height=TEXT_PIXELS if len(text) > LONG_TEXT else "content",
    )


def verdicts(answer: AnswerRecord) -> list[tuple[str, Colour, str]]:
    """Word, colour and icon of each thing to know about an answer."""
    right = answer.metrics.get("accuracy", 0.0) >= 1.0
    found: list[tuple[str, Colour, str]] = [("right", "green", "check") if right else ("wrong", "red", "close")]
    if answer.truncated:
        found.append(("truncated", "orange", "content_cut"))
    if answer.metrics.get("format_ok", 1.0) < 1.0:
        found.append(("no box", "gray", "crop_free"))
    return found


def facts_line(answer: AnswerRecord) -> str:
    """Tokens, seconds and the other scores, as markdown."""
    parts = [f"{count(answer.completion_tokens)} tokens", duration(answer.seconds)]
    shown = {"accuracy", "accuracy_strict", "format_ok"}  # the badges say so
    parts += [f"{words(name)} {value:g}" for name, value in sorted(answer.metrics.items()) if name not in shown]
    return escape_markdown(" · ".join(parts))


def question_of(answer: AnswerRecord) -> str:
    """The question; of an answer of an earlier version, which lacks it, the user's last turn."""
    if answer.question is not None:
        return answer.question.strip()
    turns = [message.content for message in answer.prompt if message.role == "user"]
    return turns[-1].strip() if turns else "(no question)"
