"""Archives that a stranger made or that were damaged: refused in a sentence, the home left empty, nothing beside it."""

import bz2
import gzip
import io
import lzma
import os
import random
import signal
import sqlite3
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from backend.commands.archive import decompress
from backend.commands.archive import restore as module
from backend.commands.archive.archive import ABOUT, DATABASE, LEFT_OUT, TABLE
from backend.commands.archive.backup import back_up
from backend.commands.archive.restore import restore
from backend.commands.cli import app
from backend.store.db import Database
from memgen.contract.errors import BadInput
from tests.security.archives import (
    BLOCK,
    END,
    about,
    archive,
    checked,
    gnu_long,
    hard_link,
    header,
    link,
    member,
    pax,
    pax_of,
    tree,
    with_table,
)

GIB = 2**30
DEEP = 100_000


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as the service leaves it: an empty database, a run's files, links."""
    folder = tmp_path_factory.mktemp("home")
    database = Database(folder / DATABASE)
    database.migrate()
    database.close()
    with sqlite3.connect(folder / DATABASE) as connection:
        connection.execute("INSERT INTO sqlite_sequence VALUES ('run', 1)")  # a run that was deleted
        connection.execute("PRAGMA journal_mode=DELETE")
    log = folder / "runs" / "1" / "attempts" / "1" / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_text("log")
    (folder / "runs" / "1" / "empty").mkdir()
    (folder / "logs").mkdir()
    (folder / "logs" / "1.log").symlink_to("../runs/1/attempts/1/log.txt")
    return folder


@pytest.fixture(scope="module")
def database(home: Path) -> bytes:
    return (home / DATABASE).read_bytes()


@pytest.fixture(scope="module")
def whole(home: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The archive that `backup` makes of it."""
    target = tmp_path_factory.mktemp("kept") / "backup.tar"
    back_up(home, target, models=False, say=quiet)
    return target.read_bytes()


@pytest.fixture(scope="module")
def expected(home: Path, whole: bytes) -> dict[str, object]:
    """What a home restored from it holds; the copy of the database differs from the original by a counter."""
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        copy = tar.extractfile(DATABASE)
        assert copy is not None
        return tree(home) | {DATABASE: copy.read()}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where to restore: an empty folder beside one that an archive may want to write to; that one must stay."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    (tmp_path / "new").mkdir()
    yield tmp_path / "new"
    assert tree(outside) == {"precious": b"precious"}
    assert {path.name for path in tmp_path.iterdir()} <= {"outside", "new", "a.tar"}


def refused(data: bytes, place: Path) -> BadInput:
    """The refusal of an archive; that it is a sentence, and that nothing was written, is looked at here."""
    source = place.parent / "a.tar"
    source.write_bytes(data)
    with pytest.raises(BadInput) as refusal:
        restore(source, place, quiet)
    assert list(place.iterdir()) == []
    error = refusal.value
    assert error.way_out
    assert str(error).isprintable(), repr(str(error))
    assert len(str(error)) < 800
    return error


def restored(data: bytes, place: Path) -> list[str]:
    """Restore an archive; returns what was said."""
    source = place.parent / "a.tar"
    source.write_bytes(data)
    lines: list[str] = []
    restore(source, place, lines.append)
    assert all(line.isprintable() for line in lines)
    return lines


def symlink_ladder() -> list[bytes]:
    """The pattern of CVE-2025-4517: a path so long that it was no longer resolved, then one step too many."""
    step, members, path = "d" * 247, [], ""
    for letter in "abcdefghijklmnop":
        members += [header_long(f"{path}{step}", kind=b"5"), header_long(f"{path}{letter}", kind=b"2", linkname=step)]
        path += f"{step}/"
    short = "/".join("abcdefghijklmnop")
    far = header_long(f"{short}/{'l' * 254}", kind=b"2", linkname="../" * 16)
    return [*members, far, link("escape", f"{short}/{'l' * 254}/../../outside"), member("escape/precious", b"mine")]


def header_long(name: str, **fields: object) -> bytes:
    """A member whose name may be longer than a header has room for."""
    return pax(path=name) + header(name[:90], **fields)


HOSTILE: dict[str, list[bytes]] = {
    "parent folder": [member("../outside/precious", b"mine")],
    "parent folder within": [member("runs/../../outside/precious", b"mine")],
    "parent folder at the end": [member("runs/..", b"mine")],
    "absolute": [member("/etc/memgen-attack", b"mine")],
    "absolute twice": [member("//etc/memgen-attack", b"mine")],
    "dot": [member("./runs/x", b"mine")],
    "empty name": [member(b"", b"mine")],
    "empty part": [member("runs//x", b"mine")],
    "backslashes": [member("..\\..\\outside\\precious", b"mine")],
    "drive": [member("C:\\x", b"mine")],
    "newline": [member("runs/a\nb", b"mine")],
    "escape sequence": [member("runs/\x1b[2Jx", b"mine")],
    "delete character": [member("runs/\x7f", b"mine")],
    "NUL by pax": [pax(path="runs/a\0b"), member("x", b"mine")],
    "name of 6,000 characters": [pax(path="n" * 6000), member("x", b"mine")],
    "name of 300 characters": [pax(path="n" * 300), member("x", b"mine")],
    "path of 3,000 characters": [pax(path="/".join(["n" * 99] * 30)), member("x", b"mine")],
    "a thousand folders deep": [pax(path="d/" * 1000 + "x"), member("x", b"mine")],
    "parent folder by pax": [pax(path="../outside/precious"), member("x", b"mine")],
    "parent folder by gnu": [gnu_long(b"L", b"../outside/precious\0"), member("x", b"mine")],
    "same file twice": [member("runs/x", b"1"), member("runs/x", b"2")],
    "database twice": [member(DATABASE, b"2")],
    "file in place of the runs": [member("runs", b"1")],
    "file in place of an area": [member("train", b"1")],
    "file in place of the logs": [member("backend/attempts", b"1")],
    "backup.json twice": [about()],
    "file, then folder": [member("runs/x", b"1"), header("runs/x", kind=b"5")],
    "file beneath a file": [member("runs/x", b"1"), member("runs/x/y", b"2")],
    "file where a folder is": [member("runs/x/y", b"1"), member("runs/x", b"2")],
    "file in place of the backend": [member("backend", b"1")],
    "link that leaves": [link("out", "../outside")],
    "absolute link": [link("out", "/etc")],
    "link that leaves by pax": [pax(linkpath="../outside"), link("out", "x")],
    "link that leaves by gnu": [gnu_long(b"K", b"../outside\0"), link("out", "x")],
    "link, then a file through it": [link("out", "runs"), member("out/x", b"mine")],
    "link, then a file in its place": [link("out", "runs"), member("out", b"mine")],
    "file, then a link in its place": [member("out", b"mine"), link("out", "runs")],
    "link with a line break": [link("out", "runs/a\nb")],
    "empty link": [header("out", kind=b"2")],
    "link in the folder of a link": [link("runs/a", "1"), link("runs/a/b", "../../..")],
    "ladder of links": symlink_ladder(),
    "hard link out": [hard_link("x", "../outside/precious")],
    "hard link to a file of the machine": [hard_link("x", "/etc/passwd")],
    "hard link to a link": [link("a", "runs"), hard_link("b", "a")],
    "hard link to itself": [hard_link("a", "a")],
    "hard link to what comes later": [hard_link("a", "b"), member("b", b"x")],
    "pipe": [header("x", kind=b"6")],
    "character device": [header("x", kind=b"3", devmajor=1, devminor=5)],
    "block device": [header("x", kind=b"4", devmajor=8)],
    "contiguous file": [member("x", b"1", kind=b"7")],
    "unknown type": [member("x", b"1", kind=b"Z")],
    "sparse file of 901 GB": [member("x", b"", kind=b"S", size=901 * 10**9)],
    "sparse file by pax": [pax(**{"GNU.sparse.major": "1", "GNU.sparse.realsize": str(901 * 10**9)}), member("x")],
    "old sparse file by pax": [pax(**{"GNU.sparse.size": str(901 * 10**9)}), member("x", b"1")],
    "volume label": [header("x", kind=b"V")],
    "continued file": [member("x", b"1", kind=b"M")],
    "dump folder": [member("x", b"1", kind=b"D")],
    "global header": [member("g", b"20 path=../outside\n", kind=b"g")],
    "size beyond the end": [member("x", b"1", size=GIB)],
    "size of exabytes": [member("x", b"1", size=2**62)],
    "size by pax beyond the end": [pax(size=str(2**70)), member("x", b"1")],
    "size by pax of 5,000 digits": [pax(size="9" * 5000), member("x", b"1")],
    "negative size": [header("x", size=-512)],
    "negative size by pax": [pax(size="-512"), member("x", b"1")],
    "size by pax that is no number": [pax(size="1e3"), member("x", b"1")],
    "folder with a size": [member("x", b"1", kind=b"5")],
    "link with a size": [member("x", b"1", kind=b"2", linkname="runs")],
    "pax header of gigabytes": [header("pax", kind=b"x", size=GIB)],
    "pax header of a megabyte": [pax(comment="c" * 2**20), member("x")],
    "long name of a megabyte": [gnu_long(b"L", b"n" * 2**20), member("x")],
    "negative pax header": [header("pax", kind=b"x", size=-512), member("x")],
    "pax record longer than it is": [pax_of(b"99 path=x\n"), member("x")],
    "pax record of length 0": [pax_of(b"0 path=x\n"), member("x")],
    "pax record without a length": [pax_of(b"path=x\n"), member("x")],
    "pax record of too many digits": [pax_of(b"9" * 4000 + b" path=x\n"), member("x")],
    "pax header of zeros": [pax_of(bytes(600)), member("x")],
    "pax header for nothing": [pax(path="x")],
    "long name for nothing": [gnu_long(b"L", b"x\0")],
    "damaged checksum": [header("x")[:148] + b"0000000\0" + header("x")[156:]],
    "letters for a size": [checked(header("x")[:124] + b"letters here" + header("x")[136:])],
    "no header at all": [b"hello" * 1000],
    "noise": [random.Random(0).randbytes(4096)],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_member_is_refused_and_leaves_the_home_empty(name: str, database: bytes, place: Path) -> None:
    assert refused(archive(database, *HOSTILE[name]), place).code == "bad_backup"


@pytest.mark.parametrize(
    "name", ["parent folder", "absolute", "link that leaves", "link, then a file through it", "link with a line break"]
)
def test_true_table_makes_no_hostile_member_better(name: str, database: bytes, place: Path) -> None:
    assert refused(with_table(archive(database, *HOSTILE[name])), place).code == "bad_backup"


ABOUTS = {
    "no time": '{"format": 1, "runs": 0}',
    "time not a number": '{"format": 1, "runs": 0, "time": NaN}',
    "endless time": '{"format": 1, "runs": 0, "time": Infinity}',
    "time as text": '{"format": 1, "runs": 0, "time": "yesterday"}',
    "time of nobody's clock": '{"format": 1, "runs": 0, "time": 1e300}',
    "time of the year 100,000": '{"format": 1, "runs": 0, "time": 3100000000000}',
    "time before 1970": '{"format": 1, "runs": 0, "time": -1e18}',
    "time as a list": '{"format": 1, "runs": 0, "time": []}',
    "time as nothing": '{"format": 1, "runs": 0, "time": null}',
    "time as a boolean": '{"format": 1, "runs": 0, "time": true}',
    "time of 5,000 digits": '{"format": 1, "runs": 0, "time": ' + "9" * 5000 + "}",
    "no format": '{"runs": 0, "time": 0}',
    "format as text": '{"format": "1", "runs": 0, "time": 0}',
    "format as a boolean": '{"format": true, "runs": 0, "time": 0}',
    "another format": '{"format": 99, "runs": 0, "time": 0}',
    "format 2 without a table": '{"format": 2, "runs": 0, "time": 0}',
    "deep lists": "[" * 10_000 + "]" * 10_000,
    "deep objects": '{"format":' * 3000 + "1" + "}" * 3000,
    "deep beside": '{"format": 1, "time": 0, "runs": ' + "[" * 10_000 + "]" * 10_000 + "}",
    "a list": "[1]",
    "a number": "1",
    "nothing": "",
    "half an object": '{"format": 1, "time"',
    "lone surrogate for a key": '{"format": 1, "time": 0, "\\ud800": 1',
    "a megabyte": '{"format": 1, "time": 0, "x": "' + "x" * 2**20 + '"}',
}


@pytest.mark.parametrize("name", ABOUTS)
def test_bad_description_is_a_sentence_and_exit_code_2(
    name: str, database: bytes, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = place.parent / "a.tar"
    source.write_bytes(archive(database, first=about(ABOUTS[name])))
    monkeypatch.setenv("MEMGEN_HOME", str(place))
    result = CliRunner().invoke(app, ["restore", str(source)])
    assert (result.exit_code, len(result.output.splitlines())) == (2, 1), result.output
    assert result.output.startswith("error: FILE: this backup can't be used: ")
    assert "Traceback" not in result.output
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("change", ["bytes", "link", "folder", "second", "missing"])
def test_description_that_is_no_first_file_is_refused(change: str, database: bytes, place: Path) -> None:
    first = {
        "bytes": member(ABOUT, b"\xff\xfe"),
        "link": link(ABOUT, DATABASE),
        "folder": header(ABOUT, kind=b"5"),
        "second": member("runs/x") + about(),
        "missing": b"",
    }
    assert refused(archive(database, first=first[change]), place).code == "bad_backup"


@pytest.mark.parametrize("text", ["", "x" * 6000, "a\0b"])
def test_path_that_can_name_no_file_is_a_sentence(text: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGEN_HOME", str(place))
    with pytest.raises(BadInput) as refusal:
        restore(Path(text), place, quiet)
    assert refusal.value.code == "no_such_backup"


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id, '' AS status FROM n"
FOLDER = "DROP TABLE checkpoint; CREATE TABLE checkpoint (folder); INSERT INTO checkpoint VALUES ({})"
DATABASES = {
    "view": f"DROP TABLE run; CREATE VIEW run AS {ENDLESS}",
    "trigger": "CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM run; END",
    "virtual table": 'CREATE VIRTUAL TABLE "\x1b[2J" USING fts5(x)',
    "schema that a terminal obeys": "CREATE TABLE x (y); PRAGMA writable_schema = 1; "
    "UPDATE sqlite_master SET sql = 'CREATE \x1b[2J', name = '\x1b[2J' WHERE name = 'x'",
    "folder outside": FOLDER.format("'train/../../outside'"),
    "absolute folder": FOLDER.format("'/etc'"),
    "folder that is no text": FOLDER.format("x'2e2e2f78'"),
    "no runs": "DROP TABLE attempt; DROP TABLE run",
}


@pytest.mark.parametrize("harm", DATABASES)
def test_database_that_is_not_the_services_is_refused(harm: str, database: bytes, place: Path) -> None:
    with sqlite3.connect(":memory:") as connection:
        connection.deserialize(database)
        connection.executescript(DATABASES[harm])
        data = connection.serialize()
    assert refused(archive(data), place).code == "bad_backup"


@pytest.mark.parametrize("harm", ["text", "nothing", "cut", "no tables"])
def test_database_that_is_none_is_refused(harm: str, database: bytes, place: Path) -> None:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE x (y)")
        other = connection.serialize()
    data = {"text": b"hello" * 1000, "nothing": b"", "cut": database[: len(database) // 2], "no tables": other}[harm]
    assert refused(archive(data), place).code == "bad_backup"


@pytest.mark.parametrize("kind", ["link", "folder", "missing"])
def test_archive_without_a_database_that_is_a_file_is_refused(kind: str, place: Path) -> None:
    instead = {"link": link(DATABASE, "runs/1"), "folder": header(DATABASE, kind=b"5"), "missing": b""}[kind]
    assert refused(about() + instead + END, place).code == "bad_backup"


@pytest.mark.parametrize("name", [*LEFT_OUT, "services/stack.json", "redis/appendonly.aof", "worker/lab/slot-0.lock",
                                  "backend/.token.x1", "runs/lost+found/x", ".memgen-restore-1/home/x"])  # fmt: skip
@pytest.mark.parametrize("form", [1, 2])
def test_what_is_never_backed_up_is_never_restored(name: str, form: int, database: bytes, place: Path) -> None:
    data = archive(database, member(name, b"evil"), member("runs/x", b"fine"))
    lines = restored(data if form == 1 else with_table(data), place)
    assert f"not restored: {name!r}" in lines
    assert set(tree(place)) == {"backend", DATABASE, "runs", "runs/x"}


@pytest.mark.parametrize(
    "target", ["backend", "backend/token", ".", "services/stack.json", "backend/memgen.db", "redis"]
)
def test_link_to_what_the_backend_keeps_private_is_not_restored(target: str, database: bytes, place: Path) -> None:
    lines = restored(
        archive(
            database,
            member("runs/1/attempts/1/log.txt", b"log"),
            link("logs/1.log", f"../{target}"),
            link("logs/2.log", "1.log"),  # leads there by way of the other
            link("logs/3.log", "../runs/1/attempts/1/log.txt"),
            link("backend/attempts", "../runs"),
        ),
        place,
    )
    assert {"not restored: 'logs/1.log'", "not restored: 'backend/attempts'"} <= set(lines)
    assert [path.name for path in (place / "logs").iterdir() if path.exists()] == ["3.log"]
    assert not (place / "logs" / "1.log").is_symlink()


def test_links_that_go_round_are_not_restored(database: bytes, place: Path) -> None:
    restored(archive(database, link("a", "b"), link("b", "a"), link("c", "c")), place)
    assert not [path for path in place.iterdir() if path.is_symlink()]


def test_link_through_another_link_cannot_climb_out(database: bytes, place: Path) -> None:
    """As text `deep/er/up/../../..` is the home; followed by way of `up`, it would be two folders above."""
    restored(
        archive(database, member("top/x"), link("deep/er/up", "../../top"), link("e", "deep/er/up/../../../top")), place
    )
    for path in place.rglob("*"):
        assert path.resolve().is_relative_to(place)
    assert (place / "e").resolve() == place / "top"


def test_names_that_differ_by_case_are_two_files_where_the_disk_has_two(database: bytes, place: Path) -> None:
    restored(archive(database, member("runs/X", b"1"), member("runs/x", b"2")), place)
    assert {path.name: path.read_text() for path in (place / "runs").iterdir()} == {"X": "1", "x": "2"}


def test_names_that_are_one_on_this_disk_are_refused(
    database: bytes, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that knows no case; by hand, since the tests' disk knows it."""
    mkdir = Path.mkdir

    def mkdir_with_file(path: Path, *rest: object, **more: object) -> None:
        mkdir(path, *rest, **more)  # type: ignore[arg-type]
        if path.name == "runs":
            (path / "x").write_text("")

    monkeypatch.setattr(Path, "mkdir", mkdir_with_file)
    error = refused(archive(database, member("runs/x", b"2")), place)
    assert (error.code, "two spellings" in error.message) == ("bad_backup", True)


def test_private_file_in_another_spelling_is_refused(
    database: bytes, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where `BACKEND/token` is the backend's token."""
    mkdir = Path.mkdir

    def mkdir_with_token(path: Path, *rest: object, **more: object) -> None:
        mkdir(path, *rest, **more)  # type: ignore[arg-type]
        if path.name == "backend":
            (path / "token").write_text("evil")

    monkeypatch.setattr(Path, "mkdir", mkdir_with_token)
    error = refused(archive(database), place)
    assert (error.code, "another spelling" in error.message) == ("bad_backup", True)


def test_hard_link_is_restored_as_a_file_of_its_own(database: bytes, place: Path) -> None:
    restored(archive(database, member("runs/x", b"same"), hard_link("runs/y", "runs/x")), place)
    assert (place / "runs" / "y").read_bytes() == b"same"
    assert (place / "runs" / "y").stat().st_nlink == 1


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_restored_files_and_folders_are_private_whatever_archive_and_umask_say(
    umask: int, database: bytes, place: Path
) -> None:
    place.rmdir()
    data = archive(database, header("runs", kind=b"5", mode=0o7777), member("runs/x", b"x", mode=0o6777, uid=65534))
    before = os.umask(umask)
    try:
        source = place.parent / "a.tar"
        source.write_bytes(data)
        restore(source, place, quiet)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [place, *place.rglob("*")]}
    assert modes == {"new": 0o700, "backend": 0o700, "memgen.db": 0o600, "runs": 0o700, "x": 0o600}
    assert (place / "runs" / "x").stat().st_uid == os.getuid()


@pytest.mark.parametrize("time", [0, 1_700_000_000, 2**33, 2**62, -1])
def test_time_of_a_file_that_no_clock_shows_is_not_taken_over(time: int, database: bytes, place: Path) -> None:
    restored(archive(database, member("runs/x", b"x", mtime=time)), place)
    assert ((place / "runs" / "x").stat().st_mtime == time) == (0 <= time < 2**33)


PACKERS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("packer", PACKERS)
def test_compressed_archive_is_restored(packer: str, whole: bytes, expected: dict[str, object], place: Path) -> None:
    restored(PACKERS[packer](whole), place)
    assert tree(place) == expected


@pytest.mark.parametrize("packer", PACKERS)
def test_compressed_archive_that_grows_beyond_measure_is_refused(
    packer: str, database: bytes, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decompress, "ALWAYS_FINE", 2**20)
    data = PACKERS[packer](archive(database, member("runs/x", bytes(16 * 2**20))))
    error = refused(data, place)
    assert "decompresses to more than 100 times" in error.message


def test_compressed_archive_may_take_no_more_than_the_disk_has(
    whole: bytes, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decompress.shutil, "disk_usage", lambda _: SimpleNamespace(free=len(whole) // 2))
    error = refused(gzip.compress(whole), place)
    assert (error.code, "No space left" in error.message) == ("restore_failed", True)


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("harm", ["cut", "flipped", "cut at once"])
def test_damaged_compression_is_a_sentence(packer: str, harm: str, whole: bytes, place: Path) -> None:
    data = PACKERS[packer](whole)
    middle = len(data) // 2
    harmed = {
        "cut": data[:middle],
        "flipped": data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :],
        "cut at once": data[:6],
    }[harm]
    assert refused(harmed, place).code == "bad_backup"


def test_hard_links_cannot_multiply_an_archive(database: bytes, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompress, "ALWAYS_FINE", 2**20)
    links = [hard_link(f"runs/{number}", "runs/x") for number in range(2000)]
    error = refused(archive(database, member("runs/x", bytes(2**20)), *links), place)
    assert "100 times" in error.message


@pytest.mark.parametrize("what", ["bytes", "files"])
def test_disk_without_room_is_told_before_anything_is_written(
    what: str, database: bytes, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "bytes":
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=len(database)))
    else:
        monkeypatch.setattr(
            module.os,
            "statvfs",
            lambda _: SimpleNamespace(
                f_files=100, f_favail=20, f_frsize=1, f_bavail=2**40, f_blocks=2**40, f_bfree=2**40
            ),
        )
    monkeypatch.setattr(module, "_write_files", lambda *_: pytest.fail("it wrote"))
    error = refused(archive(database, *(member(f"runs/{number}", bytes(9)) for number in range(30))), place)
    assert (error.code, error.value) == ("disk_full", str(place))


def test_many_members_are_read_without_their_content(database: bytes, place: Path) -> None:
    data = archive(database, *(member(f"runs/{number}") for number in range(5000)), member("../x"))
    assert refused(data, place).code == "bad_backup"


def rewritten(whole: bytes, change: Callable[[list[str]], list[str]]) -> bytes:
    """The archive with another table."""
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        info = tar.getmember(TABLE)
    lines = whole[info.offset_data : info.offset_data + info.size].decode().splitlines(keepends=True)
    return whole[: info.offset] + member(TABLE, "".join(change(lines)).encode()) + END


TABLES: dict[str, Callable[[list[str]], list[str]]] = {
    "empty": lambda lines: [],
    "one line less": lambda lines: lines[:-1],
    "one line twice": lambda lines: [*lines, lines[-1]],
    "one file more": lambda lines: [*lines, lines[1].replace(DATABASE, "runs/none")],
    "another size": lambda lines: [line.replace('"size": 3', '"size": 4') for line in lines],
    "another hash": lambda lines: [line.replace('"sha256": "', '"sha256": "0') for line in lines],
    "no hash": lambda lines: [line.replace('"sha256"', '"md5"') for line in lines],
    "hash of another type": lambda lines: [line.replace('"sha256": "', '"sha256": 7, "x": "') for line in lines],
    "another target": lambda lines: [line.replace("../runs/1/", "../runs/2/") for line in lines],
    "name as a list": lambda lines: [line.replace('"name": "', '"name": [], "link": "') for line in lines],
    "deep": lambda lines: ["[" * 15_000 + "\n", *lines],
    "long line": lambda lines: ["x" * DEEP + "\n", *lines],
    "no JSON": lambda lines: ["hello\n", *lines],
    "a list": lambda lines: ["[]\n", *lines],
    "a number": lambda lines: ["1\n", *lines],
    "NUL": lambda lines: ["\0\n", *lines],
    "number of 5,000 digits": lambda lines: ['{"name": "x", "size": ' + "9" * 5000 + "}\n", *lines],
}


@pytest.mark.parametrize("name", TABLES)
def test_table_that_says_something_else_is_refused(name: str, whole: bytes, place: Path) -> None:
    assert refused(rewritten(whole, TABLES[name]), place).code == "bad_backup"


@pytest.mark.parametrize("where", ["before", "after", "link"])
def test_member_that_no_table_names_is_refused(where: str, whole: bytes, place: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        start, end = tar.getmember(TABLE).offset, len(whole.rstrip(b"\0"))
    end = -(-end // BLOCK) * BLOCK
    added = {
        "before": whole[:start] + member("runs/y", b"y") + whole[start:],
        "after": whole[:end] + member("runs/y", b"y") + END,
        "link": whole[:start] + link(TABLE, DATABASE) + END,
    }
    assert refused(added[where], place).code == "bad_backup"


def test_any_flipped_byte_is_refused_or_changes_nothing(whole: bytes, expected: dict[str, object], place: Path) -> None:
    chance = random.Random(0)
    source = place.parent / "a.tar"
    content_ends = len(whole.rstrip(b"\0"))
    database_at = whole.index(b"SQLite format 3")
    heads = [*range(0, database_at, 61), *range(content_ends - 6000, content_ends, 97)]
    silent = 0
    for position in [*heads, *(chance.randrange(content_ends) for _ in range(60))]:
        source.write_bytes(
            whole[:position] + bytes([whole[position] ^ (1 << chance.randrange(8))]) + whole[position + 1 :]
        )
        try:
            restore(source, place, quiet)
        except BadInput as error:
            assert error.code == "bad_backup"
            assert list(place.iterdir()) == []
        else:
            silent += 1
            assert tree(place) == expected
            place = fresh(place)
    assert silent < 20  # between two files, where nothing stands


def fresh(place: Path) -> Path:
    place.rename(place.parent / "outside" / "done")
    module.shutil.rmtree(place.parent / "outside" / "done")
    place.mkdir()
    return place


@pytest.mark.parametrize("form", [1, 2])
def test_archive_that_is_cut_anywhere_is_refused(form: int, whole: bytes, database: bytes, place: Path) -> None:
    data = whole if form == 2 else archive(database, member("runs/x", b"x"), member("runs/y", b"y"))
    ends = len(data.rstrip(b"\0"))
    ends = -(-ends // BLOCK) * BLOCK
    cuts = [0, 1, 511, 512, 513, ends - 1024, ends - 512, ends - 1, ends, *range(1000, ends, ends // 20)]
    for cut in cuts:
        assert refused(data[:cut], place).code == "bad_backup"


def test_archive_of_the_first_format_is_restored_with_a_word_that_it_was_not_checked(
    database: bytes, place: Path
) -> None:
    lines = restored(archive(database, member("runs/x", b"x")), place)
    assert [line for line in lines if "without hashes" in line]
    assert (place / "runs" / "x").read_bytes() == b"x"


def test_archive_that_denies_its_table_of_hashes_is_refused(database: bytes, place: Path) -> None:
    with pytest.raises(BadInput, match="of the first format"):
        restored(archive(database, member("runs/x", b"x"), member("backup-files.jsonl", b"{}")), place)
    assert list(place.iterdir()) == []


def test_archive_with_hashes_is_restored_without_that_word(
    whole: bytes, expected: dict[str, object], place: Path
) -> None:
    assert len(restored(whole, place)) == 1
    assert tree(place) == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_restore_that_is_ended_by_a_signal_leaves_nothing(
    number: signal.Signals, whole: bytes, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place.parent / "a.tar").write_bytes(whole)
    monkeypatch.setenv("MEMGEN_HOME", str(place))
    copy = module._copy

    def copy_and_end(*arguments: object) -> str:
        os.kill(os.getpid(), number)
        return copy(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_copy", copy_and_end)
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, usual)  # whoever has started the tests may ignore it, e.g. nohup
    try:
        result = CliRunner().invoke(app, ["restore", str(place.parent / "a.tar")])
        assert signal.getsignal(number) == usual
    finally:
        signal.signal(number, before)
    assert result.exit_code not in {0, 2}
    assert list(place.iterdir()) == []


def test_restore_that_fails_while_files_move_takes_them_back(
    whole: bytes, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def rename_or_end(path: Path, target: Path) -> Path:
        if path.name == "backend" and target.parent == place:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", rename_or_end)
    (place.parent / "a.tar").write_bytes(whole)
    with pytest.raises(KeyboardInterrupt):
        restore(place.parent / "a.tar", place, quiet)
    assert list(place.iterdir()) == []


def test_what_a_killed_restore_left_is_removed_by_the_next(
    whole: bytes, expected: dict[str, object], place: Path
) -> None:
    (place / ".memgen-restore-abc" / "home" / "runs").mkdir(parents=True)
    (place / ".memgen-restore-abc" / "archive").write_text("half")
    restored(whole, place)
    assert tree(place) == expected


def test_restore_that_was_killed_while_files_moved_says_how_to_go_on(whole: bytes, place: Path) -> None:
    (place / ".memgen-restore-abc" / "home" / "backend").mkdir(parents=True)
    (place / "runs" / "1").mkdir(parents=True)
    (place.parent / "a.tar").write_bytes(whole)
    with pytest.raises(BadInput, match="interrupted") as refusal:
        restore(place.parent / "a.tar", place, quiet)
    assert refusal.value.code == "home_in_use"
    assert (place / "runs" / "1").exists()


def test_second_restore_into_the_same_folder_is_refused_and_leaves_the_first_alone(whole: bytes, place: Path) -> None:
    (place.parent / "a.tar").write_bytes(whole)
    (place / ".memgen-restore-first").mkdir()
    with module._alone(place), pytest.raises(BadInput, match="under way") as refusal:
        restore(place.parent / "a.tar", place, quiet)
    assert refusal.value.code == "home_in_use"
    assert (place / ".memgen-restore-first").exists()


def test_home_that_fills_while_a_backup_is_unpacked_is_left_as_it_is(
    whole: bytes, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = module._write_files

    def write_meanwhile(*arguments: object) -> None:
        write(*arguments)  # type: ignore[arg-type]
        (place / "runs").mkdir()
        (place / "runs" / "theirs").write_text("theirs")

    monkeypatch.setattr(module, "_write_files", write_meanwhile)
    (place.parent / "a.tar").write_bytes(whole)
    with pytest.raises(BadInput) as refusal:
        restore(place.parent / "a.tar", place, quiet)
    assert refusal.value.code == "home_in_use"
    assert tree(place) == {"runs": False, "runs/theirs": b"theirs"}


@pytest.mark.parametrize("what", ["file", "beneath a file", "folder as archive", "pipe", "unreadable"])
def test_places_that_can_be_no_home_or_no_archive_are_sentences(
    what: str, whole: bytes, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = place.parent / "a.tar"
    source.write_bytes(whole)
    home, code = place, "no_such_backup"
    if what in {"file", "beneath a file"}:
        code = "restore_failed"
        home = place / "x"
        home.write_text("mine")
        home = home if what == "file" else home / "y"
    elif what == "folder as archive":
        source = place.parent / "outside"
    elif what == "pipe":
        source.unlink()
        os.mkfifo(source)
    else:
        monkeypatch.setattr(Path, "open", _denied)
    with pytest.raises(BadInput) as refusal:
        restore(source, home, quiet)
    assert (refusal.value.code, bool(refusal.value.way_out)) == (code, True)


def _denied(*_: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_new_disk_whose_file_system_made_a_folder_for_itself_counts_as_empty(
    whole: bytes, expected: dict[str, object], place: Path
) -> None:
    (place / "lost+found").mkdir()
    restored(whole, place)
    assert tree(place) == expected | {"lost+found": False}


def test_weights_that_are_there_stay_and_those_of_the_archive_are_not_written(database: bytes, place: Path) -> None:
    (place / "models").mkdir()
    (place / "models" / "mine").write_text("mine")
    lines = restored(archive(database, member("models/mine", b"theirs"), member("models/other", b"x")), place)
    assert "not restored: 'models/mine'" in lines
    assert (place / "models" / "mine").read_text() == "mine"
    assert not (place / "models" / "other").exists()
