"""Questions that two evaluations answered, side by side. All model text is shown as plain text."""

from collections.abc import Mapping

import streamlit as st

from backend.api.schemas import AnswerPair, ComparedRun
from dashboard.compare.differences import CLOSE, FIRST, OPEN, marked_pair
from dashboard.compare.downloads import answers_links
from dashboard.compare.table import run_label
from dashboard.parts import api
from dashboard.parts.answers_view import answer_facts, plain_text, question_of
from dashboard.parts.checkpoint import ask_again_link
from dashboard.parts.components import Colour
from dashboard.parts.foreign_text import visible
from dashboard.parts.language import mark, t
from dashboard.parts.latents_view import latents_view
from dashboard.parts.pager import cursors_of, pager
from dashboard.parts.text import count
from dashboard.parts.url_state import keep_in_url, start_from_url
from memgen.contract.answers import AnswerRecord

SHOW: dict[str, str] = {
    "all": mark("All"), "fixed": mark("Fixed"), "broken": mark("Broken"),
    "without_box": mark("Of these without a box"), "both_right": mark("Both right"),
    "both_wrong": mark("Both wrong"),
}  # fmt: skip
KINDS: dict[str, tuple[str, Colour, str]] = {
    "fixed": (mark("fixed"), "green", "build"),
    "broken": (mark("broken"), "red", "heart_broken"),
    "both_right": (mark("both right"), "gray", "done_all"),
    "both_wrong": (mark("both wrong"), "gray", "close"),
}
PAGE_SIZE = 10
WITHOUT_BOX = mark(
    "The right answer has no box: the last number of the text counted, or what else stands for an answer."
)
LEGEND = mark(
    "In the texts {first} stands before the first word that differs, and {open} {close} around words that differ."
)
BEFORE, AFTER, PAIRS = "before", "after", "pairs"


def choose_pair(items: list[ComparedRun]) -> tuple[int, int] | None:
    """Draw the choice of two of the evaluations; None while both are the same.

    Args:
        items: of the comparison, the base first.
    """
    labels = {str(item.run_id): run_label(item) for item in items}
    start_from_url(BEFORE, labels)
    start_from_url(AFTER, labels)
    for key, default in ((BEFORE, next(iter(labels))), (AFTER, list(labels)[1])):
        if st.session_state.get(key) not in labels:  # another comparison was chosen meanwhile
            st.session_state[key] = default
    left, right = st.columns(2)
    before = left.selectbox(
        t("Before"), list(labels), key=BEFORE, format_func=labels.__getitem__, on_change=keep_in_url(BEFORE)
    )
    after = right.selectbox(
        t("After"), list(labels), key=AFTER, format_func=labels.__getitem__, on_change=keep_in_url(AFTER)
    )
    if before == after:
        st.info(t("Choose two different evaluations."), icon=":material/compare_arrows:")
        return None
    return int(before), int(after)


def answer_pairs_view(items: list[ComparedRun], before: int, after: int) -> None:
    """The answers of two of the evaluations, page by page.

    Args:
        items: of the comparison.
        before: id of the first.
        after: id of the second.
    """
    start_from_url(PAIRS, SHOW)
    st.fragment(_pairs)({item.run_id: item for item in items if item.run_id in (before, after)}, before, after)


def _pairs(items: Mapping[int, ComparedRun], before: int, after: int) -> None:
    with api.part_errors():
        show = st.session_state.get(PAIRS) or "all"
        cursors = cursors_of("pairs", (before, after, show))
        reply = api.client().compare_answers(before, after, show=show, cursor=cursors[-1], limit=PAGE_SIZE)
        with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
            _filter()
            answers_links(before, after, show)
        st.caption(" · ".join(f"{t(words)} {count(reply.counts.get(name, 0))}" for name, words in SHOW.items()))
        if not reply.items:
            st.info(t("No question matches."), icon=":material/filter_alt_off:")
            return
        st.caption(t(LEGEND, first=FIRST, open=OPEN, close=CLOSE))
        for pair in reply.items:
            pair_card(pair, items[before], items[after])
        pager(
            "pairs", cursors, page_size=PAGE_SIZE, shown=len(reply.items), total=reply.total,
            next_cursor=reply.next_cursor,
        )  # fmt: skip


def _filter() -> None:
    st.session_state.setdefault(PAIRS, "all")
    st.segmented_control(
        t("Show"),
        list(SHOW),
        required=True,
        key=PAIRS,
        format_func=lambda name: t(SHOW[name]),  # without their numbers: a label that changes loses its choice
        on_change=keep_in_url(PAIRS, default="all"),
    )


def pair_card(pair: AnswerPair, before: ComparedRun, after: ComparedRun) -> None:
    """Question, reference and both completions.

    Args:
        pair: what to draw.
        before: the first evaluation.
        after: the second.
    """
    word, colour, icon = KINDS[pair.kind]
    with st.container(border=True, key=f"pair_{pair.before.index}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(t("**Question {number}**", number=pair.before.index + 1), width="content")
            st.badge(t(word), color=colour, icon=f":material/{icon}:")
            if pair.without_box:
                st.badge(t("only without a box"), color="orange", icon=":material/crop_free:", help=t(WITHOUT_BOX))
        st.text(visible(question_of(pair.before)))
        left, middle, right = st.columns([4, 4, 3])
        texts = marked_pair(pair.before.completion, pair.after.completion)
        with left:
            _side(run_label(before), pair.before, texts[0], "before")
        with middle:
            _side(run_label(after), pair.after, texts[1], "after")
        with right:
            plain_text(t("Reference solution"), pair.before.solution)
        ask_again_link([(one.run_id, one.stage) for one in (before, after)], pair.before.index)


def _side(label: str, answer: AnswerRecord, marked: str, side: str) -> None:
    plain_text(label, marked)
    answer_facts(answer)
    latents_view(answer, key=side)
