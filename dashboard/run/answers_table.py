"""The answers of a run: a table of questions with what was expected and extracted, and the chosen one in full.

All text of questions and models is shown as plain text.
"""

import pandas as pd
import streamlit as st

from backend.api.schemas import AnswerOut, AnswersOut, RunDetail
from dashboard.parts import api
from dashboard.parts.answers_view import answer_facts, plain_text, question_of, verdicts
from dashboard.parts.checkpoint import ask_again_link
from dashboard.parts.foreign_text import escape_markdown, plain_frame, visible
from dashboard.parts.language import columns_in_language, mark, t
from dashboard.parts.latents_view import latents_view, marks_legend
from dashboard.parts.pager import cursors_of, pager
from dashboard.parts.text import MISSING, count
from dashboard.parts.url_state import keep_in_url, start_from_url
from dashboard.run.live_part import live_part
from dashboard.run.live_run import LiveRun
from memgen.contract.insertion_marks import marked
from memgen.contract.status import RUN_ENDED

SHOW: dict[str, str] = {
    "all": mark("All"), "right": mark("Right"), "wrong": mark("Wrong"), "truncated": mark("Truncated"),
    "no_box": mark("No box"),
}  # fmt: skip
COUNTED: dict[str, str] = {
    "all": mark("{n} answers"), "right": mark("{n} right"), "wrong": mark("{n} wrong"),
    "truncated": mark("{n} truncated"), "no_box": mark("{n} without a box"),
}  # fmt: skip
"""How many there are of each."""
ORDER: dict[str, str] = {"first": mark("First to last"), "newest": mark("Last to first")}
PAGE_SIZE = 20
TABLE_PIXELS = 318  # its head and eight rows
COLUMNS = {
    "question": st.column_config.TextColumn(mark("Question"), width=360),
    "expected": st.column_config.TextColumn(mark("Expected"), width=90),
    "extracted": st.column_config.TextColumn(
        mark("Extracted"), width=100, help=mark("The answer that was found in the completion and scored")
    ),
    "verdict": st.column_config.TextColumn(mark("Verdict"), width=160),
    "tokens": st.column_config.NumberColumn(mark("Tokens"), width=64, format="localized"),
    "insertions": st.column_config.NumberColumn(
        mark("Insertions"), width=76, help=mark("Times that latents were inserted")
    ),
}


def answers_view(run: RunDetail) -> None:
    """Filter, table and the chosen answer; of a live run the newest mistakes stand first until something is chosen."""
    live = run.status not in RUN_ENDED
    start_from_url("show", SHOW)
    start_from_url("find")
    start_from_url("order", ORDER)
    st.session_state.setdefault("show", "wrong" if live else "all")
    st.session_state.setdefault("order", "newest" if live else "first")
    live_part(run, _answers)


def _answers(run: RunDetail, live: LiveRun) -> None:
    show, order = st.session_state.get("show") or "all", st.session_state.get("order") or "first"
    text, version = (st.session_state.get("find") or "").strip(), _scorer(run)
    cursors = cursors_of("answers", (run.id, show, text, order, version))
    moved = (run.num_attempts, run.status, run.summary.get("num_questions"), run.scorings)
    reply = live.kept(
        ("answers", show, text, order, version, cursors[-1]), moved,
        lambda _: api.client().answers(
            run.id, show=show, text=text or None, cursor=cursors[-1], limit=PAGE_SIZE, scorer_version=version,
            newest=order == "newest",
        ),
    )  # fmt: skip
    _filters(reply.counts)
    if not reply.items:
        _none(reply, run.status not in RUN_ENDED)
        return
    chosen = _table(run.id, reply.items)
    pager(
        "answers", cursors, page_size=PAGE_SIZE, shown=len(reply.items), total=reply.total,
        next_cursor=reply.next_cursor,
    )  # fmt: skip
    answer_detail(chosen, run)


def _table(run_id: int, answers: list[AnswerOut]) -> AnswerOut:
    """The table; returns the answer that is chosen in it, at first the one of the address or the first."""
    places = [answer.index for answer in answers]
    kept = f"chosen_answer_of_{run_id}"
    wanted = st.session_state.get(kept) or st.query_params.get("answer", "")
    at = next((row for row, place in enumerate(places) if str(place + 1) == wanted), 0)
    event = st.dataframe(
        answers_frame(answers),
        column_config=columns_in_language(COLUMNS),
        height=TABLE_PIXELS if len(answers) > 8 else "content",
        on_select="rerun",
        selection_mode="single-row",
        selection_default={"selection": {"rows": [at]}},
        key=f"answers_{hash(tuple(places))}",  # another page or filter is another table, with a choice of its own
        placeholder="",
        alt=t("Answers of the run"),
    )
    rows = event.selection.rows
    chosen = answers[rows[0]] if rows and rows[0] < len(answers) else answers[at]
    if rows and rows[0] != at:  # until somebody chooses, the first one is shown, whatever comes in front of it
        st.session_state[kept] = st.query_params["answer"] = str(chosen.index + 1)
    return chosen


def answers_frame(answers: list[AnswerOut]) -> pd.DataFrame:
    """One row per answer, its question's number as the index."""
    rows = [
        {
            "question": question_of(answer),
            "expected": MISSING if answer.expected is None else answer.expected,
            "extracted": MISSING if answer.extracted is None else answer.extracted,
            "verdict": ", ".join(word for word, *_ in verdicts(answer)),
            "tokens": answer.completion_tokens,
            "insertions": sum(point.inserted for point in answer.augmentations) if answer.augmentations else None,
        }
        for answer in answers
    ]
    frame = plain_frame(rows, list(COLUMNS))
    frame.index = pd.Index([answer.index + 1 for answer in answers])
    return frame if frame["insertions"].notna().any() else frame.drop(columns="insertions")


def _scorer(run: RunDetail) -> int | None:
    """Whose scores to show, where the answers were scored by several versions; None is the newest."""
    versions = [one.version for one in run.scorings]
    if len(versions) < 2:
        return None
    chosen: int | None = st.segmented_control(
        t("Scores by version"),
        versions,
        default=versions[-1],
        required=True,
        key="scorer_version",
    )
    return chosen


def _filters(counts: dict[str, int]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            t("Show"),
            list(SHOW),
            required=True,
            key="show",
            format_func=lambda name: t(SHOW[name]),  # without their numbers: a label that changes loses its choice
            on_change=keep_in_url("show"),
        )
        st.segmented_control(
            t("Order"), list(ORDER), required=True, key="order", format_func=lambda name: t(ORDER[name]),
            on_change=keep_in_url("order"),
        )  # fmt: skip
        st.text_input(
            t("Find"), key="find", placeholder=t("in questions and answers"), icon=":material/search:",
            on_change=keep_in_url("find"), width=260,
        )  # fmt: skip
    st.caption(" · ".join(t(words, n=count(counts[name])) for name, words in COUNTED.items() if name in counts))


def _none(reply: AnswersOut, live: bool) -> None:
    if reply.counts.get("all"):
        st.info(t("No answer matches."), icon=":material/filter_alt_off:")
    elif live:
        st.info(t("No answers yet; they come batch by batch."), icon=":material/quiz:")
    else:
        st.info(t("This run left no answers."), icon=":material/quiz:")


def answer_detail(answer: AnswerOut, run: RunDetail) -> None:
    """Verdicts, question, what was compared, completion with its insertions, and reference of one answer."""
    with st.container(border=True, key=f"answer_{answer.index}"):
        answer_facts(answer, title=t("Question {number}", number=answer.index + 1))
        st.text(visible(question_of(answer)))
        expected, extracted = (MISSING if one is None else one for one in (answer.expected, answer.extracted))
        st.markdown(
            t(
                "Expected **{expected}**, extracted **{extracted}**", expected=escape_markdown(expected),
                extracted=escape_markdown(extracted),
            )
        )  # fmt: skip
        left, right = st.columns([3, 2])
        with left:
            plain_text(
                t("Completion") + marks_legend(answer.augmentations), marked(answer.completion, answer.augmentations)
            )
        with right:
            plain_text(t("Reference solution"), answer.solution)
        latents_view(answer, key="answer")
        ask_again_link([(run.id, run.stage)], answer.index)
