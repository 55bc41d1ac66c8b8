"""Compare: evaluations against a base on the same questions, `?runs=1,3,5&base=1&tab=Answers`."""

import re
from collections.abc import Callable

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import CompareOut
from dashboard.compare.answer_pairs import answer_pairs_view, choose_pair
from dashboard.compare.charts import accuracy_chart, change_chart, interval_frame, nll_chart
from dashboard.compare.choice import choose_evaluations, too_few
from dashboard.compare.downloads import results_links
from dashboard.compare.insertions import insertions_view
from dashboard.compare.settings import settings_view
from dashboard.compare.table import COST_COLUMNS, RESULT_COLUMNS, cost_frame, result_frame, verdict_text
from dashboard.parts import api
from dashboard.parts.baseline import pin_buttons
from dashboard.parts.curves_view import curves_view
from dashboard.parts.foreign_text import escape_markdown, sentence
from dashboard.parts.language import columns_in_language, mark, plural, t
from dashboard.parts.named_tabs import named_tabs
from dashboard.parts.rescoring import REFUSED, offer_rescoring
from dashboard.parts.row_clicks import open_column, opened
from dashboard.parts.text import weights_words
from dashboard.parts.verdicts import VERDICTS
from memgen.contract.titles import title_of

ROW_PIXELS = 36
TAB, TAB_KEY = "tab", "compare_tab"  # of the address, and of the widget
_HASH = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{5,}\b")
WARNINGS_IN_SIGHT = 2


def show_verdicts(reply: CompareOut) -> None:
    """Each verdict as a badge and a sentence, beside the changes with their intervals and what is expected."""
    left, right = st.columns([5, 4])
    with left, st.container(key="verdicts", gap="small"):
        for item in reply.items:
            if item.change is None:
                continue
            word, colour, icon = VERDICTS[item.change.verdict]
            # one text, so that a long sentence goes on beside its badge and not below it
            st.markdown(f":{colour}-badge[:material/{icon}: {t(word)}] {sentence(verdict_text(item))}")
        pin_buttons(reply.base_id, reply.pinned_id)
    right.altair_chart(
        change_chart(interval_frame(reply)), width="stretch", key="change_chart",
        alt=t("Change against the base with its 95 percent interval, beside the expected band"),
    )  # fmt: skip


def show_conditions(reply: CompareOut) -> None:
    """What all have in common, in one line; what differs and may matter, below."""
    words = {t(title_of(name)): weights_words(value) for name, value in reply.conditions.items()}
    line = " · ".join(f"{escape_markdown(name)} **{escape_markdown(_short(value))}**" for name, value in words.items())
    whole = "  \n".join(f"{escape_markdown(name)}: {escape_markdown(value)}" for name, value in words.items())
    with st.container(key="conditions"):
        st.caption(line, help=whole)
    if len(reply.warnings) <= WARNINGS_IN_SIGHT:
        for warning in reply.warnings:
            st.warning(sentence(warning), icon=":material/warning:")
        return
    with st.expander(
        plural("{n} warning", "{n} warnings", len(reply.warnings)), key="compare_warnings", icon=":material/warning:"
    ):
        st.markdown("\n".join(f"- {sentence(warning)}" for warning in reply.warnings))


def _short(value: str) -> str:
    """A model without its owner, a hash by its beginning."""
    return _HASH.sub(r"\1…", value if " " in value else value.rpartition("/")[2])


def results(reply: CompareOut) -> None:
    """Tables and the accuracies."""
    st.dataframe(
        result_frame(reply),
        column_config={
            **columns_in_language(RESULT_COLUMNS),
            "run": open_column("compare_results", t("Run"), width=50),
        },
        hide_index=True,
        row_height=ROW_PIXELS,
        placeholder="",
        key="compare_results",
        alt=t("Accuracy of each evaluation and its change against the base; the number of a run opens it"),
    )
    wanted = opened("compare_results", [one.run_id for one in reply.items])
    if wanted is not None:
        st.switch_page("app_pages/run.py", query_params={"run": str(wanted)})
    results_links([one.run_id for one in reply.items], reply.base_id)
    frame = interval_frame(reply)
    likelihood = nll_chart(frame)
    st.altair_chart(
        accuracy_chart(frame), width="stretch", key="accuracy_chart",
        alt=t("Accuracy of each evaluation with its 95 percent interval"),
    )  # fmt: skip
    if likelihood is not None:
        st.altair_chart(
            likelihood, width="stretch", key="nll_chart",
            alt=t("Change in the likelihood of the solutions against the base with its 95 percent interval"),
        )  # fmt: skip
    st.caption(t("How the answers look, what they took, and how likely the solutions are"))
    st.dataframe(
        cost_frame(reply),
        column_config=columns_in_language(COST_COLUMNS),
        hide_index=True,
        row_height=ROW_PIXELS,
        placeholder="",
        key="compare_costs",
        alt=t("Form and length of the answers and the time of each evaluation"),
    )


def answers(reply: CompareOut) -> None:
    """Answers of two of them side by side."""
    if pair := choose_pair(reply.items):
        answer_pairs_view(reply.items, *pair)


def insertions(reply: CompareOut) -> None:
    """Right answers of two of them by what the second inserted."""
    if pair := choose_pair(reply.items):
        insertions_view(*pair)


def curves(reply: CompareOut) -> None:
    """Their metrics while they ran."""
    curves_view(tuple(one.run_id for one in reply.items), "compare_")


VIEWS: dict[str, Callable[[CompareOut], None]] = {
    mark("Results"): results,
    mark("Answers"): answers,
    mark("Insertions"): insertions,
    mark("Settings that differ"): settings_view,
    mark("Curves"): curves,
}


def show_views(reply: CompareOut) -> None:
    """The tabs, of which the open one is drawn."""
    tabs = named_tabs(list(VIEWS), TAB_KEY, TAB)
    for tab, draw in zip(tabs, VIEWS.values(), strict=True):
        if tab.open:
            with tab:
                draw(reply)


st.title(t("Compare"), anchor=False)
chosen, base = choose_evaluations()
if len(chosen) < 2:
    too_few(chosen)
    st.stop()
with api.page_errors():
    try:
        compared = api.client().compare(chosen, base=base)
    except ApiError as error:
        if error.code != REFUSED:
            raise
        offer_rescoring(error)
show_verdicts(compared)
show_conditions(compared)
show_views(compared)
