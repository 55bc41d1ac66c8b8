"""A question of a data set, with what is right, for the form of a session."""

from collections.abc import Sequence

import streamlit as st

from backend.api.schemas import DataSetOut, QuestionOut, TrySessionDetail
from dashboard.parts import api
from dashboard.parts.answers_view import plain_text
from dashboard.parts.foreign_text import one_line
from dashboard.parts.language import t
from dashboard.parts.rows_report import SPLITS
from dashboard.trying.session_view import QUESTION, SOLUTION
from memgen.contract.config import stored_config
from memgen.contract.data_sets.record import Split


def pick_question(session: TrySessionDetail) -> None:
    """A folded part in which a question is chosen; a button puts it into the form, which is drawn after it."""
    with st.expander(
        t("Take a question of a data set"), key="try_pick", icon=":material/quiz:", on_change="rerun"
    ) as folded:
        if not folded.open:
            return
        with api.part_errors():
            _choose(stored_config(session.columns[0].config).data)


def _choose(usual: str) -> None:
    known = {one.name: one for one in api.data_sets().items}
    fitting = _answered_alike(list(known.values()), usual)
    first, second, third = st.columns([3, 2, 3], vertical_alignment="bottom")
    name = first.selectbox(
        t("Data set"), fitting, index=fitting.index(usual) if usual in fitting else 0, key="try_pick_data",
        format_func=lambda one: one_line(known[one].word if known[one].registered else t(known[one].word)),
    )  # fmt: skip
    splits: list[Split] = [one for one in ("test", "validation", "train") if one in (known[name].sizes or {"test": 1})]
    split = second.segmented_control(
        t("Split"), splits, default=splits[0], required=True, key=f"try_pick_split_{name}",
        format_func=lambda one: t(SPLITS[one]),
    )  # fmt: skip
    text = (third.text_input(t("Find"), key="try_pick_text", icon=":material/search:") or "").strip() or None
    total = api.client().questions(name, split, text=text, limit=1).total
    if not total:
        st.info(t("No question matches."), icon=":material/filter_alt_off:")
        return
    number = st.number_input(
        t("Question, of {n}", n=f"{total:,}"), 1, total, 1, key=f"try_pick_number_{name}_{split}_{text}_{total}"
    )
    (row,) = api.client().questions(name, split, text=text, cursor=str(int(number) - 1), limit=1).items
    plain_text(t("Question {number}", number=row.number), row.question)
    plain_text(t("Right answer"), row.solution)
    st.button(t("Fill in"), key="try_pick_take", icon=":material/south:", on_click=_fill_in, args=(row,))


def _answered_alike(data_sets: Sequence[DataSetOut], usual: str) -> list[str]:
    """Names of the data sets whose answers are scored as those of the session are."""
    kind = next((one.answer for one in data_sets if one.name == usual), "number")
    return [one.name for one in data_sets if one.answer == kind]


def _fill_in(row: QuestionOut) -> None:
    st.session_state[QUESTION], st.session_state[SOLUTION] = row.question, row.solution
    st.query_params.pop("answer", None)  # what the form was to start from
