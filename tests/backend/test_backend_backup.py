"""Backup and restore of a home, while runs are under way and afterwards."""

import json
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.backup import ABOUT, back_up, restore
from memgen.contract.errors import BadInput
from tests.backend.conftest import Backend


def quiet(_: str) -> None:
    pass


def names_in(archive: Path) -> set[str]:
    with tarfile.open(archive) as file:
        return set(file.getnames())


@pytest.fixture
def archive(backend: Backend, tmp_path: Path) -> Path:
    """Of a home with a finished run and one under way, its database open and written to."""
    done = backend.started()
    done.answer(0, 1)
    done.send("log", b"first\n")
    done.finish(result={"num_questions": 2, "accuracy": 1.0})
    backend.started().answer(0)
    home = backend.home
    for path in ("runs/1/attempts/1/config.json", "evaluate/wordproblems/m/1/evaluate/answer.json", "models/m/weights"):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(path)
    (home / "evaluate/wordproblems/m/evaluate").symlink_to("1/evaluate")
    (home / "logs").mkdir(exist_ok=True)
    target = tmp_path / "kept" / "backup.tar"
    assert back_up(home, target, models=False, say=quiet) == target.stat().st_size
    return target


def test_restored_home_has_what_the_database_said_and_all_files(
    backend: Backend, archive: Path, tmp_path: Path
) -> None:
    home = tmp_path / "new"
    restore(archive, home, quiet)
    with sqlite3.connect(home / "backend" / "memgen.db") as database:
        assert database.execute("SELECT status FROM run ORDER BY id").fetchall() == [("succeeded",), ("running",)]
        assert database.execute("SELECT count(*) FROM answer").fetchone() == (3,)
    assert (home / "backend" / "attempts" / "1-1.log").read_bytes() == b"first\n"
    assert (home / "runs/1/attempts/1/config.json").read_text() == "runs/1/attempts/1/config.json"
    link = home / "evaluate/wordproblems/m/evaluate"
    assert link.is_symlink()
    assert (link / "answer.json").read_text().endswith("answer.json")
    assert not list(home.glob(".restore-*"))


def test_run_under_way_is_lost_in_the_restored_home_and_tried_again(
    backend: Backend, archive: Path, tmp_path: Path, start: Callable[..., Backend]
) -> None:
    home = tmp_path / "new"
    restore(archive, home, quiet)
    other = start(home=home)
    for _ in range(4):
        other.reconciler.round()
        other.clock.pass_time(30)
    run = other.run(2)
    assert [one["status"] for one in run["attempts"]] == ["lost", "queued"]
    assert run["attempts"][1]["resumes"] == 1
    assert other.run(1)["status"] == "succeeded"


def test_secrets_weights_and_what_belongs_to_processes_stay_out(
    backend: Backend, archive: Path, tmp_path: Path
) -> None:
    names = names_in(archive)
    assert {ABOUT, "backend/memgen.db"} <= names
    assert not [name for name in names if name.startswith(("models", "redis", "worker")) or "token" in name]
    assert archive.stat().st_mode & 0o777 == 0o600
    whole = tmp_path / "whole.tar"
    back_up(backend.home, whole, models=True, say=quiet)
    assert "models/m/weights" in names_in(whole)


def test_backup_into_the_home_itself_leaves_earlier_backups_out(backend: Backend) -> None:
    kept = backend.home / "backups"
    for name in ("one.tar", "two.tar"):
        back_up(backend.home, kept / name, models=False, say=quiet)
    assert not [name for name in names_in(kept / "two.tar") if name.startswith("backups")]
    beside = backend.home / "three.tar"
    back_up(backend.home, beside, models=False, say=quiet)
    assert not [name for name in names_in(beside) if "partial" in name or name.startswith("memgen-backup")]


def test_nothing_is_overwritten_and_nothing_half_written_stays(backend: Backend, archive: Path, tmp_path: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(BadInput, match="there already") as refusal:
        back_up(backend.home, archive, models=False, say=quiet)
    assert refusal.value.code == "backup_exists"
    assert archive.read_bytes() == before
    with pytest.raises(BadInput) as refusal:
        restore(archive, backend.home, quiet)
    assert refusal.value.code == "home_in_use"
    with pytest.raises(BadInput) as refusal:
        back_up(tmp_path / "empty", tmp_path / "x.tar", models=False, say=quiet)
    assert refusal.value.code == "no_database"
    assert list(archive.parent.iterdir()) == [archive]


@pytest.mark.parametrize("harm", ["torn", "no database", "other format", "not a tar"])
def test_damaged_backup_is_refused_and_leaves_the_home_empty(archive: Path, tmp_path: Path, harm: str) -> None:
    bad, home = tmp_path / "bad.tar", tmp_path / "new"
    if harm == "torn":
        bad.write_bytes(archive.read_bytes()[: archive.stat().st_size // 3])
    elif harm == "not a tar":
        bad.write_bytes(b"hello" * 1000)
    else:
        (tmp_path / ABOUT).write_text(json.dumps({"format": 99 if harm == "other format" else 1, "runs": 0, "time": 0}))
        with tarfile.open(bad, "w") as file:
            file.add(tmp_path / ABOUT, ABOUT)
    with pytest.raises(BadInput) as refusal:
        restore(bad, home, quiet)
    assert refusal.value.code == "bad_backup"
    assert list(home.iterdir()) == []


def test_path_out_of_the_home_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.tar"
    (tmp_path / "x").write_text("x")
    with tarfile.open(bad, "w") as file:
        file.add(tmp_path / "x", "../outside")
    with pytest.raises(BadInput) as refusal:
        restore(bad, tmp_path / "home" / "new", quiet)
    assert refusal.value.code == "bad_backup"
    assert not (tmp_path / "home" / "outside").exists()
