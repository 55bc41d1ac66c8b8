"""An answer once more with a change: insertions left out or forced, tokens drawn; beside the untouched one."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import streamlit as st

from backend.api.schemas import TryAnswerOut, TryAskedOut, TrySessionDetail
from dashboard.parts import api
from dashboard.parts.language import t
from memgen.contract.causal_check import CHECK_WORDS, WholeCheck
from memgen.contract.config import stored_config
from memgen.contract.insertion_marks import first_difference
from memgen.contract.rollouts import Decided
from memgen.contract.trying import Change

_KEY = "try_change_key"


@dataclass(frozen=True)
class Cell:
    """An answer as it stands beside others."""

    number: int
    """Of the question that it answers."""
    answer: TryAnswerOut
    change: Change | None = None
    """What it was asked to do otherwise."""
    apart: int | None = None
    """Character from which on it differs from the untouched answer."""


def cells_of(now: TrySessionDetail, asked: TryAskedOut) -> list[Cell]:
    """The answers to a question; in front of one with a change the untouched one."""
    cells = [Cell(asked.number, answer, asked.change) for answer in asked.answers]
    if asked.change is None or len(cells) != 1:
        return cells
    (changed,) = cells
    untouched = _untouched(now, asked, changed.answer.place)
    if untouched is None:
        return cells
    apart = first_difference(changed.answer.text, untouched.answer.text)
    if changed.answer.record is None and apart == len(changed.answer.text):
        return [untouched, changed]  # it has only not come so far yet
    return [untouched, Cell(asked.number, changed.answer, asked.change, apart)]


def _untouched(now: TrySessionDetail, asked: TryAskedOut, place: int) -> Cell | None:
    """The last answer of the same column to the same question before it was changed."""
    return next(
        (
            Cell(earlier.number, answer)
            for earlier in reversed(now.asked)
            if earlier.number < asked.number and earlier.change is None and earlier.question == asked.question
            for answer in earlier.answers
            if answer.place == place
        ),
        None,
    )


def change_popover(now: TrySessionDetail, asked: TryAskedOut, answer: TryAnswerOut) -> None:
    """Ask the column once more, otherwise."""
    name = f"change_{now.id}_{asked.number}_{answer.place}"
    with st.popover(t("Change"), icon=":material/tune:", key=name), st.form(f"form_{name}", border=False):
        points = list(range(len(answer.points)))
        turned = st.multiselect(
            t("Turn over"), points, key=f"turned_{name}",
            format_func=lambda number: point_words(answer.points[number]),
            help=t("Latents that were inserted are left out, and inserted where the trigger declined."),
        ) if points else []  # fmt: skip
        check = _check_of(now, answer.place, name)
        temperature = st.number_input(
            t("Temperature"), min_value=0.0, max_value=10.0, value=0.0, step=0.1, key=f"temperature_{name}",
            help=t("Above 0 tokens are drawn; 0 takes the likeliest one."),
        )  # fmt: skip
        seed = st.number_input(t("Seed"), min_value=0, max_value=2**31 - 1, value=42, key=f"seed_{name}")
        if st.form_submit_button(t("Answer again"), key=f"again_{name}", icon=":material/replay:"):
            change = change_of(answer.points, turned, temperature, int(seed), check)
            key = st.session_state.setdefault(_KEY, uuid.uuid4().hex)
            if change is None:
                st.caption(t("Nothing is changed."))
            elif api.attempt(
                lambda: api.client().ask(
                    now.id, asked.question, solution=asked.solution, column=answer.place, change=change, key=key
                )
            ):
                st.session_state.pop(_KEY, None)


def _check_of(now: TrySessionDetail, place: int, name: str) -> WholeCheck | None:
    """What is to stand in the place of a column's latents; None leaves them, as where there is no such choice."""
    config = now.columns[place].config
    if not stored_config(config).has_latents or config.get("causal_check", "") is not None:
        return None
    chosen: WholeCheck | None = st.selectbox(
        t("In the place of the latents"), get_args(WholeCheck), index=None, key=f"check_{name}",
        format_func=lambda check: t(CHECK_WORDS[check]), placeholder=t("the weaver's own"),
    )  # fmt: skip
    return chosen


def change_of(
    points: Sequence[Decided], turned: Sequence[int], temperature: float, seed: int, check: WholeCheck | None = None
) -> Change | None:
    """The change that turns these decisions over, inserts other latents, and draws at a temperature; None for none."""
    if not turned and not temperature and check is None:
        return None
    chosen = [points[number] for number in turned]
    return Change(
        leave_out=[point.token for point in chosen if point.inserted],
        force=[point.token for point in chosen if not point.inserted],
        causal_check=check,
        temperature=temperature or None,
        seed=seed,
    )


def change_words(change: Change) -> str:
    """`without the latents in front of token 12, temperature 0.7, seed 42`, plain text."""
    parts = []
    if change.leave_out:
        parts.append(t("without latents at token {tokens}", tokens=_tokens(change.leave_out)))
    if change.force:
        parts.append(t("with latents at token {tokens}", tokens=_tokens(change.force)))
    if change.causal_check is not None:
        parts.append(t(CHECK_WORDS[change.causal_check]))
    if change.temperature is not None:
        parts.append(t("temperature {number}, seed {seed}", number=f"{change.temperature:g}", seed=change.seed))
    return ", ".join(parts)


def point_words(point: Decided) -> str:
    """`token 12, inserted`, plain text."""
    if point.inserted:
        return t("token {number}, inserted", number=point.token)
    return t("token {number}, declined", number=point.token)


def _tokens(tokens: Sequence[int]) -> str:
    return ", ".join(map(str, tokens))
