"""Data sets: those that are there, and rows of one's own that become one."""

import json
from collections.abc import Sequence

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import DataSetCheck, DataSetCreate, GivenFile
from dashboard.data_sets.known import delete_one, known_data_sets
from dashboard.data_sets.mapping_form import mapping_form
from dashboard.data_sets.sources import choose_files, forget_files
from dashboard.parts import api
from dashboard.parts.broken_plugins import broken_plugins
from dashboard.parts.foreign_text import escape_markdown
from dashboard.parts.language import t
from dashboard.parts.rows_report import first_rows, show_report
from memgen.contract.data_sets.registered import Registration
from memgen.contract.data_sets.report import Report

LOOKED, CHECKED, REGISTERED = "data_set_looked", "data_set_checked", "data_set_registered"


def remembered(place: str, key: str) -> Report | None:
    """What was last found of the same files and the same mapping."""
    known, report = st.session_state.get(place, ("", None))
    return report if known == key else None


def look(files: Sequence[GivenFile]) -> Report | None:
    """Columns and first rows, asked for once."""
    key = json.dumps([one.model_dump() for one in files])
    report = remembered(LOOKED, key)
    if report is None and api.attempt(lambda: keep(LOOKED, key, DataSetCheck(files=list(files)))):
        report = remembered(LOOKED, key)
    return report


def keep(place: str, key: str, check: DataSetCheck) -> None:
    """Ask the backend and remember what it says."""
    with st.spinner(t("Reading the rows")):
        st.session_state[place] = (key, api.client().preview_data_set(check))


def check(files: Sequence[GivenFile], said: Registration) -> None:
    """The check of a mapping, and the button that registers what passed it."""
    key = json.dumps([[one.model_dump() for one in files], said.model_dump(mode="json")])
    report = remembered(CHECKED, key)
    if st.button(
        t("Check the rows"), key="check_rows", icon=":material/rule:", type="secondary" if report else "primary"
    ):
        body = DataSetCheck(files=list(files), registration=said)
        report = remembered(CHECKED, key) if api.attempt(lambda: keep(CHECKED, key, body)) else None
    if report is None:
        return
    with st.container(key="report"):
        show_report(report)
    if report.problems:
        st.caption(t("Nothing can be registered until the problems above are solved."))
    elif st.button(
        t("Register"), key="register_data_set", icon=":material/library_add:", type="primary", width="stretch"
    ) and register(files, said):
        st.rerun()


def register(files: Sequence[GivenFile], said: Registration) -> bool:
    """Register the rows; False, with the error on the page, where the backend refuses."""
    try:
        name = api.client().register_data_set(DataSetCreate(files=list(files), registration=said)).name
    except ApiError as error:
        api.show_error(error)
        return False
    st.session_state[REGISTERED] = name
    forget_files()
    api.forget_data_sets()
    return True


st.title(t("Data sets"), anchor=False)
if name := st.session_state.pop(REGISTERED, None):
    st.success(
        t(
            "Registered as **{name}**. Launch, `memgen run` and the API know it by this name.",
            name=escape_markdown(name),
        ),
        icon=":material/check_circle:",
    )
with api.page_errors():
    known = api.data_sets()
broken_plugins(known.broken)
known_data_sets(known.items)
delete_one(known.items)
st.subheader(t("Rows of your own"), anchor=False)
chosen = choose_files()
looked = look(chosen) if chosen else None
if looked is not None:
    first_rows(looked)
    registration = mapping_form(looked.columns)
    if registration is not None:
        check(chosen, registration)
