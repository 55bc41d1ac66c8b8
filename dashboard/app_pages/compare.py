"""Compare: evaluations against a base on the same questions, `?runs=1,3,5&base=1`."""

import streamlit as st

from backend.api.client import ApiError
from backend.api.schemas import CompareOut
from dashboard.compare.answer_pairs import answer_pairs_view
from dashboard.compare.charts import accuracy_chart, change_chart, interval_frame, nll_chart
from dashboard.compare.choice import choose_evaluations, too_few
from dashboard.compare.table import (
    COST_COLUMNS,
    RESULT_COLUMNS,
    cost_frame,
    result_frame,
    verdict_text,
)
from dashboard.parts import api
from dashboard.parts.components import facts
from dashboard.parts.foreign_text import sentence
from dashboard.parts.rescoring import REFUSED, offer_rescoring
from dashboard.parts.row_clicks import open_column, opened
from dashboard.parts.text import weights_words
from dashboard.parts.verdicts import VERDICTS
from memgen.contract.titles import title_of

ROW_PIXELS = 36


def show_results(reply: CompareOut) -> None:
    """Conditions, warnings, tables and charts."""
    with st.container(key="conditions"):
        facts({title_of(name): weights_words(value) for name, value in reply.conditions.items()})
    for warning in reply.warnings:
        st.warning(sentence(warning), icon=":material/warning:")
    st.dataframe(
        result_frame(reply),
        column_config={**RESULT_COLUMNS, "run": open_column("compare_results", "Run", width=60)},
        hide_index=True,
        row_height=ROW_PIXELS,
        placeholder="",
        key="compare_results",
        alt="Accuracy of each evaluation and its change against the base; the number of a run opens it",
    )
    wanted = opened("compare_results", [one.run_id for one in reply.items])
    if wanted is not None:
        st.switch_page("app_pages/run.py", query_params={"run": str(wanted)})
    show_verdicts(reply)
    show_charts(reply)
    st.caption("How the answers look, what they took, and how likely the solutions are")
    st.dataframe(
        cost_frame(reply),
        column_config=COST_COLUMNS,
        hide_index=True,
        row_height=ROW_PIXELS,
        placeholder="",
        key="compare_costs",
        alt="Form and length of the answers and the time of each evaluation",
    )


def show_verdicts(reply: CompareOut) -> None:
    """Each verdict as a badge and a sentence."""
    with st.container(key="verdicts", gap="small"):
        for item in reply.items:
            if item.change is None:
                continue
            word, colour, icon = VERDICTS[item.change.verdict]
            # one text, so that a long sentence goes on beside its badge and not below it
            st.markdown(f":{colour}-badge[:material/{icon}: {word}] {sentence(verdict_text(item))}")


def show_charts(reply: CompareOut) -> None:
    """Accuracy, and beside it the change with what is expected."""
    frame = interval_frame(reply)
    left, right = st.columns(2)
    left.altair_chart(
        accuracy_chart(frame), width="stretch", key="accuracy_chart",
        alt="Accuracy of each evaluation with its 95 percent interval",
    )  # fmt: skip
    right.altair_chart(
        change_chart(frame), width="stretch", key="change_chart",
        alt="Change against the base with its 95 percent interval, beside the expected band",
    )  # fmt: skip
    likelihood = nll_chart(frame)
    if likelihood is not None:
        st.altair_chart(
            likelihood, width="stretch", key="nll_chart",
            alt="Change in the likelihood of the solutions against the base with its 95 percent interval",
        )  # fmt: skip


st.title("Compare", anchor=False)
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
show_results(compared)
st.subheader("Answers side by side", anchor=False)
answer_pairs_view(compared.items)
