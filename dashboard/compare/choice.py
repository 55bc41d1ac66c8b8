"""Which evaluations are compared: chosen by hand, kept in the address as `?runs=1,3&base=1`."""

from collections.abc import Iterable, Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from backend.api.client import ApiError
from backend.api.schemas import RunOut
from dashboard.parts import api
from dashboard.parts.foreign_text import one_line
from dashboard.parts.language import t
from dashboard.parts.text import accuracy_words
from dashboard.parts.url_state import run_numbers
from memgen.contract.stages import evaluation_names
from memgen.contract.status import RunStatus

FOUND = 100  # evaluations that are offered at once
KEPT_SECONDS = 10
MOST = 12  # rows of a table that can be taken in
RUNS, BASE = "runs", "base"  # of the address
RUNS_KEY, BASE_KEY, TEXT_KEY = "compare_runs", "compare_base", "compare_text"  # of the widgets


def choose_evaluations() -> tuple[list[int], int | None]:
    """Draw the choices; the runs, and the base where one is named."""
    asked = run_numbers(st.query_params.get(RUNS, ""))
    left, middle, right = st.columns([5, 2, 2], vertical_alignment="bottom")
    text = middle.text_input(
        t("Find evaluations"), key=TEXT_KEY, placeholder=t("in notes and models"), icon=":material/search:"
    ).strip()  # fmt: skip
    with api.page_errors():
        known = known_evaluations(text, [*asked[:MOST], *st.session_state.get(RUNS_KEY, [])])
    if RUNS_KEY not in st.session_state:
        st.session_state[RUNS_KEY] = [number for number in asked if number in known][:MOST]
    for number in asked:
        if number not in known:
            st.warning(
                t("There is no run {number}; it may have been deleted.", number=number), icon=":material/search_off:"
            )
    chosen = left.multiselect(
        t("Evaluations"),
        list(known),
        key=RUNS_KEY,
        format_func=lambda number: evaluation_words(known[number]),
        placeholder=t("finished evaluations, by setting, model or note"),
        max_selections=MOST,
        select_all=False,  # Enter in the search takes the first match
        wrap=True,
        on_change=_write_runs,
    )
    return chosen, _choose_base(right, chosen, known)


def _choose_base(place: DeltaGenerator, chosen: list[int], known: Mapping[int, RunOut]) -> int | None:
    if st.session_state.get(BASE_KEY) not in chosen:  # it may just have been taken out of the comparison
        st.session_state.pop(BASE_KEY, None)
    given = run_numbers(st.query_params.get(BASE, ""))
    if BASE_KEY not in st.session_state and given and given[0] in chosen:
        st.session_state[BASE_KEY] = given[0]
    return place.selectbox(
        t("Base"),
        chosen,
        index=None,
        key=BASE_KEY,
        format_func=lambda number: one_line(t("run {number}, {setting}", number=number, setting=known[number].label)),
        placeholder=t("pinned, or setting base"),
        help=t(
            "What the others are measured against: without a choice the pinned baseline if it is among them, else the "
            "one with the setting base."
        ),
        on_change=_write_base,
    )


def known_evaluations(text: str, asked: Iterable[int]) -> dict[int, RunOut]:
    """Newest finished evaluations whose note or model has the text, and the runs asked for, whatever they are."""
    known = {run.id: run for run in _found(api.client().url, text)}
    for number in asked:
        run = known.get(number) or _named(api.client().url, number)
        if run is not None:
            known[number] = run
    return dict(sorted(known.items(), reverse=True))


@st.cache_data(ttl=KEPT_SECONDS, max_entries=32, show_spinner=False)
def _found(url: str, text: str) -> list[RunOut]:  # noqa: ARG001 (of the key of the cache)
    stages = ",".join(evaluation_names())
    return api.client().runs(status=RunStatus.SUCCEEDED, stage=stages, text=text or None, limit=FOUND).items


@st.cache_data(ttl=KEPT_SECONDS, max_entries=200, show_spinner=False)
def _named(url: str, number: int) -> RunOut | None:  # noqa: ARG001
    """A run, None where there is none."""
    try:
        return api.client().run(number)
    except ApiError as error:
        if error.problem.status != 404:
            raise
        return None


def evaluation_words(run: RunOut) -> str:
    """`run 5 · weaver · 58.2 % of 1,319 · model · note`, plain text."""
    summary, parts = (
        run.summary,
        [t("run {number}", number=run.id), run.label if run.setting else run.title],
    )
    if "accuracy" in summary:
        parts.append(accuracy_words(summary["accuracy"], summary.get("num_questions")) + run.scorer_mark)
    parts += [run.preset.split("/")[-1], *([run.note] if run.note else [])]
    return " · ".join(one_line(part) for part in parts)


def too_few(chosen: list[int]) -> None:
    """What to do when there is nothing to compare yet."""
    if chosen:
        st.info(t("Choose a second evaluation to compare it with."), icon=":material/compare_arrows:")
    else:
        st.info(
            t(
                "Choose the evaluations to compare: a base, and what should be better than it. "
                "They must have answered the same questions under the same conditions."
            ),
            icon=":material/compare_arrows:",
        )


def _write_runs() -> None:
    _write(RUNS, ",".join(map(str, st.session_state.get(RUNS_KEY) or [])))


def _write_base() -> None:
    value = st.session_state.get(BASE_KEY)
    _write(BASE, "" if value is None else str(value))


def _write(name: str, value: str) -> None:
    if value:
        st.query_params[name] = value
    else:
        st.query_params.pop(name, None)
