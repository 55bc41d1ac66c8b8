"""Which column holds what, the kind of answer, and how splits are made: the form of a registration."""

from collections.abc import Sequence
from typing import Any, get_args

import streamlit as st
from pydantic import BaseModel, ValidationError

from dashboard.parts.foreign_text import escape_markdown, one_line
from dashboard.parts.language import mark, t
from memgen.contract.config_text import help_of
from memgen.contract.data_sets.prompts import PROMPTS
from memgen.contract.data_sets.record import AnswerKind
from memgen.contract.data_sets.registered import Columns, Registration

NONE = mark("none")
LABELS = {
    "question": mark("Question column"),
    "answer": mark("Answer column"),
    "rationale": mark("Rationale column"),
    "split": mark("Split column"),
}
USUAL = {  # names of columns, in the order in which they are looked for
    "question": ("question", "problem", "prompt", "input", "query"),
    "answer": ("answer", "label", "target", "correct", "output", "solution"),
    "rationale": ("rationale", "explanation", "solution", "reasoning"),
    "split": ("split",),
}


def mapping_form(columns: Sequence[str]) -> Registration | None:
    """Draw the form; None, with the reason on the page, where it says nothing that can be used.

    Args:
        columns: of the rows.
    """
    left, right = st.columns(2)
    fields: dict[str, Any] = {
        "name": left.text_input(t("Short name"), key="mapping_name", max_chars=40, help=_about(Registration, "name")),
        "word": right.text_input(t("Called"), key="mapping_word", max_chars=40, help=_about(Registration, "word")),
    }
    kinds = get_args(AnswerKind)
    kind = st.segmented_control(
        t("Kind of answer"),
        kinds,
        key="mapping_kind",
        format_func=t,
        required=True,
        default=kinds[0],
        help=_about(Registration, "answer"),
    )
    is_choice = kind == "choice"
    left, right = st.columns(2)
    mapped: dict[str, Any] = {"choices": ()}
    with left:
        mapped["question"] = _column("question", columns)
        mapped["rationale"] = _column("rationale", columns, optional=True)
    with right:
        mapped["answer"] = _column("answer", columns)
        mapped["split"] = _column("split", columns, optional=True)
    if is_choice:
        mapped["choices"] = tuple(
            st.multiselect(
                t("Columns of choices"),
                columns,
                key="mapping_choices",
                format_func=one_line,
                help=_about(Columns, "choices"),
            )
        )
        left, right = st.columns(2, vertical_alignment="bottom")
        ways = (mark("letter"), mark("text"), mark("index"))
        fields["answer_as"] = left.segmented_control(
            t("The answer is its"), ways, key="mapping_answer_as", format_func=t, required=True, default="letter",
            help=_about(Registration, "answer_as"),
        )  # fmt: skip
        fields["shuffle_choices"] = right.toggle(
            t("Shuffle choices"), key="mapping_shuffle", help=_about(Registration, "shuffle_choices")
        )
    fields |= {"answer": kind, "columns": mapped} | _details(str(kind))
    return _registration(fields)


def _column(name: str, columns: Sequence[str], *, optional: bool = False) -> str | None:
    options = [NONE, *columns] if optional else list(columns)
    lower = [column.strip().lower() for column in columns]
    place = next((lower.index(one) for one in USUAL[name] if one in lower), None)
    if optional:
        index = 0 if place is None else place + 1
    else:  # the answer stands after the question in most files
        index = min(int(name == "answer"), len(columns) - 1) if place is None else place
    chosen = st.selectbox(
        t(LABELS[name]), range(len(options)), index=index, key=f"mapping_{name}",
        format_func=lambda at: t(NONE) if optional and not at else one_line(options[at]), help=_about(Columns, name),
    )  # fmt: skip
    return None if optional and not chosen else options[chosen]


def _details(kind: str) -> dict[str, Any]:
    with st.expander(t("Prompt, splits and seed"), key="mapping_details"):
        prompt = st.text_area(
            t("Prompt"), key="mapping_prompt", placeholder=next(text for name, text in PROMPTS.items() if name == kind),
            max_chars=10_000, help=_about(Registration, "prompt"),
        )  # fmt: skip
        left, middle, right = st.columns(3)
        return {
            "prompt": prompt or "",
            "test_share": left.number_input(
                t("Test share"), 0.0, 0.9, 0.2, 0.05, key="mapping_test_share", help=_about(Registration, "test_share")
            ),
            "validation_share": middle.number_input(
                t("Validation share"), 0.0, 0.9, 0.1, 0.05, key="mapping_validation_share",
                help=_about(Registration, "validation_share"),
            ),
            "seed": right.number_input(
                t("Seed"), 0, 2**31 - 1, 42, key="mapping_seed", help=_about(Registration, "seed")
            ),
            "leave_out": st.toggle(
                t("Leave out rows that can't be used"), key="mapping_leave_out", help=_about(Registration, "leave_out")
            ),
        }  # fmt: skip


def _registration(fields: dict[str, Any]) -> Registration | None:
    if not fields["name"]:
        st.info(t("Give the data set a short name, then check the rows."), icon=":material/edit:")
        return None
    try:
        return Registration.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or t("the mapping")
        st.error(f"**{escape_markdown(place)}**: {escape_markdown(str(first['msg']))}", icon=":material/error:")
        return None


def _about(model: type[BaseModel], name: str) -> str:
    return escape_markdown(t(help_of(model, name)))
