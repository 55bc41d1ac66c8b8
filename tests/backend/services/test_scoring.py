"""Scores by several versions of the scorer: told apart, never mixed, the old ones beside the new ones."""

import sqlite3
from pathlib import Path

import httpx
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

import backend as backend_package
from backend.api.client import Client
from backend.commands import cli, run_cli
from backend.services import scoring
from backend.store.db import Database
from memgen.scoring import SCORER_VERSIONS
from tests.backend.conftest import Backend, answer_line, check_problem

SCORER_VERSION = SCORER_VERSIONS["number"]  # of the kind that our data sets have

CONDITIONS = {"model": "folder:1", "prompt_hash": "p"}
NOW = {"scorer_version": SCORER_VERSION}
COMPLETIONS = [r"\boxed{4}", "#### **4**", "4 million", r"\boxed{5}"]  # of which two have the value 4


def evaluation(backend: Backend, environment: dict[str, object] | None = None, right: int = 1) -> int:
    """A finished evaluation of four questions, of which its trainer called the first ones right."""
    backend.submit()
    held = backend.held()
    for index, completion in enumerate(COMPLETIONS):
        metrics = {"accuracy": float(index < right), "compute_reward": 0.0, "format_ok": 0.0, "other": 0.5}
        held.send("answers", answer_line(index, completion=completion, metrics=metrics))
    result = {"num_questions": 4, "accuracy": right / 4, "format_ok": 0.0, "seconds": 9.0}
    held.finish(result=result, environment=CONDITIONS | (environment or {}))
    return held.run_id


def rescore(backend: Backend, run_id: int, **arguments: object) -> dict[str, object]:
    reply = backend.user("POST", f"/runs/{run_id}/rescore", **arguments)
    assert reply.status_code == 200, reply.text
    body: dict[str, object] = reply.json()
    return body


def test_new_scores_stand_beside_the_old_ones(backend: Backend) -> None:
    run_id = evaluation(backend)
    before = backend.run(run_id)
    assert (before["scorer_version"], before["can_rescore"], before["summary"]["accuracy"]) == (1, True, 0.25)
    assert backend.get("/runs")["items"][0]["can_rescore"]
    assert backend.get("/lineage", run=run_id)["nodes"][0]["scorer_mark"] == " (scorer 1)"
    after = rescore(backend, run_id)
    assert (after["scorer_version"], after["can_rescore"]) == (SCORER_VERSION, False)
    assert after["summary"] == {
        "num_questions": 4, "accuracy": 0.5, "accuracy_strict": 0.25, "compute_reward": 0.0, "format_ok": 0.5,
        "seconds": 9.0,
    }  # fmt: skip
    assert after["scorings"] == [
        {"version": 1, "summary": before["summary"]},
        {"version": SCORER_VERSION, "summary": after["summary"]},
    ]
    assert backend.get("/runs")["items"][0]["summary"] == after["summary"]
    [node] = backend.get("/lineage", run=run_id)["nodes"]
    assert (node["accuracy"], node["scorer_mark"]) == (0.5, "")
    [event] = [one for one in backend.history(run_id) if one["kind"] == "rescored"]
    assert event["detail"] == f"scorer version 1 -> {SCORER_VERSION}, accuracy 25.0 % -> 50.0 %"


def test_newest_scores_are_those_that_lists_are_sorted_by(backend: Backend) -> None:
    rescored, other = evaluation(backend, right=4), evaluation(backend, right=3)
    assert [run["id"] for run in backend.get("/runs", sort="-accuracy")["items"]] == [rescored, other]
    assert rescore(backend, rescored)["summary"]["accuracy"] == 0.5  # type: ignore[index]
    assert [run["id"] for run in backend.get("/runs", sort="-accuracy")["items"]] == [other, rescored]


def test_answers_show_the_newest_scores_and_the_old_ones_on_request(backend: Backend) -> None:
    run_id = evaluation(backend)
    old = backend.get(f"/runs/{run_id}/answers")
    assert (old["scorer_version"], old["counts"]["right"], old["counts"]["no_box"]) == (1, 1, 4)
    rescore(backend, run_id)
    new = backend.get(f"/runs/{run_id}/answers")
    assert new["scorer_version"] == SCORER_VERSION
    assert [one["metrics"]["accuracy"] for one in new["items"]] == [1.0, 1.0, 0.0, 0.0]
    assert [one["metrics"]["other"] for one in new["items"]] == [0.5] * 4
    assert new["counts"] == {"all": 4, "right": 2, "wrong": 2, "truncated": 0, "no_box": 2}
    right = backend.get(f"/runs/{run_id}/answers", show="right", limit=1)
    assert (len(right["items"]), right["total"], right["next_cursor"]) == (1, 2, "0")
    assert [one["index"] for one in backend.get(f"/runs/{run_id}/answers", show="no_box")["items"]] == [1, 2]
    assert backend.get(f"/runs/{run_id}/answers", scorer_version=1) == old
    reply = backend.user("GET", f"/runs/{run_id}/answers", params={"scorer_version": 7})
    body = check_problem(reply, 400, "unknown_scorer_version")
    assert body["way_out"] == f"There are: 1, {SCORER_VERSION}."


def test_rescoring_again_changes_nothing(backend: Backend) -> None:
    run_id = evaluation(backend)
    first = rescore(backend, run_id, headers={"Idempotency-Key": "k"})
    assert rescore(backend, run_id, headers={"Idempotency-Key": "k"}) == first
    assert rescore(backend, run_id) == first
    assert len([one for one in backend.history(run_id) if one["kind"] == "rescored"]) == 1


def test_run_of_this_version_is_left_as_it_is(backend: Backend) -> None:
    run_id = evaluation(backend, NOW, right=4)  # another verdict than rescoring would give
    run = backend.run(run_id)
    assert (run["scorer_version"], run["can_rescore"]) == (SCORER_VERSION, False)
    assert rescore(backend, run_id)["summary"]["accuracy"] == 1.0  # type: ignore[index]


@pytest.mark.parametrize("path", ["/compare", "/compare/answers", "/compare/insertions"])
def test_two_versions_are_compared_only_after_rescoring(backend: Backend, path: str) -> None:
    old, new = evaluation(backend), evaluation(backend, NOW)
    params = {"runs": f"{new},{old}"} if path == "/compare" else {"before": new, "after": old}
    body = check_problem(backend.user("GET", path, params=params), 422, "scorers_differ")
    assert f"{old} by version 1, {new} by version {SCORER_VERSION}" in body["title"]
    assert body["value"] == str(old)
    assert f"memgen-studio rescore {old}" in body["way_out"]
    rescore(backend, old)
    backend.get(path, **params)


def test_comparison_counts_the_new_scores_and_names_their_version(backend: Backend) -> None:
    old, new = evaluation(backend), evaluation(backend, NOW, right=1)
    rescore(backend, old)
    reply = backend.get("/compare", runs=f"{new},{old}", base=new)
    assert reply["conditions"]["scorer"] == f"version {SCORER_VERSION}"
    assert [(one["accuracy"], one["scorer_version"]) for one in reply["items"]] == [
        (0.25, SCORER_VERSION),
        (0.5, SCORER_VERSION),
    ]
    assert [one["summary"]["format_ok"] for one in reply["items"]] == [0.0, 0.5]
    assert reply["items"][1]["change"]["fixed"] == ["t:1"]
    pairs = backend.get("/compare/answers", before=new, after=old, show="fixed")
    assert [one["after"]["metrics"]["accuracy"] for one in pairs["items"]] == [1.0]


def test_two_old_runs_are_compared_by_their_old_version(backend: Backend) -> None:
    first, second = evaluation(backend), evaluation(backend)
    assert backend.get("/compare", runs=f"{first},{second}")["conditions"]["scorer"] == "version 1"


@pytest.mark.parametrize("version", ["2", 0, -1, True, None, 2.0, 10**30, [2], {}])
def test_environment_without_a_version_means_the_first(backend: Backend, version: object) -> None:
    assert backend.run(evaluation(backend, {"scorer_version": version}))["scorer_version"] == 1


def test_run_of_a_newer_scorer_is_not_scored_by_an_older_one(backend: Backend) -> None:
    run_id = evaluation(backend, {"scorer_version": SCORER_VERSION + 1})
    assert not backend.run(run_id)["can_rescore"]
    check_problem(backend.user("POST", f"/runs/{run_id}/rescore"), 409, "scored_by_newer")
    params = {"runs": f"{evaluation(backend)},{run_id}"}
    body = check_problem(backend.user("GET", "/compare", params=params), 422, "scorers_differ")
    assert body["way_out"].startswith("Update the backend")


def test_what_has_no_finished_answers_is_not_rescored(backend: Backend) -> None:
    backend.submit(stage="weaver_sft", num_questions=8, batch_size=4)
    training = backend.work()
    check_problem(backend.user("POST", f"/runs/{training}/rescore"), 422, "not_an_evaluation")
    check_problem(backend.user("POST", "/runs/99/rescore"), 404, "run_not_found")
    held = backend.started()
    held.answer(0)
    check_problem(backend.user("POST", f"/runs/{held.run_id}/rescore"), 422, "not_finished")
    live = backend.run(held.run_id)
    assert (live["can_rescore"], live["scorer_version"], live["scorings"]) == (False, None, [])
    assert backend.get(f"/runs/{held.run_id}/answers")["scorer_version"] is None
    assert backend.run(training)["scorings"] == []


def test_hostile_answers_are_rescored_at_once(backend: Backend) -> None:
    backend.submit()
    held = backend.held()
    texts = [
        r"\boxed{" + "/".join(map(str, range(1, 31))) + "}",
        r"\boxed{9^12345678}",
        "#### " * 100_000,
        "\\boxed{" * 9999,
    ]
    for index, completion in enumerate(texts):
        held.send("answers", answer_line(index, completion=completion))
    held.finish(result={"num_questions": 4, "accuracy": 1.0}, environment=CONDITIONS)
    assert rescore(backend, held.run_id)["summary"]["accuracy"] == 0.0  # type: ignore[index]


def test_rescoring_waits_for_another_and_says_so(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "PATIENCE_SECONDS", 0.01)
    run_id = evaluation(backend)
    with scoring.one_at_a_time():
        check_problem(backend.user("POST", f"/runs/{run_id}/rescore"), 409, "rescoring")
    rescore(backend, run_id)


def test_rescored_run_is_deleted_whole(backend: Backend) -> None:
    run_id = evaluation(backend)
    rescore(backend, run_id)
    assert backend.user("DELETE", f"/runs/{run_id}", params={"confirm": True}).status_code == 200
    connection = sqlite3.connect(backend.context.settings.database)
    for table in ("scoring", "answer_score", "answer", "run"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    connection.close()


def test_command_rescores_several_runs(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [evaluation(backend), evaluation(backend, NOW)]

    def forward(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().removeprefix("/api/v1")
        reply = backend.user(request.method, path, content=request.content)
        return httpx.Response(reply.status_code, content=reply.content)

    transport = httpx.MockTransport(forward)
    monkeypatch.setattr(run_cli, "client", lambda: Client("http://backend.test", "token", transport=transport))
    assert "25.0 % (scorer 1)" in CliRunner().invoke(cli.app, ["runs"]).output
    result = CliRunner().invoke(cli.app, ["rescore", *map(str, runs)])
    assert result.exit_code == 0, result.output
    first, second = result.output.splitlines()
    assert "(scorer" not in CliRunner().invoke(cli.app, ["runs"]).output
    assert first == f"run {runs[0]}: 25.0 % by version 1, 50.0 % by version {SCORER_VERSION}"
    assert second == f"run {runs[1]}: 25.0 % by version {SCORER_VERSION}"


def test_tables_are_added_to_a_populated_database_that_keeps_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "memgen.db"
    migrate(path, "0002")
    connection = sqlite3.connect(path)
    values = "1, 'evaluate', 'base', 'p', 'd', '', '{}', 'h', 'succeeded', 'done', 0, 0, 1.0, 1.0"
    columns = "id, stage, setting, preset, data, note, config, config_hash, status, cause, priority, retries_left"
    columns += ", created_at, queued_at, summary, environment"
    connection.execute(f"INSERT INTO run ({columns}) VALUES ({values}, '{{\"accuracy\": 0.5}}', '{{}}')")
    connection.execute("INSERT INTO answer VALUES (1, 1, 0, 't:0', 1, 0, 1, '{}')")
    connection.commit()
    before = {table: rows(connection, table) for table in ("run", "answer")}
    connection.close()
    Database(path).migrate()
    connection = sqlite3.connect(path)
    for table, kept in before.items():
        assert [one | two for one, two in zip(rows(connection, table), kept, strict=True)] == rows(connection, table)
    assert connection.execute("SELECT count(*) FROM scoring").fetchone() == (0,)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


def rows(connection: sqlite3.Connection, table: str) -> list[dict[str, object]]:
    found = connection.execute(f"SELECT * FROM {table}")
    names = [one[0] for one in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def migrate(path: Path, revision: str) -> None:
    """A database as an earlier version of the service left it."""
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(Path(backend_package.__file__).parent / "store" / "migrations"))
    with engine.connect() as connection:
        connection.execute(text("PRAGMA foreign_keys=OFF"))
        connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    engine.dispose()
