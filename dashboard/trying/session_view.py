"""A session: its state, the question, and the answers of all columns side by side as they come.

All text of questions and models is shown as plain text.
"""

import uuid
from dataclasses import dataclass

import streamlit as st

from backend.api.schemas import TryAnswerOut, TryAskedOut, TryColumnOut, TrySessionDetail, TryStatus
from dashboard.parts import api
from dashboard.parts.answers_view import answer_facts, plain_text
from dashboard.parts.components import Colour
from dashboard.parts.foreign_text import escape_markdown, sentence, visible
from dashboard.parts.language import mark, plural, t
from dashboard.parts.latents_view import latents_view, marks_legend
from dashboard.parts.text import MISSING, duration
from dashboard.trying.changes import Cell, cells_of, change_popover, change_words
from memgen.contract.insertion_marks import marked
from memgen.contract.trying import LONGEST_QUESTION, boxed

REFRESH_SECONDS = 0.7
LOOK: dict[TryStatus, tuple[str, Colour, str]] = {
    TryStatus.QUEUED: (mark("queued"), "yellow", "schedule"),
    TryStatus.LOADING: (mark("loading"), "blue", "autorenew"),
    TryStatus.READY: (mark("ready"), "green", "check_circle"),
    TryStatus.ENDING: (mark("ending"), "orange", "stop_circle"),
    TryStatus.ENDED: (mark("ended"), "gray", "cancel"),
}
QUESTION, SOLUTION = "try_question", "try_solution"
"""Keys of the two fields of the form."""
_KEY = "try_ask_key"


@dataclass(frozen=True)
class First:
    """What a question form starts from."""

    question: str = ""
    solution: str = ""


def takes_questions(session: TrySessionDetail) -> bool:
    """Whether anything can still be asked."""
    return session.status not in {TryStatus.ENDING, TryStatus.ENDED}


def session_page(session: TrySessionDetail, first: First) -> None:
    """The form, and below it what moves by itself until the session has ended."""
    if takes_questions(session):
        _form(session, first)
    every = None if session.status is TryStatus.ENDED else REFRESH_SECONDS
    st.fragment(_live, run_every=every)(session.id, session.status)


def _form(session: TrySessionDetail, first: First) -> None:
    """A question for all columns; Enter in the second box asks."""
    with st.form("ask", clear_on_submit=True, border=True):
        question = st.text_area(
            t("Question"), value=first.question, max_chars=LONGEST_QUESTION, height=100, key=QUESTION
        )
        solution = st.text_input(
            t("Right answer, if it is known"), value=first.solution, key=SOLUTION,
            help=t("Answers are scored against it; a solution that ends in a box, or the answer alone."),
        )  # fmt: skip
        asked = st.form_submit_button(t("Ask"), key="ask_question", type="primary", icon=":material/send:")
    if asked and question.strip():
        key = st.session_state.setdefault(_KEY, uuid.uuid4().hex)
        if api.attempt(lambda: api.client().ask(session.id, question, solution=boxed(solution), key=key)):
            st.session_state.pop(_KEY, None)
            for leftover in ("ask", "answer"):
                st.query_params.pop(leftover, None)


def _live(session_id: int, status: TryStatus) -> None:
    with api.part_errors():
        now = api.client().try_session(session_id)
        if now.status is not status:
            st.rerun(scope="app")  # the form follows the status
        _head(now)
        for asked in reversed(now.asked):
            _asked(now, asked)


def _head(now: TrySessionDetail) -> None:
    word, colour, icon = LOOK[now.status]
    with st.container(horizontal=True, vertical_alignment="center", key="try_head"):
        st.badge(t(word), color=colour, icon=f":material/{icon}:")
        st.caption(sentence(now.says), width="content")
        if now.idle_seconds_left is not None:
            left = duration(now.idle_seconds_left)
            st.caption(t("Ends in {time} if nothing is asked.", time=left), width="content")
        if now.gives_way_to is not None:
            st.page_link(
                "app_pages/run.py", label=t("run {number}", number=now.gives_way_to), icon=":material/monitoring:",
                query_params={"run": str(now.gives_way_to)},
            )  # fmt: skip
        if takes_questions(now) and st.button(t("Close"), key="close_try", icon=":material/close:"):
            api.attempt(lambda: api.client().close_try(now.id))
        label, icon = (t("Kept"), "bookmark_added") if now.kept else (t("Keep"), "bookmark")
        if st.button(
            label, key="keep_try", icon=f":material/{icon}:",
            help=t("A session that nobody keeps is forgotten a day after its end."),
        ):  # fmt: skip
            api.attempt(lambda: api.client().keep_try(now.id, not now.kept))
    if now.failure is not None:
        st.error(f"{sentence(now.failure.message)} {sentence(now.failure.way_out)}", icon=":material/error:")


def _asked(now: TrySessionDetail, asked: TryAskedOut) -> None:
    with st.container(border=True, key=f"asked_{asked.number}"):
        st.text(visible(asked.question))
        if asked.solution:
            st.caption(t("Right answer: {answer}", answer=escape_markdown(asked.solution[-200:])))
        cells = cells_of(now, asked)
        for place, cell in zip(st.columns(max(2, len(cells))), cells, strict=False):
            with place:
                _cell(now, asked, cell)


def _cell(now: TrySessionDetail, asked: TryAskedOut, cell: Cell) -> None:
    """One answer: what it says so far, and once it is complete what became of it."""
    column, answer = now.columns[cell.answer.place], cell.answer
    words = column_words(column) if cell.change is None else f"{column_words(column)} · {change_words(cell.change)}"
    legend = marks_legend(answer.points, apart=cell.apart is not None)
    plain_text(f"{words}{legend}", marked(answer.text, answer.points, cell.apart))
    if answer.record is not None:
        if answer.record.solution:
            answer_facts(answer.record)
        st.caption(
            t("Answer: {answer}", answer=escape_markdown(MISSING if answer.extracted is None else answer.extracted))
        )
        latents_view(answer.record, key=f"try_{cell.number}_{answer.place}_in_{asked.number}")
    elif answer.failure is not None:
        st.caption(f":material/error: {sentence(answer.failure.message)}")
    elif answer.status == "answering":
        st.caption(plural("{n} token so far", "{n} tokens so far", answer.tokens))
    else:
        st.caption(t("waits"))
    if (decisions := decision_words(answer)) != "":
        st.caption(escape_markdown(decisions))
    if answer.record is not None and asked.change is None and now.status is TryStatus.READY:
        change_popover(now, asked, answer)


def column_words(column: TryColumnOut) -> str:
    """`weaver+trigger · checkpoint 3`, plain text."""
    if column.checkpoint is None:
        return column.label
    return f"{column.label} · {t('checkpoint {number}', number=column.checkpoint)}"


def decision_words(answer: TryAnswerOut) -> str:
    """`Probability of an insertion: 0.75, 0.31`, at the points in their order; plain text."""
    asked = [point.probability for point in answer.points if point.probability is not None]
    shares = ", ".join(f"{one:.2f}" for one in asked)
    return t("Probability of an insertion, point by point: {shares}", shares=shares) if asked else ""
