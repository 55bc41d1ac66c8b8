"""Evaluations side by side as tables: reply in, DataFrame and words out."""

from typing import Any

import pandas as pd
import streamlit as st

from backend.api.schemas import ChangeOut, ComparedRun, CompareOut
from dashboard.parts.foreign_text import one_line, plain_frame
from dashboard.parts.language import mark, t
from dashboard.parts.text import MISSING, duration, percent
from dashboard.parts.verdicts import VERDICTS, box_sentence, change_sentence, on_words, points

BASE = mark("base")


def run_label(item: ComparedRun) -> str:
    """`weaver, run 5`: two evaluations may have the same setting."""
    return one_line(t("{setting}, run {number}", setting=item.label, number=item.run_id))


def p_value(value: float) -> str:
    """`0.032`, `< 0.001`."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def verdict_word(change: ChangeOut | None) -> str:
    """The verdict in words; the base has none."""
    return BASE if change is None else VERDICTS[change.verdict][0]


def result_frame(reply: CompareOut) -> pd.DataFrame:
    """One row per evaluation: accuracy, and the change against the base."""
    return plain_frame([_result(item) for item in reply.items], list(RESULT_COLUMNS))


def _result(item: ComparedRun) -> dict[str, Any]:
    change = item.change
    row: dict[str, Any] = {
        "setting": item.label,
        "run": item.run_id,
        "n": item.num_questions,
        "accuracy": _within(percent(item.accuracy), f"{item.low * 100:.1f}", f"{item.high * 100:.1f}"),
        "strict": _strict(item),
        "verdict": [verdict_word(change)],
    }
    if change is None:
        return row | {"change": t(BASE), "expected": "", "fixed": None, "broken": None, "p": ""}
    return row | {
        "change": _within(points(change.points), points(change.low), points(change.high)),
        "expected": expected_words(change.expected),
        "fixed": len(change.fixed),
        "broken": len(change.broken),
        "p": p_value(change.p_value),
    }


def _within(value: str, low: str, high: str) -> str:
    return t("{value} ({low} to {high})", value=value, low=low, high=high)


def _strict(item: ComparedRun) -> str:
    """`41.2 % (+3.0)`: with the box required, and its change in points."""
    if item.accuracy_strict is None:
        return MISSING
    change = item.change.strict if item.change else None
    return percent(item.accuracy_strict.value) + ("" if change is None else f" ({points(change.value)})")


def expected_words(expected: tuple[float, float] | None) -> str:
    """`+5 to +10`; empty where nothing is expected."""
    return "" if expected is None else t("{low} to {high}", low=f"{expected[0]:+g}", high=f"{expected[1]:+g}")


def cost_frame(reply: CompareOut) -> pd.DataFrame:
    """One row per evaluation: form and length of the answers, time, and what so many questions can show."""
    return plain_frame([_cost(item) for item in reply.items], list(COST_COLUMNS))


def _cost(item: ComparedRun) -> dict[str, Any]:
    summary = item.summary
    tokens, insertions = summary.get("mean_completion_tokens"), summary.get("mean_insertions")
    smallest = item.change.smallest_detectable if item.change else None
    return {
        "setting": item.label,
        "run": item.run_id,
        "format": percent(summary.get("format_ok")),
        "truncated": percent(summary.get("truncated")),
        "tokens": MISSING if tokens is None else f"{tokens:,.1f}",
        "insertions": MISSING if insertions is None else f"{insertions:.2f}",
        "seconds": duration(summary.get("seconds")),
        "nll": _nll(item),
        "smallest": MISSING if smallest is None else t("{n} points", n=f"{smallest:.1f}"),
        "note": item.note,
    }


def _nll(item: ComparedRun) -> str:
    """`0.532 (−0.120, −0.150 to −0.090)`: nats per token, and the mean change with its interval."""
    if item.nll is None:
        return MISSING
    change = item.change.nll if item.change else None
    if change is None:
        return f"{item.nll.value:.3f}"
    return t(
        "{value} ({change}, {low} to {high})", value=f"{item.nll.value:.3f}", change=nats(change.value),
        low=nats(change.low), high=nats(change.high),
    )  # fmt: skip


def nats(value: float) -> str:
    """`+0.120`, `−0.003`: a change in nats per token."""
    text = f"{abs(value):.3f}"
    return f"{'−' if value < 0 and text != '0.000' else '+'}{text}"


def verdict_text(item: ComparedRun) -> str:
    """The verdict of a change in a sentence, plain text."""
    assert item.change is not None
    parts = (
        change_sentence(item.change),
        on_words(item.change.num_questions, item.num_questions),
        box_sentence(item.change),
    )
    return f"{run_label(item)}: {' '.join(filter(None, parts))}"


RESULT_COLUMNS: dict[str, Any] = {
    "setting": st.column_config.TextColumn(mark("Setting"), width=150),
    "run": st.column_config.NumberColumn(mark("Run"), format="%d", width=50),
    "verdict": st.column_config.MultiselectColumn(
        mark("Verdict"),
        options=[BASE, *(word for word, _, _ in VERDICTS.values())],
        color=["gray", *(colour for _, colour, _ in VERDICTS.values())],
        width=168,
    ),
    "n": st.column_config.NumberColumn(mark("n"), help=mark("Questions answered"), format="localized", width=50),
    "accuracy": st.column_config.TextColumn(mark("Accuracy"), help=mark("With its 95 % Wilson interval"), width=142),
    "strict": st.column_config.TextColumn(
        mark("In a box"), help=mark("Accuracy where only an answer in a box counts, and its change in points"), width=98
    ),
    "change": st.column_config.TextColumn(
        mark("Change in points"), help=mark("Against the base, with its 95 % bootstrap interval"), width=146
    ),
    "expected": st.column_config.TextColumn(mark("Expected"), help=mark("Expected change in points"), width=78),
    "fixed": st.column_config.NumberColumn(mark("Fixed"), help=mark("Base wrong, this setting right"), width=54),
    "broken": st.column_config.NumberColumn(mark("Broken"), help=mark("Base right, this setting wrong"), width=58),
    "p": st.column_config.TextColumn(mark("p"), help=mark("Exact McNemar test of fixed against broken"), width=58),
}
COST_COLUMNS: dict[str, Any] = {
    "setting": st.column_config.TextColumn(mark("Setting"), width=210),
    "run": st.column_config.NumberColumn(mark("Run"), format="%d", width=50),
    "format": st.column_config.TextColumn(mark("Format ok"), help=mark("Answers with a box"), width=84),
    "truncated": st.column_config.TextColumn(
        mark("Truncated"), help=mark("Answers cut at their length limit"), width=84
    ),
    "tokens": st.column_config.TextColumn(mark("Mean tokens"), width=94),
    "insertions": st.column_config.TextColumn(mark("Mean insertions"), help=mark("Of latents, per answer"), width=114),
    "seconds": st.column_config.TextColumn(mark("Time"), help=mark("Of the whole evaluation"), width=94),
    "nll": st.column_config.TextColumn(
        mark("NLL of solutions"),
        help=mark(
            "Negative log-likelihood of the questions' solutions in nats per token, its mean change against the base, "
            "and the change's 95 % interval; below 0 they are likelier. Measured where the evaluation asked for it"
        ),
        width=210,
    ),
    "smallest": st.column_config.TextColumn(
        mark("Smallest detectable"),
        help=mark("Smallest change that so many questions show with a power of 80 %"),
        width=136,
    ),
    "note": st.column_config.TextColumn(mark("Note")),
}
