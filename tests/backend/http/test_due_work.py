"""Files are read, folders walked and Redis asked only where a reply needs it, and never in a transaction."""

import os
from typing import Any

import pytest
from sqlalchemy import event

from memgen.contract import manifest
from memgen.contract.rundir import attempt_dir
from tests.backend.conftest import Backend, check_problem


@pytest.fixture
def looks(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done with files and Redis; with files it must not be while a connection to the database is held."""
    seen: list[str] = []

    def watch(module: Any, name: str) -> None:
        original = getattr(module, name)

        def watched(path: Any = ".") -> Any:
            if str(path).startswith(str(backend.home)):
                assert not getattr(backend.context.database._in_use, "held", False), f"{name} in a transaction"
                seen.append(name)
            return original(path)

        monkeypatch.setattr(module, name, watched)

    for module, name in ((os, "scandir"), (os, "listdir"), (manifest, "file_hash")):
        watch(module, name)
    state = backend.context.doorbell.state
    monkeypatch.setattr(backend.context.doorbell, "state", lambda: (seen.append("redis"), state())[1])
    return seen


def trained_weaver(backend: Backend) -> int:
    """A training that has succeeded, and whose checkpoint is known."""
    run_id = backend.submit(stage="weaver_sft", num_questions=None)
    backend.work()
    backend.reconciler.round()
    return run_id


READS = ("/runs", "/runs/1", "/pipelines", "/pipelines/1", "/queue", "/checkpoints", "/workers")


def test_replies_about_runs_of_which_none_waits_ask_neither_redis_nor_the_disk(
    backend: Backend, looks: list[str]
) -> None:
    pipeline = backend.submit_pipeline()["id"]
    backend.user("POST", f"/pipelines/{pipeline}/stop", json={"mode": "discard"})
    backend.started()
    looks.clear()
    for path in READS:
        backend.get(path)
    assert looks == []


def test_replies_about_runs_that_wait_ask_redis_once_and_walk_no_folder(backend: Backend, looks: list[str]) -> None:
    backend.announce()
    for _ in range(3):
        backend.submit()
    backend.held()
    backend.claim(slot="another")
    backend.announce("second")
    looks.clear()
    backend.get("/runs")
    assert looks == ["redis"]


def test_claims_and_changes_walk_no_folder(backend: Backend, looks: list[str]) -> None:
    backend.announce()
    backend.submit()
    held = backend.started()
    attempt_dir(backend.home, held.run_id, 1, "evaluate").path.mkdir(parents=True)
    backend.claim(slot="another")
    backend.stop(2)
    held.finish("failed", "error")
    backend.user("POST", "/runs/1/retry")
    assert set(looks) <= {"redis"}


def test_preflights_read_no_file_of_a_checkpoint_and_submissions_read_all(backend: Backend, looks: list[str]) -> None:
    weaver = trained_weaver(backend)
    child = backend.config | {"stage": "trigger_grpo", "checkpoint": str(weaver), "num_generations": 4}
    spec = backend.spec(reuse={"weaver_sft": weaver})
    looks.clear()
    assert backend.user("POST", "/preflight", json={"config": child}).json()["ok"]
    assert backend.user("POST", "/pipelines/preflight", json=spec).json()["ok"]
    assert "file_hash" not in looks
    assert backend.user("POST", "/runs", json={"config": child}).status_code == 201
    assert looks.count("file_hash") == 1
    assert backend.user("POST", "/pipelines", json=spec).status_code == 201
    assert looks.count("file_hash") == 2
    assert backend.get(f"/checkpoints/{weaver}")["usable"]
    assert looks.count("file_hash") == 3


def test_damage_that_a_preflight_does_not_see_is_refused_at_the_submission(backend: Backend) -> None:
    weaver = trained_weaver(backend)
    file = next(backend.home.glob("train/*/*/*/weaver_sft/parts.safetensors"))
    file.write_bytes(b"other weights")
    child = backend.config | {"stage": "trigger_grpo", "checkpoint": str(weaver), "num_generations": 4}
    spec = backend.spec(reuse={"weaver_sft": weaver})
    assert backend.user("POST", "/preflight", json={"config": child}).json()["ok"]
    check_problem(backend.user("POST", "/runs", json={"config": child}), 422, "checkpoint_damaged")
    assert backend.user("POST", "/pipelines/preflight", json=spec).json()["ok"]
    problem = check_problem(backend.user("POST", "/pipelines", json=spec), 422, "not_reusable")
    assert "its content is not what the manifest's hash says" in problem["title"]
    file.unlink()
    assert not backend.user("POST", "/preflight", json={"config": child}).json()["ok"]


def test_folders_of_a_run_that_is_deleted_are_walked_outside_of_the_transaction(
    backend: Backend, looks: list[str]
) -> None:
    held = backend.started()
    folder = attempt_dir(backend.home, held.run_id, 1, "evaluate").path
    folder.mkdir(parents=True)
    (folder / "log.txt").write_bytes(b"12345")
    held.finish("failed", "error")
    looks.clear()
    preview = backend.user("DELETE", "/runs/1").json()
    assert (preview["size_bytes"], preview["deleted"]) == (5, False)
    done = backend.user("DELETE", "/runs/1", params={"confirm": "true"}).json()
    assert (done["size_bytes"], done["deleted"], folder.exists()) == (5, True, False)
    assert "scandir" in looks


def test_round_of_the_reconciler_walks_folders_only_while_something_waits(backend: Backend, looks: list[str]) -> None:
    backend.reconciler.round()
    backend.started()
    attempt_dir(backend.home, 1, 1, "evaluate").path.mkdir(parents=True)
    looks.clear()
    backend.reconciler.round()
    assert looks == []
    backend.submit()
    looks.clear()
    backend.reconciler.round()
    assert looks == ["scandir"]


def test_round_of_the_reconciler_loads_no_queue(backend: Backend) -> None:
    statements: list[str] = []
    for _ in range(20):
        backend.submit()
    for engine in (backend.context.database._reader, backend.context.database._writer):
        event.listen(engine, "before_cursor_execute", lambda *a: statements.append(f"{a[2]} {a[3]}"))
    backend.reconciler.round()
    of_the_queue = [one for one in statements if one.startswith("SELECT") and "'queued'" in one]
    assert len(of_the_queue) == 1
    assert "LIMIT" in of_the_queue[0]
