"""Lists in the order of a column: every row once, whatever stands equal, has no value, comes or goes."""

import random
from typing import Any

import pytest
from sqlalchemy import event, insert
from sqlmodel import col, update

from backend.api.schemas import RunList
from backend.store.models import Run, Scoring, take_figures
from backend.views.pipeline_list import COLUMNS as PIPELINE_COLUMNS
from backend.views.run_list import COLUMNS, RunFilter, list_runs
from memgen.contract.status import RunStatus
from tests.backend.conftest import Backend, check_problem

ROW = {
    "stage": "evaluate", "setting": "base", "data": "wordproblems", "config_hash": "h", "priority": 0,
    "retries_left": 0, "queued_at": 0.0, "environment": {},
}  # fmt: skip


def store(backend: Backend, *rows: dict[str, Any]) -> None:
    """Runs as they stand in the database, from number 1 on."""
    stored = [
        ROW | {"preset": "m", "note": "", "status": "succeeded", "config": backend.config, "created_at": 0.0,
               "started_at": 1.0, "ended_at": 2.0, "summary": {}, **row}
        for row in rows
    ]  # fmt: skip
    for row in stored:  # no model has seen these rows
        row |= {name: row["summary"].get(name) for name in ("accuracy", "num_questions")}
    with backend.context.database.write() as session:
        session.execute(insert(Run), stored)


def order(backend: Backend, path: str = "/runs", **params: Any) -> list[int]:
    """Numbers of all rows, page after page."""
    numbers: list[int] = []
    cursor: str | None = None
    while True:
        reply = backend.get(path, **({"cursor": cursor} if cursor else {}), **params)
        numbers += [row["id"] for row in reply["items"]]
        cursor = reply["next_cursor"]
        if cursor is None:
            return numbers


def test_rows_of_equal_value_stand_newest_first_and_those_without_one_at_the_end(backend: Backend) -> None:
    accuracies = [0.5, None, 0.25, 0.5, None, 0.75]
    store(backend, *({"summary": {} if one is None else {"accuracy": one}} for one in accuracies))
    for limit in (1, 2, 3, 6):
        assert order(backend, sort="accuracy", limit=limit) == [3, 4, 1, 6, 5, 2]
        assert order(backend, sort="-accuracy", limit=limit) == [6, 4, 1, 3, 5, 2]
    assert order(backend, limit=4) == [6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("number", "columns"), [(300, [*COLUMNS, *(f"-{name}" for name in COLUMNS)]), (10_000, ["-accuracy"])]
)
def test_every_run_comes_once_whatever_the_column(backend: Backend, number: int, columns: list[str]) -> None:
    draw = random.Random(7)
    store(
        backend,
        *(
            {
                "status": draw.choice(list(RunStatus)), "preset": draw.choice(["a/x", "B/y", "c"]),
                "note": draw.choice(["", "first", "Second", "é 🙂 ~"]), "started_at": draw.choice([None, 1.5, 2.0]),
                "summary": draw.choice([{}, {"accuracy": draw.random()}, {"accuracy": 0.5, "num_questions": 8}]),
            }
            for _ in range(number)
        ),
    )  # fmt: skip
    for column in columns:
        numbers = order(backend, sort=column, limit=min(number // 6, 200))
        assert len(numbers) == len(set(numbers)) == number, column


def test_page_goes_on_after_the_row_before_it_though_that_was_deleted_or_others_came(backend: Backend) -> None:
    store(backend, *({"summary": {"accuracy": number / 8}} for number in range(8)))
    first = backend.get("/runs", sort="-accuracy", limit=3)
    assert [run["id"] for run in first["items"]] == [8, 7, 6]
    assert backend.user("DELETE", "/runs/6", params={"confirm": "true"}).status_code == 200
    store(backend, {"summary": {"accuracy": 0.99}}, {"summary": {"accuracy": 0.1}})
    second = backend.get("/runs", sort="-accuracy", limit=3, cursor=first["next_cursor"])
    assert [run["id"] for run in second["items"]] == [5, 4, 3]
    assert second["total"] == 9


def test_filters_and_orders_go_together_and_the_total_counts_what_matches(backend: Backend) -> None:
    store(backend, *({"status": status, "note": note} for status in ("failed", "succeeded") for note in "bca"))
    reply = backend.get("/runs", status="failed", sort="note", limit=2)
    assert ([run["note"] for run in reply["items"]], reply["total"]) == (["a", "b"], 3)
    assert order(backend, sort="status", limit=2) == [6, 5, 4, 3, 2, 1]  # success comes before failure in a life
    RunList.model_validate(reply)


def test_accuracy_that_is_shown_is_the_one_that_is_sorted_by(backend: Backend) -> None:
    store(backend, {"summary": {"accuracy": 0.9}}, {"summary": {"accuracy": 0.5}})
    with backend.context.database.write() as session:
        scoring = Scoring(run_id=1, version=99, attempt=1, summary={"accuracy": 0.1}, created_at=0.0)
        session.add(scoring)
        take_figures(session.get_one(Run, 1), scoring.summary)
    reply = backend.get("/runs", sort="-accuracy")
    assert [run["summary"]["accuracy"] for run in reply["items"]] == [0.5, 0.1]


def test_numbers_that_are_sorted_by_are_those_of_the_summary(backend: Backend) -> None:
    run = Run(**ROW, preset="m", status="running", config={}, created_at=0.0)
    run.summary = {"accuracy": 0.25, "num_questions": 8}
    assert (run.accuracy, run.num_questions) == (0.25, 8)
    run.summary = {}
    assert (run.accuracy, run.num_questions) == (None, None)


FILTERS = ({}, {"status": "failed"}, {"status": "failed,running", "stage": "evaluate"}, {"stage": "weaver_sft"},
           {"preset": "m"}, {"setting": "base"}, {"text": "a"}, {"archived": "also"}, {"archived": "only"},
           {"tag": "t"}, {"group": "t"}, {"metric": "train/loss"})  # fmt: skip


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_lists_of_runs_are_found_in_indexes_and_no_row_is_read_that_is_not_shown(
    backend: Backend, wanted: dict[str, str]
) -> None:
    asked: list[tuple[str, Any]] = []
    with backend.context.database.read() as session:

        def note(_: object, __: object, statement: str, values: Any, *___: object) -> None:
            asked.append((statement, values))

        event.listen(session.get_bind(), "before_cursor_execute", note)
        for sort in (None, *COLUMNS):
            list_runs(session, RunFilter(**wanted), sort=sort, cursor=None, limit=5)
        event.remove(session.get_bind(), "before_cursor_execute", note)
        for statement, values in asked:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            for step in (row[-1] for row in plan if " run " in f"{row[-1]} "):
                by_number = step == "SCAN run" and wanted == {"archived": "also"}  # all match: the first few are read
                assert by_number or "COVERING INDEX" in step or "PRIMARY KEY (rowid=?)" in step, (statement, step)


def test_live_run_has_no_duration_yet(backend: Backend) -> None:
    store(backend, {"ended_at": None}, {"ended_at": 4.0}, {"ended_at": 3.0})
    assert order(backend, sort="duration") == [3, 2, 1]
    assert order(backend, sort="-duration") == [2, 3, 1]


def test_pipelines_are_sorted_by_what_a_step_has_measured(backend: Backend) -> None:
    pipelines = [backend.submit_pipeline(note=note)["id"] for note in ("b", "", "a")]
    with backend.context.database.write() as session:
        for number, accuracy in zip(pipelines[:2], (0.25, 0.5), strict=True):
            base = (col(Run.pipeline_id) == number, col(Run.step) == "base_eval")
            session.execute(update(Run).where(*base).values(status="succeeded", accuracy=accuracy))
    assert order(backend, "/pipelines", sort="-base_eval", limit=1) == [2, 1, 3]
    assert order(backend, "/pipelines", sort="note", limit=2) == [3, 1, 2]
    assert backend.get("/pipelines", limit=1)["total"] == 3
    for name in PIPELINE_COLUMNS:
        assert len(order(backend, "/pipelines", sort=f"-{name}", limit=1)) == 3


def test_unknown_column_is_refused_with_those_that_are_known(backend: Backend) -> None:
    problem = check_problem(backend.user("GET", "/runs", params={"sort": "-loss"}), 400, "unknown_sort")
    assert problem["value"] == "-loss"
    assert "accuracy" in problem["way_out"]


@pytest.mark.parametrize("cursor", ["1", "x~1", "1~", "1~[]", "1~{", "~0.5", '1~"\\ud800"', "1~" + "[" * 3000])
def test_cursor_of_another_list_is_refused(backend: Backend, cursor: str) -> None:
    check_problem(backend.user("GET", "/runs", params={"sort": "note", "cursor": cursor}), 400, "bad_cursor")
