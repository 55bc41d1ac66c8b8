"""Comparisons as files: the same columns as CSV and as JSONL, row by row."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from sqlmodel import Session

from backend.api import schemas as s
from backend.views.compare import answer_pairs
from memgen.contract.answers import AnswerRecord

Format = Literal["csv", "jsonl"]
MEDIA_TYPES: dict[Format, str] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
PAIRS_AT_ONCE = 50
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
RESULT_COLUMNS = (
    "run_id", "setting", "label", "is_base", "note", "num_questions", "accuracy", "low", "high", "accuracy_in_a_box",
    "change_points", "change_low", "change_high", "change_in_a_box", "expected_low", "expected_high",
    "common_questions", "fixed", "broken", "p_value", "smallest_detectable", "verdict", "format_ok", "truncated",
    "mean_completion_tokens", "mean_insertions", "seconds", "nll", "nll_change", "scorer_version",
)  # fmt: skip
ANSWER_COLUMNS = (
    "question_id", "question_number", "kind", "without_box", "question", "solution", "before_right", "before_in_a_box",
    "before_truncated", "before_tokens", "before_seconds", "before_completion", "after_right", "after_in_a_box",
    "after_truncated", "after_tokens", "after_seconds", "after_completion",
)  # fmt: skip
Row = Mapping[str, Any]


def lines(rows: Iterator[Row], columns: Sequence[str], form: Format) -> Iterator[str]:
    """The file, a row at a time; a CSV file begins with its header.

    A text that a spreadsheet would take for a formula gets an apostrophe in front in CSV; JSONL has it as it is.
    """
    if form == "jsonl":
        for row in rows:
            yield json.dumps({name: row[name] for name in columns}, ensure_ascii=False) + "\n"
        return
    yield _csv_line(columns)
    for row in rows:
        yield _csv_line([_cell(row[name]) for name in columns])


def _csv_line(cells: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def result_rows(reply: s.CompareOut) -> Iterator[Row]:
    """A row per evaluation, the base first; accuracies are shares, changes are in points."""
    for item in reply.items:
        change, summary = item.change, item.summary
        expected = change.expected if change and change.expected else (None, None)
        yield {
            "run_id": item.run_id,
            "setting": item.setting,
            "label": item.label,
            "is_base": item.is_base,
            "note": item.note,
            "num_questions": item.num_questions,
            "accuracy": item.accuracy,
            "low": item.low,
            "high": item.high,
            "accuracy_in_a_box": item.accuracy_strict and item.accuracy_strict.value,
            "change_points": change and change.points,
            "change_low": change and change.low,
            "change_high": change and change.high,
            "change_in_a_box": change and change.strict and change.strict.value,
            "expected_low": expected[0],
            "expected_high": expected[1],
            "common_questions": change and change.num_questions,
            "fixed": change and len(change.fixed),
            "broken": change and len(change.broken),
            "p_value": change and change.p_value,
            "smallest_detectable": change and change.smallest_detectable,
            "verdict": change and change.verdict,
            **{
                name: summary.get(name)
                for name in ("format_ok", "truncated", "mean_completion_tokens", "mean_insertions", "seconds")
            },
            "nll": item.nll and item.nll.value,
            "nll_change": change and change.nll and change.nll.value,
            "scorer_version": item.scorer_version,
        }


Ask = Callable[[str | None], s.AnswerPairs]


def pairs_page(session: Session, before: int, after: int, show: str, cursor: str | None) -> s.AnswerPairs:
    """So many pairs as are read at once.

    Raises:
        NotComparable: as `answer_pairs`.
    """
    return answer_pairs(session, before, after, show=show, cursor=cursor, limit=PAIRS_AT_ONCE)


def answer_rows(first: s.AnswerPairs, ask: Ask) -> Iterator[Row]:
    """A row per question that both answered.

    Args:
        first: page of pairs.
        ask: the page after a cursor; no connection is held between two.
    """
    page = first
    while True:
        yield from map(_pair_row, page.items)
        if page.next_cursor is None:
            return
        page = ask(page.next_cursor)


def _pair_row(pair: s.AnswerPair) -> Row:
    return {
        "question_id": pair.id,
        "question_number": pair.before.index + 1,
        "kind": pair.kind,
        "without_box": pair.without_box,
        "question": pair.before.question,
        "solution": pair.before.solution,
        **_side("before", pair.before),
        **_side("after", pair.after),
    }


def _side(side: str, answer: AnswerRecord) -> Row:
    return {
        f"{side}_right": answer.metrics.get("accuracy", 0.0) >= 1.0,
        f"{side}_in_a_box": answer.metrics.get("format_ok", 0.0) >= 1.0,
        f"{side}_truncated": answer.truncated,
        f"{side}_tokens": answer.completion_tokens,
        f"{side}_seconds": answer.seconds,
        f"{side}_completion": answer.completion,
    }
