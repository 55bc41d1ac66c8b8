"""Data sets through the API: what can be launched, and a run that outlives its data set."""

import logging
from collections.abc import Callable, Iterator

import pytest

from memgen.contract.data_sets import registry
from memgen.contract.data_sets.record import DataSet
from memgen.contract.data_sets.registry import BUILT_IN, BrokenPlugin
from memgen.data import load_questions
from tests.backend.conftest import Backend, answer_line, check_problem

TOY = BUILT_IN[1].model_copy(update={"name": "toy", "word": "Toy questions", "answer": "choice"})
BROKEN = BrokenPlugin("lab-sets", "sums", "ImportError: no such file")
Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Makes these data sets those of installed packages, for all processes of a restart."""

    def put(*plugins: DataSet, broken: tuple[BrokenPlugin, ...] = ()) -> None:
        usable = {one.name: one for one in (*BUILT_IN, *plugins)}
        monkeypatch.setattr(registry, "_installed", lambda: (usable, broken))

    yield put


def test_data_sets_are_listed_with_sizes_and_the_plugins_that_failed(backend: Backend, install: Install) -> None:
    install(TOY, TOY.model_copy(update={"name": "lost", "sizes": "nowhere_at_all:count"}), broken=(BROKEN,))
    reply = backend.get("/data-sets")
    sizes = {one["name"]: one["sizes"] for one in reply["items"]}
    assert list(sizes) == [*(one.name for one in BUILT_IN), "toy", "lost"]
    assert (sizes["gsm8k"]["test"], sizes["lost"]) == (1319, None)
    assert reply["items"][len(BUILT_IN)]["word"] == "Toy questions"
    assert reply["items"][len(BUILT_IN)]["answer"] == "choice"
    assert reply["broken"] == [{"package": "lab-sets", "name": "sums", "reason": "ImportError: no such file"}]
    assert "toy" in backend.get("/schema/evaluate")["properties"]["data"]["enum"]


def test_backend_names_failed_plugins_as_it_starts(
    start: Callable[..., Backend], install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install(broken=(BROKEN,))
    with caplog.at_level(logging.WARNING):
        start()
    assert "the data set sums of the package lab-sets can't be used: ImportError: no such file" in caplog.messages


def test_unknown_data_set_is_refused_at_the_door(backend: Backend, install: Install) -> None:
    install(broken=(BROKEN,))
    body = {"config": backend.config | {"data": "sums"}}
    problem = check_problem(backend.user("POST", "/runs", json=body), 422, "invalid_config")
    assert (problem["field"], problem["value"]) == ("data", "sums")
    assert "no such file" in problem["way_out"]


def test_counts_of_a_plugin_that_fail_refuse_the_run_and_nothing_else(backend: Backend, install: Install) -> None:
    install(TOY.model_copy(update={"sizes": "nowhere_at_all:count"}))
    body = {"config": backend.config | {"data": "toy"}}
    check_problem(backend.user("POST", "/runs", json=body), 422, "data_set_broken")
    assert backend.user("POST", "/preflight", json=body).json()["problems"][0]["code"] == "data_set_broken"
    backend.submit()


def test_runs_of_a_data_set_that_is_gone_are_shown_ended_and_deleted(backend: Backend, install: Install) -> None:
    install(TOY)
    held = backend.started(data="toy")
    stopped, failed = backend.submit(data="toy"), backend.submit(data="toy")
    install()
    assert [run["data"] for run in backend.get("/runs")["items"]] == ["toy"] * 3
    backend.announce()
    assert len(backend.get("/queue")["items"]) == 2
    assert backend.run(stopped)["config"]["data"] == "toy"
    assert held.beat().status_code == 200
    assert held.finish().status_code == 200
    assert backend.stop(stopped, "force").status_code == 200
    assert backend.held().finish("failed", "invalid_config").status_code == 200
    ended = {held.run_id: "succeeded", stopped: "cancelled", failed: "failed"}
    assert {run["id"]: run["status"] for run in backend.get("/runs")["items"]} == ended
    for run_id in ended:
        assert backend.user("DELETE", f"/runs/{run_id}", params={"confirm": True}).status_code == 200
    assert backend.get("/runs")["items"] == []


def test_answers_are_scored_anew_by_the_kind_of_their_data_set(backend: Backend, install: Install) -> None:
    install(TOY)
    held = backend.started(data="toy")
    for index, completion in enumerate([r"\boxed{(C) four}", r"\boxed{4}"]):
        metrics = {"accuracy": 0.0, "format_ok": 0.0}
        held.send("answers", answer_line(index, completion=completion, solution=r"\boxed{C}", metrics=metrics))
    held.finish(result={"num_questions": 2, "accuracy": 0.0}, environment={"model": "folder:1", "prompt_hash": "p"})
    install()
    refused = check_problem(backend.user("POST", f"/runs/{held.run_id}/rescore", json={}), 422, "unknown_data")
    assert refused["value"] == "toy"
    install(TOY)
    reply = backend.user("POST", f"/runs/{held.run_id}/rescore", json={})
    assert reply.json()["summary"]["accuracy"] == 0.5


def test_questions_of_a_data_set_are_paged_and_searched(backend: Backend, install: Install) -> None:
    path = "/data-sets/wordproblems/questions"
    first = backend.get(path, limit=2)
    rows = load_questions("wordproblems", "test")
    assert [(one["number"], one["question"], one["solution"]) for one in first["items"]] == [
        (number, row.question, row.solution) for number, row in enumerate(rows[:2], start=1)
    ]
    assert (first["total"], first["next_cursor"]) == (len(rows), "2")
    last = backend.get(path, cursor=str(len(rows) - 1))
    assert ([one["number"] for one in last["items"]], last["next_cursor"]) == ([len(rows)], None)
    (row,) = backend.get(path, text=rows[4].question.upper())["items"]
    assert row["number"] == 5
    assert backend.get(path, text="no question has this in it") == {"items": [], "total": 0, "next_cursor": None}
    install(TOY.model_copy(update={"name": "lost", "loader": "nowhere_at_all:load"}))
    check_problem(backend.user("GET", "/data-sets/lost/questions"), 422, "data_set_broken")
    check_problem(backend.user("GET", "/data-sets/gsm8k/questions"), 422, "rows_not_at_hand")
    check_problem(backend.user("GET", "/data-sets/nothing/questions"), 404, "data_set_not_found")
