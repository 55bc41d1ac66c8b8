"""Try: ask checkpoints questions. `?session=N` is a session, `?checkpoint=C` or `?run=R` what one is opened with.

`?run=R&answer=A` brings a question along, and `&beside=S` a column of another evaluation that has answered it.
"""

import streamlit as st

from backend.api.client import ApiError
from dashboard.parts import api
from dashboard.parts.focus import give_to_title
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import t
from dashboard.trying.opening import open_for_runs, opening_form, sessions_list
from dashboard.trying.picking import pick_question
from dashboard.trying.question_set import question_set
from dashboard.trying.session_view import First, session_page, takes_questions

NOT_FOUND = 404


def number_of(name: str) -> int | None:
    """A number in the address."""
    text = st.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else None


def first_question() -> First:
    """The question of the answer that the address names, e.g. `?run=3&answer=5`."""
    run, answer = number_of("run"), number_of("answer")
    if run is None or not answer:
        return First()
    with api.part_errors():
        before = str(answer - 2) if answer > 1 else None
        found = api.client().answers(run, cursor=before, limit=1).items
        if found and found[0].index == answer - 1:
            return First(found[0].question or "", found[0].solution)
    return First()


def show_session(number: int) -> None:
    """One session, or that it is gone."""
    with api.page_errors():
        try:
            session = api.client().try_session(number)
        except ApiError as error:
            if error.problem.status != NOT_FOUND:
                raise
            st.error(t("There is no session {number}; it may have been forgotten.", number=number))
            return
    st.caption(escape_markdown(session.preset))
    if takes_questions(session):
        pick_question(session)
    session_page(session, first_question())
    question_set(session.id)


def show_opening() -> None:
    """What a session is opened with, and the newest sessions."""
    run = number_of("run")
    if run is not None:
        with api.page_errors():
            beside = number_of("beside")
            open_for_runs(api.client().run(run), None if beside is None else api.client().run(beside))
    else:
        opening_form(number_of("checkpoint"))
    with api.part_errors():
        sessions_list(api.client().try_sessions().items)


st.title(t("Try"), anchor=False)
give_to_title()
if (chosen := number_of("session")) is not None:
    show_session(chosen)
    if st.button(t("Open another session"), key="leave_session", icon=":material/arrow_back:"):
        st.query_params.pop("session", None)
        st.rerun()
else:
    show_opening()
