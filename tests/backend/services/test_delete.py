"""Deleting a run with its files."""

from pathlib import Path

import pytest
from sqlmodel import col, func, select

from backend.store.models import Answer, Attempt, Metric, RunEvent
from memgen.contract.config import parse_config
from memgen.contract.publish import link_log
from memgen.contract.rundir import attempt_dir, log_link, newest_link, published_dir
from tests.backend.conftest import Backend, check_problem


def finished(backend: Backend) -> int:
    """A succeeded run with the files that a supervisor leaves, one kilobyte of each kind."""
    attempt = backend.started()
    run_id = attempt.run_id
    attempt.send("log", b"x" * 1024)
    attempt.answer(0)
    attempt.say({"event": "metric", "name": "m", "step": 1, "value": 1.0})
    folder = attempt_dir(backend.home, run_id, 1, "evaluate")
    for path in (folder.log, folder.answers):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x" * 1024)
    link_log(backend.home, run_id, folder)
    assert attempt.finish().status_code == 200
    backend.clock.pass_time(1)
    return run_id


def newest(backend: Backend) -> Path:
    return newest_link(backend.home, parse_config(backend.config))


def files(backend: Backend) -> set[str]:
    return {str(path.relative_to(backend.home)) for path in backend.home.rglob("*") if "memgen.db" not in path.name}


def test_preview_lists_paths_and_size_and_changes_nothing(backend: Backend) -> None:
    run_id = finished(backend)
    before = files(backend)
    reply = backend.user("DELETE", f"/runs/{run_id}").json()
    assert reply == {
        "run_id": 1,
        "paths": ["runs/1", "evaluate/wordproblems/qwen2-242k/1", "logs/1.log", "backend/attempts/1-1.log"],
        "size_bytes": 3 * 1024,
        "deleted": False,
        "left": [],
    }
    assert files(backend) == before
    assert backend.run(run_id)["status"] == "succeeded"


def test_confirmed_deletion_takes_rows_and_files_and_leaves_other_runs(backend: Backend) -> None:
    first = finished(backend)
    before = files(backend)
    second = finished(backend)
    reply = backend.user("DELETE", f"/runs/{second}", params={"confirm": True}).json()
    assert (reply["deleted"], len(reply["paths"])) == (True, 4)
    assert files(backend) == before
    check_problem(backend.user("GET", f"/runs/{second}"), 404, "run_not_found")
    check_problem(backend.user("DELETE", f"/runs/{second}", params={"confirm": True}), 404, "run_not_found")
    with backend.context.database.read() as session:
        for table in (Answer, Attempt, Metric, RunEvent):
            count = select(func.count()).select_from(table)
            assert session.exec(count.where(col(table.run_id) == second)).one() == 0
            assert session.exec(count.where(col(table.run_id) == first)).one() > 0
    assert backend.submit() == second + 1  # an id is never given twice


def test_newest_link_moves_to_the_next_older_run_and_goes_with_the_last(backend: Backend) -> None:
    first, second, third = finished(backend), finished(backend), finished(backend)
    assert newest(backend).readlink().parent.name == str(third)
    backend.user("DELETE", f"/runs/{first}", params={"confirm": True})
    assert newest(backend).readlink().parent.name == str(third)
    backend.user("DELETE", f"/runs/{third}", params={"confirm": True})
    assert newest(backend).readlink().parent.name == str(second)
    backend.user("DELETE", f"/runs/{second}", params={"confirm": True})
    assert not newest(backend).is_symlink()


@pytest.mark.parametrize("state", ["queued", "starting", "running", "stopping"])
def test_live_run_is_not_deleted(backend: Backend, state: str) -> None:
    run_id = backend.submit()
    if state != "queued":
        attempt = backend.held()
    if state == "running":
        attempt.say({"event": "phase", "name": "load"})
    if state == "stopping":
        backend.stop(run_id)
    assert backend.user("DELETE", f"/runs/{run_id}").json()["deleted"] is False
    check_problem(backend.user("DELETE", f"/runs/{run_id}", params={"confirm": True}), 409, "run_not_ended")
    assert backend.run(run_id)["num_attempts"] == 1


def test_links_out_of_the_home_are_removed_but_not_followed(backend: Backend, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x" * 5000)
    run_id = finished(backend)
    folder = attempt_dir(backend.home, run_id, 1, "evaluate").path
    (folder / "checkpoints").symlink_to(outside)
    (folder / "file").symlink_to(outside / "precious")
    link = log_link(backend.home, run_id)
    link.unlink()
    link.symlink_to(outside / "precious")
    assert backend.user("DELETE", f"/runs/{run_id}").json()["size_bytes"] < 5000
    assert backend.user("DELETE", f"/runs/{run_id}", params={"confirm": True}).status_code == 200
    assert (outside / "precious").read_text() == "x" * 5000
    assert not folder.exists()
    assert not link.is_symlink()


def test_run_whose_folder_is_a_link_out_of_the_home_loses_the_link_only(backend: Backend, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    run_id = backend.submit()
    backend.stop(run_id)
    (backend.home / "runs").mkdir()
    (backend.home / "runs" / str(run_id)).symlink_to(outside)
    assert backend.user("DELETE", f"/runs/{run_id}", params={"confirm": True}).status_code == 200
    assert (outside / "precious").exists()
    assert not (backend.home / "runs" / str(run_id)).is_symlink()


def test_run_whose_preset_is_gone_still_ends_and_is_deleted(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = backend.started()
    attempt.answer(0)
    (tmp_path / "none.json").write_text("[]")
    monkeypatch.setenv("MEMGEN_PRESETS", str(tmp_path / "none.json"))
    assert attempt.finish().status_code == 200
    assert backend.run(attempt.run_id)["status"] == "succeeded"
    assert backend.user("DELETE", f"/runs/{attempt.run_id}", params={"confirm": True}).json()["deleted"]


def test_files_that_can_not_be_removed_are_named(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = finished(backend)
    monkeypatch.setattr("os.unlink", refuse)
    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    reply = backend.user("DELETE", f"/runs/{run_id}", params={"confirm": True})
    assert reply.status_code == 200
    assert reply.json()["deleted"]
    assert reply.json()["left"] == [f"{path}: Permission denied" for path in reply.json()["paths"]]
    check_problem(backend.user("GET", f"/runs/{run_id}"), 404, "run_not_found")


@pytest.mark.parametrize("others", [0, 1])
def test_newest_link_that_can_not_be_changed_is_named_after_the_rows_are_gone(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    *_, run_id = [finished(backend) for _ in range(others + 1)]
    whole = newest(backend)

    def refuse_it(path: Path, *given: object, **named: object) -> None:
        if path.parent == whole.parent:
            refuse()
        unlink(path, *given, **named)  # type: ignore[arg-type]

    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", refuse_it)
    monkeypatch.setattr(Path, "symlink_to", refuse)
    reply = backend.user("DELETE", f"/runs/{run_id}", params={"confirm": True})
    assert reply.status_code == 200  # and not 507, nothing was changed
    assert reply.json()["left"] == ["evaluate/wordproblems/qwen2-242k/evaluate: Permission denied"]
    check_problem(backend.user("GET", f"/runs/{run_id}"), 404, "run_not_found")


def test_run_of_an_earlier_version_whose_output_was_moved_goes_as_a_whole(backend: Backend) -> None:
    run_id = finished(backend)
    place = published_dir(backend.home, parse_config(backend.config), run_id)
    place.unlink()
    attempt_dir(backend.home, run_id, 1, "evaluate").output.rename(place)
    assert backend.user("DELETE", f"/runs/{run_id}").json()["size_bytes"] == 3 * 1024
    assert backend.user("DELETE", f"/runs/{run_id}", params={"confirm": True}).json()["left"] == []
    assert not place.parent.exists()
    assert not newest(backend).is_symlink()


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")
