"""A home of the version before opens as it stands: nothing of it is moved, and what was left undone is done."""

import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from backend.commands.archive.backup import back_up
from backend.commands.archive.restore import restore
from backend.services import checkpoints
from backend.settings import Settings
from backend.store.db import Database
from memgen.contract.events import read_event
from tests.backend.conftest import Backend
from tests.homes.home import QUEUED, SAID, says_more, unpack

COMPARED = "1,3,5,6"
FOLDERS = {2: "train/wordproblems/qwen2-242k/2/weaver_sft", 4: "train/wordproblems/qwen2-242k/4/trigger_grpo"}


@pytest.fixture
def old_home(settings: Callable[..., Settings], home: Path) -> Path:
    unpack(home)
    return home


def check(backend: Backend) -> None:
    """The API says what it said before."""
    runs = {str(run["id"]): run for run in backend.get("/runs")["items"]}
    for name, said in SAID["runs"].items():
        assert says_more(runs[name], said), (runs[name], said)
    assert runs.keys() == SAID["runs"].keys()
    compared = backend.get("/compare", runs=COMPARED)
    assert says_more(compared, SAID["compare"]), compared
    checkpoints = backend.get("/checkpoints")["items"]
    assert says_more(checkpoints, SAID["checkpoints"]), checkpoints


def files_of(home: Path) -> dict[str, str]:
    """All files and links but those of the backend itself: names with sizes or targets."""
    paths = [path for path in home.rglob("*") if path.relative_to(home).parts[0] != "backend" and not path.is_dir()]
    return {
        str(path.relative_to(home)): str(path.readlink()) if path.is_symlink() else str(path.stat().st_size)
        for path in paths
    }


def test_home_of_the_version_before_says_the_same_and_keeps_each_file_in_its_place(
    old_home: Path, start: Callable[..., Backend]
) -> None:
    before = files_of(old_home)
    backend = start()
    check(backend)
    assert files_of(old_home) == before
    with backend.context.database.read() as session:
        assert dict(session.execute(text("SELECT run_id, folder FROM checkpoint")).all()) == FOLDERS  # type: ignore[arg-type]
    backend.reconciler.round()
    check(start())
    assert backend.submit() == QUEUED + 1


def test_its_children_start_from_its_checkpoints(old_home: Path, start: Callable[..., Backend]) -> None:
    backend = start()
    backend.user("POST", "/queue/pause", json={"paused": False})
    children = {backend.submit(setting="weaver", checkpoint=str(parent)): FOLDERS[parent] for parent in FOLDERS}
    claimed = [backend.held() for _ in range(3)]
    assert {held.run_id: held.checkpoint for held in claimed} == {QUEUED: None, **children}


def test_its_backup_restores_and_its_runs_are_deleted_as_a_whole(
    old_home: Path, start: Callable[..., Backend], tmp_path: Path
) -> None:
    before = files_of(old_home)
    back_up(old_home, tmp_path / "b.tar", models=False, say=lambda _: None)  # made before the upgrade
    restore(tmp_path / "b.tar", tmp_path / "new", lambda _: None)
    assert files_of(tmp_path / "new") == before
    backend = start(home=tmp_path / "new")
    check(backend)
    reply = backend.user("DELETE", "/runs/6", params={"confirm": True}).json()
    assert (reply["left"], FOLDERS[4].split("/")[0] in str(reply["paths"])) == ([], False)
    assert not list((tmp_path / "new").glob("**/6/evaluate"))
    assert not os.path.lexists(tmp_path / "new" / "evaluate_ltpo" / "wordproblems" / "qwen2-242k" / "evaluate")
    assert backend.get("/checkpoints/4")["usable"]


def test_its_events_are_all_read(old_home: Path) -> None:
    lines = [
        line for path in old_home.glob("runs/*/attempts/*/events.jsonl") for line in path.read_bytes().splitlines()
    ]
    passed_over = [json.loads(line)["event"] for line in lines if read_event(line) is None]
    assert set(passed_over) == {"artifact"}
    assert len(passed_over) == 6  # of each run that succeeded


def left_undone(home: Path) -> None:
    """As if the version before had ended between a run's end and what it did afterwards."""
    for parent, folder in FOLDERS.items():
        attempt = home / "runs" / str(parent) / "attempts" / "1"
        (home / folder).rename(attempt / Path(folder).name)
        (home / folder).parent.parent.joinpath(Path(folder).name).unlink()
    database = Database(home / "backend" / "memgen.db")
    with database.write() as session:
        session.execute(text("DELETE FROM checkpoint"))
    database.close()


class Killed(BaseException):
    """Stands for a kill: nothing in the program catches it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the process die before the n-th link or checkpoint that it makes."""
    made: list[str] = []

    def dying(name: str, whole: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            if len(made) == step:
                raise Killed(name)
            made.append(name)
            return whole(*given, **named)

        return call

    for name in ("symlink_to", "replace"):
        monkeypatch.setattr(Path, name, dying(name, getattr(Path, name)))
    monkeypatch.setattr(checkpoints, "store", dying("store", checkpoints.store))


def test_what_the_version_before_left_undone_is_done_at_the_start_whenever_that_is_interrupted(
    old_home: Path, start: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    left_undone(old_home)
    for step in itertools.count():
        home = shutil.copytree(old_home, tmp_path / f"step-{step}", symlinks=True)
        with monkeypatch.context() as killed:
            kill_at(killed, step)
            try:
                start(home=home)
                break
            except Killed:
                pass
        check_done(start(home=home), home)
    assert step >= 10  # a new link and its place, for two outputs and two newest links; two checkpoints


def check_done(backend: Backend, home: Path) -> None:
    said = {one["id"]: one["content_hash"] for one in SAID["checkpoints"]}
    items = backend.get("/checkpoints")["items"]
    assert {one["id"]: one["content_hash"] for one in items} == said
    assert {one["id"] for one in items if one["usable"]} == set(FOLDERS)
    for folder in map(Path, FOLDERS.values()):
        for path in (home / folder, home / folder.parent.parent / folder.name):
            assert path.is_symlink()
            assert (path / "manifest.json").exists()
