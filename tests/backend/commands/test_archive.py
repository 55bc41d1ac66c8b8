"""Backup and restore of a home, while runs are under way and afterwards."""

import errno
import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.commands.archive import backup as module
from backend.commands.archive import restore as restoring
from backend.commands.archive.archive import ABOUT, TABLE
from backend.commands.archive.backup import back_up
from backend.commands.archive.restore import restore
from backend.commands.cli import app
from memgen.contract.config import parse_config
from memgen.contract.errors import BadInput
from memgen.contract.publish import link_log
from memgen.contract.rundir import RunDir, attempt_dir, log_link, newest_link, published_dir
from tests.backend.conftest import Backend, Held
from tests.backend.services.test_adding import added
from tests.checkpoints import write_checkpoint


def quiet(_: str) -> None:
    pass


def names_in(archive: Path) -> set[str]:
    with tarfile.open(archive) as file:
        return set(file.getnames())


def prepared(backend: Backend, held: Held) -> RunDir:
    """The folder of an attempt with a config, a log and an answer, made as its supervisor and trainer make it."""
    folder = attempt_dir(backend.home, held.run_id, held.number, "evaluate")
    folder.path.mkdir(parents=True)
    folder.config.write_text("{}")
    folder.log.write_text("log")
    folder.answers.parent.mkdir()
    folder.answers.write_text(f"answers of run {held.run_id}")
    link_log(backend.home, held.run_id, folder)
    held.send("log", b"log")
    held.answer(0)
    return folder


def published(held: Held) -> None:
    """Let an attempt win, so that what it left gets its public path."""
    assert held.finish(result={"num_questions": 1, "accuracy": 1.0}).status_code == 200


def meanwhile(monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]) -> None:
    """Let something happen when the database has been copied and no file has."""
    copy = module.copy_database

    def copy_and_act(source: Path, target: Path) -> object:
        copied = copy(source, target)
        action()
        return copied

    monkeypatch.setattr(module, "copy_database", copy_and_act)


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


@pytest.fixture
def small_home(home: Path, migrated: Path) -> Path:
    """A home whose one run was deleted but for its files; no backend serves it."""
    for name in ("runs/1/attempts/1/config.json", "backend/attempts/1-1.log"):
        (home / name).parent.mkdir(parents=True)
        (home / name).write_text(name)
    shutil.copy(migrated, home / "backend" / "memgen.db")
    with sqlite3.connect(home / "backend" / "memgen.db") as database:
        database.execute("INSERT INTO sqlite_sequence VALUES ('run', 1)")
    return home


IN_SMALL_HOME = {ABOUT, "backend/memgen.db", "backend/attempts/1-1.log", "runs/1/attempts/1/config.json", TABLE}


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
    assert not list(home.glob(".memgen-restore-*"))


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
    assert not [name for name in names_in(beside) if "memgen-backup" in name or name.endswith(".tar")]
    assert not [path for path in backend.home.rglob("*") if "memgen-backup" in path.name]


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


def test_damaged_database_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    database = tmp_path / "home" / "backend" / "memgen.db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"no database at all " * 1000)
    with pytest.raises(BadInput) as refusal:
        back_up(tmp_path / "home", tmp_path / "backups" / "x.tar", models=False, say=quiet)
    assert (refusal.value.code, refusal.value.value) == ("database_damaged", str(database))
    assert list((tmp_path / "backups").iterdir()) == []


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


def test_runs_that_begin_during_a_backup_stay_out_and_their_ids_are_free_in_the_restored_home(
    backend: Backend, tmp_path: Path, start: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = backend.started()
    prepared(backend, first)
    published(first)
    second = backend.started()  # under way when the database is copied
    prepared(backend, second)
    backend.submit()  # queued then

    def go_on() -> None:
        published(second)
        for held in (backend.held(), backend.started()):
            prepared(backend, held)
            published(held)

    meanwhile(monkeypatch, go_on)
    said: list[str] = []
    back_up(backend.home, tmp_path / "b.tar", models=False, say=said.append)
    assert "meanwhile" in said[-1]
    home = tmp_path / "new"
    restore(tmp_path / "b.tar", home, quiet)
    config = parse_config(backend.config)
    there = {run_id: published_dir(home, config, run_id).exists() for run_id in (1, 2, 3, 4)}
    assert there == {1: True, 2: False, 3: False, 4: False}
    assert sorted(path.name for path in (home / "runs").iterdir()) == ["1", "2"]
    assert sorted(path.name for path in (home / "backend" / "attempts").iterdir()) == ["1-1.log", "2-1.log"]
    assert sorted(path.name for path in (home / "logs").iterdir()) == ["1.log", "2.log"]
    assert newest_link(home, config).resolve() == attempt_dir(home, 1, 1, "evaluate").output

    other = start(home=home)
    assert other.submit() == 4
    for _ in range(4):
        other.reconciler.round()
        other.clock.pass_time(30)
    for _ in range(3):  # whatever is left can begin, and is published at its place
        held = other.held()
        folder = prepared(other, held)
        folder.answers.write_text(f"anew {held.run_id}")
        published(held)
        assert (published_dir(home, config, held.run_id) / "answer.json").read_text() == f"anew {held.run_id}"
    assert (published_dir(home, config, 1) / "answer.json").read_text() == "answers of run 1"


def test_attempt_that_begins_during_a_backup_stays_out_and_those_before_it_stay_in(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = backend.started()
    prepared(backend, held)
    held.finish("failed", "error")

    def try_again() -> None:
        assert backend.user("POST", f"/runs/{held.run_id}/resume").status_code == 200
        again = backend.held()
        prepared(backend, again)
        published(again)

    meanwhile(monkeypatch, try_again)
    back_up(backend.home, tmp_path / "b.tar", models=False, say=quiet)
    home = tmp_path / "new"
    restore(tmp_path / "b.tar", home, quiet)
    assert attempt_dir(home, 1, 1, "evaluate").answers.read_text() == "answers of run 1"
    assert not attempt_dir(home, 1, 2, "evaluate").path.exists()
    assert [path.name for path in (home / "backend" / "attempts").iterdir()] == ["1-1.log"]
    assert log_link(home, 1).resolve() == attempt_dir(home, 1, 1, "evaluate").log
    assert not (home / "evaluate").exists()


def test_folders_of_runs_that_the_database_forgot_are_kept(backend: Backend, tmp_path: Path) -> None:
    held = backend.started()
    prepared(backend, held)
    published(held)
    with sqlite3.connect(backend.context.settings.database) as database:
        for table in ("metric", "answer", "run_event", "attempt", "run"):
            database.execute(f"DELETE FROM {table}")
    (backend.home / "runs" / "1" / "attempts" / "notes.txt").write_text("mine")
    (backend.home / "runs" / "notes").mkdir()
    back_up(backend.home, tmp_path / "b.tar", models=False, say=quiet)
    assert {"runs/1/attempts/1/log.txt", "runs/1/attempts/notes.txt", "runs/notes"} <= names_in(tmp_path / "b.tar")
    assert "evaluate/wordproblems/qwen2-242k/1/evaluate" in names_in(tmp_path / "b.tar")


@pytest.mark.parametrize("area", ["evaluate", "runs"])
def test_public_paths_of_a_restored_home_lead_to_its_own_files(backend: Backend, tmp_path: Path, area: str) -> None:
    (tmp_path / "other" / "disk").mkdir(parents=True)
    (backend.home / area).symlink_to(tmp_path / "other" / "disk")
    held = backend.started()
    prepared(backend, held)
    published(held)
    home = tmp_path / "new"
    back_up(backend.home, tmp_path / "b.tar", models=False, say=quiet)
    restore(tmp_path / "b.tar", home, quiet)
    config = parse_config(backend.config)
    output = attempt_dir(home, 1, 1, "evaluate").output
    assert published_dir(home, config, 1).resolve() == newest_link(home, config).resolve() == output
    assert not published_dir(home, config, 1).readlink().is_absolute()
    assert (output / "answer.json").read_text() == "answers of run 1"


def test_folder_that_lies_on_another_disk_comes_back_as_a_plain_folder(backend: Backend, tmp_path: Path) -> None:
    big = tmp_path / "big"
    (big / "train" / "gsm8k" / "m" / "1" / "weaver_sft").mkdir(parents=True)
    (big / "train" / "gsm8k" / "m" / "1" / "weaver_sft" / "weights").write_text("w")
    (big / "train" / "gsm8k" / "m" / "weaver_sft").symlink_to("1/weaver_sft")
    (big / "models").mkdir()
    (big / "empty").mkdir()
    with sqlite3.connect(backend.context.settings.database) as database:
        database.execute("INSERT INTO sqlite_sequence VALUES ('run', 1)")  # a run that was deleted
    (backend.home / "runs").mkdir()
    for name in ("runs", "backend"):
        (backend.home / name).rename(big / name)
    for name in ("train", "models", "empty", "runs", "backend"):
        (backend.home / name).symlink_to(big / name)
    back_up(backend.home, big / "train" / "b.tar", models=False, say=quiet)
    home = tmp_path / "new"
    restore(big / "train" / "b.tar", home, quiet)
    assert not [path for path in home.iterdir() if path.is_symlink()]
    assert (home / "backend" / "memgen.db").exists()
    assert (home / "train" / "gsm8k" / "m" / "weaver_sft" / "weights").read_text() == "w"
    assert not [name for name in names_in(big / "train" / "b.tar") if "memgen-backup" in name or name.endswith(".tar")]


def test_absolute_link_inside_the_home_points_into_the_restored_home(
    backend: Backend, archive: Path, tmp_path: Path
) -> None:
    (backend.home / "best").symlink_to(backend.home / "evaluate" / "wordproblems" / "m" / "1")
    back_up(backend.home, tmp_path / "b.tar", models=False, say=quiet)
    home = tmp_path / "new"
    restore(tmp_path / "b.tar", home, quiet)
    assert (home / "best").resolve() == home / "evaluate" / "wordproblems" / "m" / "1"


@pytest.mark.parametrize("name", ["train/gsm8k", "notes.txt", "gone", "above"])
def test_other_link_out_of_the_home_is_refused_by_name_before_anything_is_written(
    backend: Backend, tmp_path: Path, name: str
) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "notes.txt").write_text("")
    places = {"train/gsm8k": tmp_path / "big", "notes.txt": tmp_path / "big" / "notes.txt", "above": tmp_path}
    link = backend.home / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(places.get(name, tmp_path / "not mounted"))
    with pytest.raises(BadInput) as refusal:
        back_up(backend.home, tmp_path / "kept" / "b.tar", models=False, say=quiet)
    assert (refusal.value.code, refusal.value.value) == ("link_leaves_home", str(link)[:200])
    assert refusal.value.way_out
    assert not (tmp_path / "kept").exists()


def close(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    """Let files and folders be unreadable; by hand, as tests may run as root, who reads everything."""

    def refuse(path: object, *_: object, **__: object) -> None:
        if str(path) in map(str, paths):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

    def guarded(call: Callable[..., object]) -> Callable[..., object]:
        return lambda path, *rest, **more: refuse(path) or call(path, *rest, **more)

    for owner, name in ((os, "scandir"), (os, "listdir"), (Path, "open")):
        monkeypatch.setattr(owner, name, guarded(getattr(owner, name)))


@pytest.mark.parametrize("name", ["runs/1/attempts", "runs/1/attempts/1/config.json", "runs", "backend/memgen.db"])
def test_folder_or_file_that_cannot_be_read_is_named_and_no_backup_is_left(
    small_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    close(monkeypatch, small_home / name)
    with pytest.raises(BadInput, match="Permission denied") as refusal:
        back_up(small_home, tmp_path / "new" / "b.tar", models=False, say=quiet)
    assert (refusal.value.code, refusal.value.value) == ("unreadable", str(small_home / name)[:200])
    assert not list((tmp_path / "new").glob("*"))


@pytest.mark.parametrize(
    "name", ["found", "notes.txt", ".Trash-1000", "runs/.snapshot", "runs/aquota.user", "train/gsm8k/.nfs0001"]
)
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_cannot_be_read_and_is_not_the_services_is_named_and_left_out(
    small_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    path = small_home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        path.mkdir()
    else:
        path.write_text("x")
    close(monkeypatch, path)
    lines: list[str] = []
    back_up(small_home, tmp_path / "b.tar", models=False, say=lines.append)
    left_out = [line for line in lines if line.startswith("left out: ")]
    assert left_out == [f"left out: {name!r}: it can't be read (Permission denied), and the service did not make it"]
    assert names_in(tmp_path / "b.tar") - {"train/gsm8k"} == IN_SMALL_HOME


@pytest.mark.parametrize("name", ["lost+found", "runs/lost+found", "train/lost+found"])
def test_folder_of_the_file_system_stops_no_backup_wherever_a_disk_begins(
    small_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (small_home / name).mkdir(parents=True)
    close(monkeypatch, small_home / name)
    lines: list[str] = []
    back_up(small_home, tmp_path / "b.tar", models=False, say=lines.append)
    assert f"left out: {name!r}: it belongs to the file system" in lines
    assert not [name for name in names_in(tmp_path / "b.tar") if "lost" in name]


@pytest.mark.parametrize("kind", ["pipe", "socket", "backslash", "line break", "deep", "backup.json", "table",
                                  "link to secrets", "link to home", "link among secrets", "link to a line break",
                                  "secret of another version", "file for a folder"])  # fmt: skip
def test_what_no_archive_can_hold_is_named_and_the_rest_can_be_restored(
    small_home: Path, tmp_path: Path, kind: str
) -> None:
    home = small_home
    deep = home / "notes" / "/".join(["d"] * 70)
    with socket.socket(socket.AF_UNIX) as server:
        {
            "pipe": lambda: os.mkfifo(home / "odd"),
            "socket": lambda: server.bind(os.path.relpath(home / "odd")),
            "backslash": lambda: (home / "a\\b").write_text("x"),
            "line break": lambda: (home / "a\nb").write_text("x"),
            "deep": lambda: deep.mkdir(parents=True),
            "backup.json": lambda: (home / ABOUT).write_text("{}"),
            "table": lambda: (home / TABLE).write_text(""),
            "link to secrets": lambda: (home / "secrets").symlink_to("backend/token"),
            "link to home": lambda: (home / "all").symlink_to("."),
            "link among secrets": lambda: (home / "backend" / "attempts" / "other").symlink_to("../../runs"),
            "link to a line break": lambda: (home / "odd").symlink_to("runs/a\nb"),
            "secret of another version": lambda: (home / "backend" / "sessions").write_text("secret"),
            "file for a folder": lambda: (home / "train").write_text(""),
        }[kind]()
    lines: list[str] = []
    back_up(home, tmp_path / "b.tar", models=False, say=lines.append)
    assert len([line for line in lines if line.startswith("left out: ")]) == 1
    assert all(line.isprintable() for line in lines)
    said: list[str] = []
    restore(tmp_path / "b.tar", tmp_path / "new", said.append)
    assert len(said) == 1
    assert (tmp_path / "new" / "runs/1/attempts/1/config.json").exists()


def test_many_things_that_stay_out_are_counted(small_home: Path, tmp_path: Path) -> None:
    for number in range(30):
        os.mkfifo(small_home / f"pipe-{number:02d}")
    lines: list[str] = []
    back_up(small_home, tmp_path / "b.tar", models=False, say=lines.append)
    assert [line for line in lines if line.startswith("left out: ")][-1] == "left out: 20 more"
    assert len(lines) == 13


@pytest.mark.parametrize(
    "name",
    [
        "é€🙂",
        "n" * 200,
        "/".join(["part" * 20] * 10),
        "\u202edcba",
        "with space",
        os.fsdecode(b"\xff\xfe"),
        "%41#?",
        "backup.json/x",
        "-rf",
    ],
)
def test_odd_names_come_back_as_they_were(small_home: Path, tmp_path: Path, name: str) -> None:
    path = small_home / "notes" / name
    path.parent.mkdir(parents=True)
    path.write_text("x")
    (small_home / "link").symlink_to(f"notes/{name}")
    back_up(small_home, tmp_path / "b.tar", models=False, say=quiet)
    restore(tmp_path / "b.tar", tmp_path / "new", quiet)
    assert (tmp_path / "new" / "notes" / name).read_text() == "x"
    assert (tmp_path / "new" / "link").readlink() == Path(f"notes/{name}")


def test_two_names_of_one_file_are_two_files_in_a_backup(small_home: Path, tmp_path: Path) -> None:
    config = small_home / "runs/1/attempts/1/config.json"
    (config.parent / "same").hardlink_to(config)
    back_up(small_home, tmp_path / "b.tar", models=False, say=quiet)
    restore(tmp_path / "b.tar", tmp_path / "new", quiet)
    same = tmp_path / "new/runs/1/attempts/1/same"
    assert same.read_text() == config.read_text()
    assert same.stat().st_nlink == 1


def test_archive_ends_with_a_table_of_names_sizes_and_hashes(small_home: Path, tmp_path: Path) -> None:
    archive = tmp_path / "b.tar"
    back_up(small_home, archive, models=False, say=quiet)
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        assert members[-1].name == TABLE
        lines = [json.loads(line) for line in tar.extractfile(members[-1])]  # type: ignore[union-attr]
        assert [line["name"] for line in lines] == [member.name for member in members[:-1]]
        for line, member in zip(lines, members, strict=False):
            assert (line["size"], line["link"] or "") == (member.size, member.linkname)
            if member.isreg():
                content = tar.extractfile(member).read()  # type: ignore[union-attr]
                assert line["sha256"] == hashlib.sha256(content).hexdigest()
    assert {(member.uid, member.uname, member.mode & 0o077) for member in members if not member.issym()} == {(0, "", 0)}


def test_database_that_sqlite_cannot_open_is_named(small_home: Path, tmp_path: Path) -> None:
    for name in ("memgen.db-wal", "memgen.db-shm"):
        (small_home / "backend" / name).mkdir()
    with pytest.raises(BadInput) as refusal:
        back_up(small_home, tmp_path / "b.tar", models=False, say=quiet)
    assert (refusal.value.code, refusal.value.field) == ("unreadable", "MEMGEN_HOME")


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_file_that_is_a_link_to_itself_is_a_sentence(
    small_home: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    result = CliRunner().invoke(app, [command, str(tmp_path / "loop")])
    assert (result.exit_code, len(result.output.splitlines())) == (2, 1), result.output
    assert result.output.startswith("error: FILE: ")


def test_home_on_a_file_or_without_rights_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for home in (tmp_path / "file", tmp_path / "file" / "beneath", tmp_path / ("n" * 300)):
        with pytest.raises(BadInput) as refusal:
            back_up(home, tmp_path / "b.tar", models=False, say=quiet)
        assert refusal.value.code in {"no_database", "unreadable"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_backup_that_is_ended_by_a_signal_leaves_nothing(
    small_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    meanwhile(monkeypatch, lambda: os.kill(os.getpid(), number))
    result = CliRunner().invoke(app, ["backup", str(tmp_path / "other" / "b.tar")])
    assert result.exit_code not in {0, 2}
    assert list((tmp_path / "other").iterdir()) == []


def test_backup_into_a_folder_of_runs_leaves_none_of_them_out(backend: Backend, archive: Path) -> None:
    back_up(backend.home, backend.home / "runs" / "1" / "b.tar", models=False, say=quiet)
    second = backend.home / "runs" / "c.tar"
    back_up(backend.home, second, models=False, say=quiet)
    assert names_in(second) == names_in(archive)


def test_path_may_hold_what_means_something_in_an_address(backend: Backend, archive: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a#b?c=%41%"
    back_up(backend.home, odd / "#1?.tar", models=False, say=quiet)
    restore(odd / "#1?.tar", odd / "home", quiet)
    back_up(odd / "home", odd / "again.tar", models=False, say=quiet)
    assert names_in(odd / "again.tar") == names_in(archive)


def test_full_disk_during_a_restore_is_told_apart_from_a_bad_backup(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(restoring, "_copy", full)
    with pytest.raises(BadInput, match="No space left") as refusal:
        restore(archive, tmp_path / "new", quiet)
    assert (refusal.value.code, refusal.value.field) == ("restore_failed", "MEMGEN_HOME")
    assert "room" in refusal.value.way_out
    assert list((tmp_path / "new").iterdir()) == []


def test_checkpoints_from_outside_come_along_and_work_where_they_are_restored(
    backend: Backend, tmp_path: Path, start: Callable[..., Backend]
) -> None:
    number = added(backend, write_checkpoint(tmp_path / "mine"))
    (backend.home / "checkpoints" / ".adding-1").mkdir()
    (backend.home / "checkpoints" / ".adding-1" / "half").write_text("of an addition under way")
    (backend.home / "checkpoints" / "99").mkdir()
    (backend.home / "checkpoints" / "99" / "late").write_text("of one that was added after the copy")
    target = tmp_path / "kept" / "backup.tar"
    back_up(backend.home, target, models=False, say=quiet)
    kept = {name for name in names_in(target) if name.startswith("checkpoints/")}
    assert kept == {f"checkpoints/{number}/manifest.json", f"checkpoints/{number}/parts.safetensors"}
    home = tmp_path / "new"
    restore(target, home, quiet)
    other = start(home=home)
    assert other.get(f"/checkpoints/{number}")["usable"]
    assert other.submit(setting="weaver", checkpoint=str(number)) == number + 1


def test_registered_data_sets_come_along_and_uploads_do_not(
    backend: Backend, tmp_path: Path, start: Callable[..., Backend]
) -> None:
    rows = b"".join(b'{"q": "%d?", "a": %d}\n' % (n, n) for n in range(20))

    def send() -> str:
        reply = backend.user("POST", "/data-sets/uploads", params={"name": "rows.jsonl"}, content=rows)
        return str(reply.json()["id"])

    said = {"name": "numbers", "columns": {"question": "q", "answer": "a"}}
    reply = backend.user("POST", "/data-sets", json={"files": [{"upload": send()}], "registration": said})
    name = reply.json()["name"]
    left = send()
    target = tmp_path / "kept" / "backup.tar"
    back_up(backend.home, target, models=False, say=quiet)
    assert {f"data-sets/{name}/record.json", f"data-sets/{name}/rows.jsonl"} <= names_in(target)
    assert not any(left in one for one in names_in(target))
    home = tmp_path / "new"
    restore(target, home, quiet)
    other = start(home=home)
    assert name in {one["name"] for one in other.get("/data-sets")["items"]}
    assert other.user(
        "POST", "/preflight", json={"config": backend.config | {"data": name, "num_questions": 4}}
    ).json()["ok"]
