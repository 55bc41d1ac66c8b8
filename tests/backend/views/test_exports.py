"""Comparisons as files: the same columns in both forms, whole, in order, and inert in a spreadsheet."""

import csv
import io
import json
from typing import Any

import pytest

from backend.views import exports
from tests.backend.conftest import Backend, answer_line, check_problem

CONDITIONS = {"model": "folder:1", "prompt_hash": "p", "device": "cpu"}


def evaluation(backend: Backend, *completions: str, note: str = "", **changes: Any) -> int:
    """A finished evaluation with these completions, every second of them right."""
    run_id = backend.submit(note=note, **changes)
    held = backend.held()
    for number, text in enumerate(completions):
        held.send("answers", answer_line(number, right=number % 2 == 0, completion=text, question=f'q{number}, "so"?'))
    held.finish(result={"num_questions": len(completions), "accuracy": 0.5}, environment=CONDITIONS)
    return run_id


def rows_of(backend: Backend, path: str, form: str, **params: Any) -> list[dict[str, Any]]:
    """The rows of an export."""
    reply = backend.user("GET", path, params=params | {"format": form})
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == exports.MEDIA_TYPES[form]  # type: ignore[index]
    if form == "jsonl":
        return [json.loads(line) for line in reply.text.splitlines()]
    return list(csv.DictReader(io.StringIO(reply.text, newline="")))


def test_table_has_the_same_columns_in_both_forms(backend: Backend) -> None:
    base, other = evaluation(backend, "a", "b"), evaluation(backend, "c", "d", note="=1+1")
    as_csv, as_jsonl = (rows_of(backend, "/compare/export", form, runs=f"{base},{other}") for form in ("csv", "jsonl"))
    assert list(as_csv[0]) == list(as_jsonl[0]) == list(exports.RESULT_COLUMNS)
    assert [row["run_id"] for row in as_jsonl] == [base, other]
    assert [row["run_id"] for row in as_csv] == [str(base), str(other)]
    assert (as_jsonl[0]["change_points"], as_jsonl[1]["change_points"], as_csv[1]["change_points"]) == (
        None,
        0.0,
        "0.0",
    )
    assert (as_csv[0]["is_base"], as_csv[1]["is_base"], as_csv[0]["verdict"]) == ("yes", "no", "")
    assert (as_csv[1]["note"], as_jsonl[1]["note"]) == ("'=1+1", "=1+1")


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1 hen", "@SUM(A1)", "\tx", "\rx", "\nx"])
def test_text_that_a_spreadsheet_would_run_is_inert_in_csv_and_itself_in_jsonl(backend: Backend, text: str) -> None:
    before, after = evaluation(backend, text), evaluation(backend, '3 hens,\nand "more"')
    pair = {"before": before, "after": after}
    (inert,), (as_is,) = (rows_of(backend, "/compare/answers/export", form, **pair) for form in ("csv", "jsonl"))
    assert inert["before_completion"] == f"'{text}"
    assert as_is["before_completion"] == text
    assert inert["after_completion"] == as_is["after_completion"] == '3 hens,\nand "more"'
    assert inert["question"] == 'q0, "so"?'
    assert list(inert) == list(as_is) == list(exports.ANSWER_COLUMNS)


def test_answers_are_all_there_in_order_however_they_are_read(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAIRS_AT_ONCE", 3)
    before, after = evaluation(backend, *"abcdefgh"), evaluation(backend, *"ABCDEFGHIJ")
    rows = rows_of(backend, "/compare/answers/export", "jsonl", before=before, after=after)
    assert [row["question_number"] for row in rows] == list(range(1, 9))
    assert [(row["before_completion"], row["after_completion"], row["kind"]) for row in rows[:2]] == [
        ("a", "A", "both_right"), ("b", "B", "both_wrong"),
    ]  # fmt: skip
    wrong = rows_of(backend, "/compare/answers/export", "jsonl", before=before, after=after, show="both_wrong")
    assert [row["question_number"] for row in wrong] == [2, 4, 6, 8]


def test_refusal_of_an_export_is_a_problem_and_no_file(backend: Backend) -> None:
    run_id = evaluation(backend, "a")
    other = evaluation(backend, "a", max_completion_length=25)
    for path, params in (
        ("/compare/export", {"runs": f"{run_id},{other}"}),
        ("/compare/answers/export", {"before": run_id, "after": other}),
    ):
        check_problem(backend.user("GET", path, params=params), 422, "not_comparable")
    check_problem(backend.user("GET", "/compare/export", params={"runs": "99"}), 404, "run_not_found")
