"""Questions of a session become a data set, which an evaluation of one of the session's columns then answers."""

from collections.abc import Mapping, Sequence

import streamlit as st

from backend.api.schemas import TryAskedOut, TryDataSetOut, TrySessionDetail
from dashboard.parts import api
from dashboard.parts.foreign_text import escape_markdown, one_line, sentence
from dashboard.parts.language import plural, t
from dashboard.parts.rows_report import show_report
from dashboard.trying.session_view import column_words
from memgen.contract.config import stored_config
from memgen.contract.data_sets.registered import SHORT_NAME
from memgen.contract.trying import LONGEST_SOLUTION, boxed

_MADE = "try_set_made"
SHOWN = 200  # characters of a question


def question_set(session_id: int) -> None:
    """The folded form, and what came of it."""
    st.fragment(_question_set)(session_id)


def _question_set(session_id: int) -> None:
    with st.expander(
        t("Make a data set of these questions"), key="try_set", icon=":material/library_add:", on_change="rerun"
    ) as folded:
        if not folded.open:
            return
        with api.part_errors():
            now = api.client().try_session(session_id)
            if now.asked:
                _form(now)
            else:
                st.caption(t("Nothing has been asked yet."))
            made_of, made = st.session_state.get(_MADE, (None, None))
            if made is not None and made_of == session_id:
                _made(now, made)


def _form(now: TrySessionDetail) -> None:
    """Which questions, what is right for each, and the set's name."""
    st.caption(
        t(
            "Each question counts once, however often it was asked. One without a right answer can't be scored, and is "
            "left out."
        )
    )
    with st.form("try_set_form", border=False):
        solutions: dict[int, str | None] = {}
        for asked in _once_each(now.asked):
            question, answer = st.columns([3, 2], vertical_alignment="center")
            is_chosen = question.checkbox(
                escape_markdown(one_line(asked.question[:SHOWN])),
                value=True,
                key=f"try_set_take_{now.id}_{asked.number}",
            )
            solution = answer.text_area(
                t("Right answer"), value=asked.solution or "", height=68, max_chars=LONGEST_SOLUTION,
                key=f"try_set_solution_{now.id}_{asked.number}", label_visibility="collapsed",
                placeholder=t("Right answer"),
            )  # fmt: skip
            if is_chosen:
                solutions[asked.number] = None if solution == (asked.solution or "") else boxed(solution) or ""
        left, right = st.columns(2)
        name = left.text_input(
            t("Short name"), key="try_set_name", max_chars=SHORT_NAME,
            help=t("Small letters, digits, - and _; a version is appended to it."),
        )  # fmt: skip
        data = _data_of(now, right)
        if st.form_submit_button(t("Make the data set"), key="try_set_make", type="primary"):
            _make(now.id, name, solutions, data)


def _once_each(asked: Sequence[TryAskedOut]) -> list[TryAskedOut]:
    """Each question as it was asked last with its right answer, else as it was asked first."""
    once: dict[str, TryAskedOut] = {}
    for one in asked:
        if one.question not in once or one.solution:
            once[one.question] = one
    return list(once.values())


def _data_of(now: TrySessionDetail, place: st.delta_generator.DeltaGenerator) -> str | None:
    """The data set whose prompt carries over, where columns ask as in several; None where there is no choice."""
    names = list(dict.fromkeys(stored_config(column.config).data for column in now.columns))
    if len(names) == 1:
        return None
    return place.selectbox(
        t("Ask as in"), names, key="try_set_data",
        help=t("The data set whose prompt stands before each question, and whose kind of answer counts."),
    )  # fmt: skip


def _make(session_id: int, name: str, solutions: Mapping[int, str | None], data: str | None) -> None:
    st.session_state.pop(_MADE, None)
    if not solutions:
        st.info(t("Choose a question."), icon=":material/edit:")
        return
    made: list[TryDataSetOut] = []
    with st.spinner(t("Reading the rows")):
        is_made = api.attempt(
            lambda: made.append(api.client().register_questions(session_id, name, rows=solutions, data=data))
        )
    if is_made:
        api.forget_data_sets()
        st.session_state[_MADE] = session_id, made[0]


def _made(now: TrySessionDetail, made: TryDataSetOut) -> None:
    """The set's name, what was left out of it, what it can tell, and the way to its evaluation."""
    name = made.report.name or ""
    questions = plural("{n} question", "{n} questions", sum(made.report.sizes.values()))
    st.success(
        t("Registered as **{name}**: {questions}.", name=escape_markdown(name), questions=questions),
        icon=":material/check_circle:",
    )
    asked = {one.number: one for one in now.asked}
    for number in made.without_answer:
        question = one_line(asked[number].question[:SHOWN]) if number in asked else str(number)
        st.warning(
            t("Left out, as nobody has said what is right: {question}", question=escape_markdown(question)),
            icon=":material/help:",
        )
    st.info(sentence(made.tells), icon=":material/query_stats:")
    with st.container(horizontal=True, key="try_set_launch"):
        for column in now.columns:
            st.page_link(
                "app_pages/launch.py",
                label=t("Evaluate {column}", column=escape_markdown(column_words(column))),
                icon=":material/rocket_launch:",
                query_params={"try": str(now.id), "column": str(column.place), "data": name},
            )
    with st.expander(t("What was read"), key="try_set_report"):
        show_report(made.report)
