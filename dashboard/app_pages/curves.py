"""Curves: one metric of several runs on one chart, `?runs=1,3,5&metric=train/loss`."""

import streamlit as st

from backend.api.schemas import RunOut
from dashboard.parts import api
from dashboard.parts.curves_view import MOST_RUNS, curves_view, metric_of_the_page
from dashboard.parts.foreign_text import one_line
from dashboard.parts.language import t
from dashboard.parts.tag_choice import tag_names
from dashboard.parts.url_state import run_numbers

FOUND = 50  # runs that a search offers
RUNS, TEXT, TAG = "runs", "curves_text", "curves_tag"
PLACE = "curves_"
KEY = "curves_runs"


def choose_runs() -> tuple[int, ...]:
    """Runs of the address, and others that have the metric: searched for where they are stored, or those of a tag."""
    asked = run_numbers(st.query_params.get(RUNS, ""))[:MOST_RUNS]
    if KEY not in st.session_state:
        st.session_state[KEY] = asked
    left, middle, right = st.columns([4, 1, 1], vertical_alignment="bottom")
    with api.page_errors():
        tags = tag_names()
    if tags:
        middle.selectbox(
            t("Runs of a tag"), tags, index=None, key=TAG, format_func=one_line, placeholder=t("or of a group"),
            on_change=_take_tag,
            help=t("Its newest {n} runs that have the metric take the place of these.", n=MOST_RUNS),
        )  # fmt: skip
    text = right.text_input(
        t("Find runs to add"), key=TEXT, placeholder=t("in notes and models"), icon=":material/search:"
    ).strip()  # fmt: skip
    with api.page_errors():
        found = api.client().runs(metric=metric_of_the_page(PLACE), text=text or None, limit=FOUND).items
    words = {run.id: run_words(run) for run in found}
    chosen = left.multiselect(
        t("Runs"),
        list(dict.fromkeys([*st.session_state[KEY], *words])),
        key=KEY,
        format_func=lambda number: words.get(number, t("run {number}", number=number)),
        placeholder=t("runs that have the metric, the newest first"),
        max_selections=MOST_RUNS,
        wrap=True,
        on_change=_write,
    )
    return tuple(chosen)


def run_words(run: RunOut) -> str:
    """`run 5 · weaver_sft · model · note`, plain text."""
    return " · ".join(
        one_line(part)
        for part in (
            t("run {number}", number=run.id),
            run.title,
            run.preset.split("/")[-1],
            run.note,
        )
        if part
    )


def _take_tag() -> None:
    tag = st.session_state.get(TAG)
    if tag is None:
        return
    with api.part_errors():
        metric = metric_of_the_page(PLACE)
        tagged = api.client().runs(tag=tag, metric=metric, limit=MOST_RUNS).items
        st.session_state[KEY] = sorted(run.id for run in tagged)
        _write()


def _write() -> None:
    chosen = st.session_state.get(KEY) or []
    if chosen:
        st.query_params[RUNS] = ",".join(map(str, chosen))
    else:
        st.query_params.pop(RUNS, None)


st.title(t("Curves"), anchor=False)
runs = choose_runs()
if runs:
    curves_view(runs, PLACE)
else:
    st.info(t("Choose the runs whose curves to draw together."), icon=":material/show_chart:")
