"""What an operator's machine may hand to the launcher: homes, settings, addresses, foreign text, damaged leftovers.

Each is refused in one sentence with exit code 2, the same from every command, or it simply works.
"""

import errno
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import backend.launcher.service_process
import dashboard.__main__
import worker.__main__
from backend.api.client import Client, Unreachable
from backend.commands.cli import app
from backend.launcher import only_one, stack
from backend.launcher.redis_server import MAX_SOCKET_PATH, prepare, server_binary, server_command, socket_path
from backend.launcher.service_process import ServiceProcess, ServiceSpec
from backend.launcher.terminal import say, show_table
from backend.services.enqueue import Doorbell
from backend.serving import redis_address
from backend.serving.redis_address import QUEUE
from backend.serving.variables import check_url, url_of
from backend.settings import Settings
from memgen.contract.config import stored_config
from memgen.contract.errors import BadInput
from memgen.contract.home import home_path, open_home
from memgen.contract.machine import machine_name
from memgen.contract.process import begin_process
from memgen.contract.publish import publish
from memgen.contract.rundir import attempt_dir, published_dir
from memgen.contract.service_files import heard_file
from tests.ports import free_port
from tests.running_stack import wait_until
from worker.runners import SlotRunner
from worker.settings import Settings as WorkerSettings
from worker.slots import Slot
from worker.supervisor import Supervisor

SERVICE = [["up"], ["serve"], ["demo"], ["token"]]
"""Commands that make a home where there is none."""
LOOK = [["runs"], ["pipeline", "list"], ["queue"], ["compare", "1", "2"], ["checkpoints"], ["log", "1"], ["down"]]
"""Commands that look into one."""
FOREIGN = "see [/data/x] [red]now[/red] :boom: [link=http://x]y"


def refusal(words: list[str]) -> str:
    """What a command says, in one line with exit code 2, where it can't be done."""
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, SystemExit), (words, done.exception)
    assert (done.exit_code, done.stdout) == (2, ""), (words, done.output)
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@contextmanager
def redis_server(home: Path, *more: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server on a home's socket, as `make up` starts it."""
    prepare(home)
    process = subprocess.Popen([*server_command(home), *more], stdout=subprocess.DEVNULL)
    url = redis_address.of_socket(socket_path(home))
    try:
        wait_until(lambda: socket_path(home).exists(), 20, "start of Redis", pause=0.01)
        yield url, process
    finally:
        process.kill()
        process.wait()


# homes


def _file(path: Path) -> Path:
    path.write_text("")
    return path


def _loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


def _foreign(path: Path) -> Path:
    path.mkdir()
    os.chown(path, 12345, -1)
    return path


def _sticky(path: Path) -> Path:
    path.mkdir()
    path.chmod(0o1777)
    return path


BAD_HOMES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file": (_file, "it is not a folder"),
    "below a file": (lambda path: _file(path) / "home", "it is not a folder"),
    "a loop of links": (_loop, "it can't be found"),
    "an unknown user's": (lambda path: "~nosuchuser/home", "it can't be found"),
    "a name with a newline": (lambda path: f"{path}/a\nb", "its name holds control characters"),
    "a name with an escape": (lambda path: f"{path}/\x1b[31m", "its name holds control characters"),
    "a name that is no text": (
        lambda path: os.fsdecode(os.fsencode(path) + b"/\xff"),
        "its name holds control characters",
    ),
    "a name that is too long": (lambda path: path / ("n" * 300), "File name too long"),
}
if os.geteuid() == 0:  # only root can give a folder away; others can't make one of a foreign owner
    BAD_HOMES["somebody else's"] = (_foreign, "it belongs to the user with id 12345")


@pytest.mark.parametrize("name", BAD_HOMES)
def test_home_that_cant_be_used_is_refused_alike_by_every_command(
    name: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, reason = BAD_HOMES[name]
    monkeypatch.setenv("MEMGEN_HOME", str(make(tmp_path / "bad")))
    commands = SERVICE + ([["down"]] if name == "somebody else's" else LOOK)
    said = {refusal(words) for words in commands}
    assert len(said) == 1
    assert said.pop().startswith(f"error: MEMGEN_HOME: the home folder can't be used: {reason}")
    if name != "somebody else's":
        assert worker.__main__.main([]) == 2
        assert "MEMGEN_HOME" in capsys.readouterr().err


@pytest.mark.parametrize(
    "make",
    [
        _sticky,
        *(lambda path, name=name: Path(name) for name in ("/", "/etc", "/usr", "/var", "/var/lib", sys.base_prefix)),
    ],
)
def test_folder_of_others_is_no_home_and_keeps_its_mode(
    make: Callable[[Path], Path], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path / "bad")
    before = folder.stat().st_mode
    monkeypatch.setenv("MEMGEN_HOME", str(folder))
    for words in SERVICE:
        assert "Name a folder of its own" in refusal(words)
    assert folder.stat().st_mode == before
    assert not (folder / "backend").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES])
@pytest.mark.parametrize("words", SERVICE)
def test_full_or_read_only_home_is_said_at_the_start(
    words: list[str], number: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def flush(self) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **where: Full())
    assert f"the home folder can't be used: {os.strerror(number)}" in refusal(words)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("words", [*SERVICE, *LOOK])
def test_disk_that_fails_in_the_middle_is_a_sentence(
    words: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(Path, "exists", fail)
    assert "Input/output error" in refusal(words)


def test_empty_home_is_the_default_and_spreads_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for value in ("", "  "):
        monkeypatch.setenv("MEMGEN_HOME", value)
        assert CliRunner().invoke(app, ["token"]).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "home"]


def test_variables_set_to_nothing_count_as_unset(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, plain_worker = Settings.read(), WorkerSettings.read()
    for settings in (Settings, WorkerSettings):
        for name in settings.model_fields.keys() - {"home", "redis_url"}:
            for value in ("", " "):
                monkeypatch.setenv(f"MEMGEN_{name.upper()}", value)
                monkeypatch.setenv("REDIS_URL", value)
                monkeypatch.setenv("MEMGEN_SECRETS", "")
                assert (Settings.read(), WorkerSettings.read()) == (plain, plain_worker), name


# who may read


def modes(folder: Path) -> dict[str, int]:
    paths = [folder, *folder.rglob("*")]
    return {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in paths if not path.is_symlink()}


def test_everything_is_its_owners_alone_whatever_the_umask(home: Path) -> None:
    script = (
        "import os; os.umask(0)\n"
        "from memgen.contract.process import begin_process; begin_process()\n"
        "from backend.http.main import create_app; from backend.settings import Settings\n"
        "settings = Settings.read(); settings.open_home(); create_app(settings)\n"
        "from backend.launcher.service_process import ServiceProcess, ServiceSpec\n"
        "ServiceProcess(ServiceSpec('redis', ['true'], {}, lambda: True), settings.home / 'services').start()\n"
    )
    home.rmdir()
    subprocess.run([sys.executable, "-c", script], check=True, env=os.environ | {"REDIS_URL": "unix:///nowhere"})
    found = modes(home)
    assert {"backend/memgen.db", "backend/token", "services/redis.log"} <= set(found)
    for name, mode in found.items():
        assert mode == (0o700 if (home / name).is_dir() else 0o600), name


def test_home_of_an_earlier_version_is_closed(home: Path) -> None:
    (home / "backend").mkdir(mode=0o755)
    (home / "backend.lock").write_bytes(b"")
    (home / "mine.txt").write_text("")
    for name, mode in {"backend": 0o755, "backend.lock": 0o666, "mine.txt": 0o644, ".": 0o777}.items():
        (home / name).chmod(mode)
    open_home(home)
    assert modes(home) == {".": 0o700, "backend": 0o700, "backend.lock": 0o600, "mine.txt": 0o644}


def publish_output(home: Path, run_id: int) -> Path:
    config = {"stage": "evaluate", "data": "wordproblems", "preset": "Qwen/Qwen2.5-1.5B-Instruct"}
    folder = attempt_dir(home, run_id, 1, "evaluate")
    folder.output.mkdir(parents=True)
    folder.answers.write_text("{}")
    folder.config.write_text("{}")
    publish(home, stored_config(config), run_id, folder)
    return published_dir(home, stored_config(config), run_id)


def test_named_group_reads_published_outputs_and_nothing_else(home: Path) -> None:
    group = 12345 if os.geteuid() == 0 else os.getgid()  # only root may name a group that it is not in
    before = os.umask(0o077)
    try:
        open_home(home)
        early = publish_output(home, 1)
        assert {mode & 0o077 for mode in modes(home).values()} == {0}
        open_home(home, str(group))
        late = publish_output(home, 2)
    finally:
        os.umask(before)
    for published in (early, late):
        state = (published / "answer.json").stat()
        assert (state.st_mode & 0o777, state.st_gid) == (0o640, group)
        for folder in (published, *published.parents):
            assert (folder.stat().st_mode & 0o777, folder.stat().st_gid) == (0o750, group)
            if folder == home:
                break
    allowed = {name: mode & 0o077 for name, mode in modes(home).items() if name.startswith("runs")}
    passed = {"runs"} | {f"runs/{run_id}{rest}" for run_id in (1, 2) for rest in ("", "/attempts", "/attempts/1")}
    assert {name for name, mode in allowed.items() if mode == 0o010} == passed  # through, but not to look around
    shared = {f"runs/{run_id}/attempts/1/evaluate{rest}" for run_id in (1, 2) for rest in ("", "/answer.json")}
    assert {name for name, mode in allowed.items() if mode not in {0, 0o010}} == shared
    open_home(home)
    assert modes(home)["."] == modes(home)["evaluate"] == modes(home)["runs"] == 0o700


@pytest.mark.parametrize("target", ["backend", "runs/2/attempts/1", "runs/2/attempts/1/evaluate"])
def test_link_that_is_no_public_path_opens_nothing_to_the_group(home: Path, target: str) -> None:
    group = 12345 if os.geteuid() == 0 else os.getgid()
    before = os.umask(0o077)
    try:
        open_home(home, str(group))
        (home / "backend").mkdir()
        output = attempt_dir(home, 2, 1, "evaluate").output
        output.mkdir(parents=True)
        published = publish_output(home, 1)
        published.unlink()
        published.symlink_to(home / target)
        open_home(home, str(group))
    finally:
        os.umask(before)
    assert (home / "backend").stat().st_mode & 0o077 == output.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["nosuchgroup", "-1", "4294967295", "99999999999999999999", "[red]"])
def test_unknown_group_is_refused_by_every_command(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGEN_GROUP", name)
    assert len({refusal(words) for words in SERVICE + LOOK}) == 1
    assert refusal(["runs"]).startswith(f"error: MEMGEN_GROUP: there is no such group (got '{name}')")


# settings


BAD_SETTINGS = [
    ("MEMGEN_PORT", ["0", "-1", "65536", "8000.5", "http", "1e3"]),
    ("MEMGEN_DASHBOARD_PORT", ["0", "70000", "x"]),
    ("MEMGEN_LEASE_SECONDS", ["inf", "nan", "-inf", "0", "-5", "1e300", "86401", "abc", "9"]),
    ("MEMGEN_BEAT_SECONDS", ["inf", "nan", "0", "1e-9", "31", "1e9"]),
    ("MEMGEN_RECONCILE_SECONDS", ["inf", "nan", "0", "1e-300", "1e6"]),
    ("MEMGEN_ANNOUNCE_SECONDS", ["inf", "0", "1e6"]),
    ("MEMGEN_STOP_GRACE_SECONDS", ["inf", "nan", "-1", "1e9"]),
    ("MEMGEN_RETRY_PAUSE_SECONDS", ["inf", "nan", "-1", "1e9"]),
    ("MEMGEN_MAX_RETRIES", ["-1", "1001", "1.5", "nan"]),
    ("MEMGEN_HOST", ["a b", "http://x", "127.0.0.1:80", "x/y", "a@b", "a#b", "[::1", "::1]", "é", "x" * 64, ":::1"]),
    ("MEMGEN_DASHBOARD_HOST", ["a b", "[127.0.0.1", "a\nb"]),
    (
        "MEMGEN_BACKEND_URL",
        ["x", "ftp://h", "http://", "http://h:x", "http://h:99999", "http://h#a", "http://[", "h:1"],
    ),
    ("MEMGEN_TOKEN", ["a", "short", "x" * 501, "with space" * 3, "é" * 20, "line\nbreak" * 4]),
    ("MEMGEN_WORKER_TOKEN", ["b", "é" * 20, "tab\t" * 10]),
    ("MEMGEN_SECRETS", ["/nonexistent", "/etc/passwd"]),
    (
        "REDIS_URL",
        ["x", "http://h", "redis://", "redis://h:x", "redis://h/x", "redis://h/0?foo=1", "unix://", "unix:///"],
    ),
]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_SETTINGS for value in values])
def test_setting_beyond_what_works_is_one_sentence_from_every_command(
    name: str, value: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    said = {refusal(words) for words in SERVICE + LOOK}
    assert len(said) == 1
    sentence = said.pop()
    named = "MEMGEN_LEASE_SECONDS" if value in {"31"} else name
    assert sentence.startswith(f"error: {named}: "), sentence
    assert ("TOKEN" in name) or "(got " in sentence
    assert "TOKEN" not in name or len(value) < 6 or value not in sentence
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MEMGEN_POLL_SECONDS", "nan"),
        ("MEMGEN_POLL_SECONDS", "0"),
        ("MEMGEN_TRAINER", 'python "unclosed'),
        ("MEMGEN_BACKEND_URL", "http://user:password@host"),
        ("MEMGEN_WORKER_TOKEN", "é" * 20),
        ("REDIS_URL", "redis://:pa#ss@host:1/0"),
    ],
)
def test_worker_refuses_bad_settings_in_one_line(
    name: str, value: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert worker.__main__.main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {name}: ")
    assert said.count("\n") == 1
    assert "pa#ss" not in said


@pytest.mark.parametrize(
    ("name", "value"), [("MEMGEN_TOKEN", "é" * 20), ("MEMGEN_BACKEND_URL", "x"), ("MEMGEN_HOME", "a\nb")]
)
def test_dashboard_refuses_bad_settings_in_one_line(
    name: str, value: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(typer.Exit) as ended:
        dashboard.__main__.serve()
    assert ended.value.exit_code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {name}: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "content", [b"", b"\n", bytes(40), b"\xff" * 40, b"short\n", "é".encode() * 30, b"two words " * 4]
)
def test_damaged_token_file_opens_nothing(content: bytes, home: Path) -> None:
    (home / "backend").mkdir()
    (home / "backend" / "token").write_bytes(content)
    assert len({refusal(words) for words in [["runs"], ["token"], ["serve"], ["up"]]}) == 1
    assert refusal(["token"]).startswith("error: MEMGEN_HOME: the token file ")


def test_token_file_that_is_a_folder_is_a_sentence(home: Path) -> None:
    (home / "backend" / "token").mkdir(parents=True)
    assert "the token file can't be read: Is a directory" in refusal(["token"])


def test_two_services_on_one_port_are_refused_before_anything_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMGEN_DASHBOARD_PORT", "8000")
    assert "can't share a port" in refusal(["up"])
    assert not (home / "services").exists()


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "no-such-host.invalid"])
def test_address_that_is_not_this_machines_is_named(host: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGEN_HOST", host)
    for words in (["up"], ["serve"]):
        assert refusal(words).startswith("error: MEMGEN_HOST: ")
    monkeypatch.setenv("MEMGEN_HOST", "127.0.0.1")
    monkeypatch.setenv("MEMGEN_DASHBOARD_HOST", host)
    assert refusal(["up"]).startswith("error: MEMGEN_DASHBOARD_HOST: ")


# addresses


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("[::1]", "http://[::1]:8000"),
        ("::", "http://[::1]:8000"),
        ("0:0:0:0:0:0:0:0", "http://[::1]:8000"),
        ("::ffff:127.0.0.1", "http://[::ffff:127.0.0.1]:8000"),
        ("localhost", "http://localhost:8000"),
    ],
)
def test_every_command_asks_where_the_backend_listens(host: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGEN_HOST", host)
    monkeypatch.setenv("MEMGEN_PORT", "8000")
    settings = Settings.read()
    assert settings.url == url_of(settings.host, 8000) == check_url(url)


@pytest.mark.parametrize("words", [words for words in LOOK if words != ["down"]])
def test_commands_reach_an_ipv6_address(words: list[str], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGEN_HOST", "::1")
    monkeypatch.setenv("MEMGEN_PORT", "1")
    monkeypatch.setenv("MEMGEN_TOKEN", "a-token-of-tests")
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "The backend at http://[::1]:1 does not answer (ConnectError)" in done.stderr


@pytest.mark.parametrize("reply", [b"<html>", b"[]", b'{"items": 3}', b"\xff"])
def test_something_else_at_the_backends_address_is_said_so(reply: bytes) -> None:
    import httpx

    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=reply))
    with Client("http://h", "t", transport=transport) as client, pytest.raises(Unreachable, match="something else"):
        client.runs()


HOSTILE_NAMES = [
    "a#b",
    "a?b=c&d",
    "a%41",
    "a%",
    "a b",
    "[x]",
    "'q' \"d\"",
    "a;b$(c)`d`",
    "é ü",
    "--port 1",
    "\\",
    "a@b:c",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_doorbell_rings_in_a_home_with_any_name(name: str, tmp_path: Path) -> None:
    home = home_path(tmp_path / name)
    with redis_server(home) as (url, _):
        doorbell = Doorbell(redis_address.check(url))
        assert doorbell.ring() == "ok"
        with redis_address.connect(url) as server:
            assert server.llen(QUEUE) == 1
        doorbell.close()
    assert socket_path(home).is_relative_to(home)


@pytest.mark.parametrize("length", [60, 85, 100, 110, 250])
def test_socket_path_is_never_too_long(length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / ("t" * 120)))
    path = socket_path(home_path(f"/tmp/{tmp_path.name}-{os.getpid()}/{'n' * length}"))
    assert len(os.fsencode(path)) <= MAX_SOCKET_PATH
    assert path.parent.stat().st_mode & 0o777 == 0o700


PASSWORDS = ["pa#ss", "pa/ss", "12/ss", "pa?ss", "pa@ss", "[pass", "pa ss", "pä", "pa\nss"]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("place", ["redis://:{}@127.0.0.1:6379/0", "rediss://user:{}@[::1]:1/0", "unix://:{}@/a.sock"])
def test_raw_sign_in_a_password_is_explained_and_the_password_never_shown(
    place: str, password: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", place.format(password))
    said = {refusal(words) for words in SERVICE + LOOK}
    assert len(said) == 1
    sentence = said.pop()
    assert sentence.startswith("error: REDIS_URL: ")
    assert "# is written %23" in sentence
    assert password not in sentence.split("(got", 1)[-1]
    with pytest.raises(ValueError) as raised:  # by whatever else reads the settings
        Settings()
    assert password not in str(raised.value)


@pytest.mark.parametrize("password", ["", "tiger", "s3cret%23"])
def test_wrong_redis_password_is_named_as_such_and_never_printed(
    password: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with redis_server(tmp_path / "other", "--requirepass", "right#pass") as (url, _):
        wrong = url.replace("unix://", f"unix://:{password}@")
        monkeypatch.setenv("REDIS_URL", wrong)
        monkeypatch.setenv("MEMGEN_PORT", str(free_port()))
        monkeypatch.setenv("MEMGEN_DASHBOARD_PORT", str(free_port()))
        (home / "backend").mkdir()
        (home / "backend" / "worker-token").write_text("worker-of-a-test")
        said = [refusal(["up"]), refusal(["serve"])]
        assert worker.__main__.main([]) == 2
        said.append(capsys.readouterr().err)
        for sentence in said:
            assert sentence.startswith("error: REDIS_URL: the Redis server there refuses the password or wants one")
            assert not password or password not in sentence
        assert Doorbell(wrong).state() == "it refuses the password or wants one"
        right = redis_address.with_password(url, "right#pass")
        assert Doorbell(redis_address.check(right)).ring() == "ok"
        assert "right" not in redis_address.shown(right) + repr(Settings(REDIS_URL=right))


# text for people


def test_foreign_text_in_tables_and_lines_is_never_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(["note", "[b]x"], [[FOREIGN, "[/]"], ["\x1b[2J\x07\u202eabc\ud800", "two\nlines"]])
    say(FOREIGN + "\x1b]0;title\x07\r")
    said = capsys.readouterr().out
    assert said.count(FOREIGN) == 2
    assert "[b]x" in said
    assert r"\u001b[2J\u0007\u202eabc\ud800" in said
    assert not {"\x1b", "\x07", "\u202e", "\r"} & set(said)


def test_printed_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\x7f\x9b\u202e\U000e0001\u2028 é 🙂 \x1b"
    say(json.dumps({"note": text}, ensure_ascii=False))
    said = capsys.readouterr().out
    assert json.loads(said)["note"] == text
    assert not set(text) - set(" é🙂") & set(said)


@pytest.mark.parametrize(
    "words",
    [
        ["launch", "--note", os.fsdecode(b"\xff")],
        ["launch", "--preset", os.fsdecode(b"\xff")],
        ["launch", "--set", "learning_rate=NaN"],
        ["launch", "--set", "num_questions=1e999"],
        ["launch", "--config", "deep.json"],
        ["launch", "--config", "missing.json"],
        ["pipeline", "run", "--config", "deep.json"],
        ["pipeline", "run", "--note", os.fsdecode(b"\xff")],
        ["runs", "--status", os.fsdecode(b"\xff")],
    ],
)
def test_what_cant_be_sent_is_a_sentence(
    words: list[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep.json").write_text('{"a":' * 50_000)
    monkeypatch.setenv("MEMGEN_TOKEN", "a-token-of-tests")
    monkeypatch.setenv("MEMGEN_PORT", "1")
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, SystemExit), done.exception
    assert (done.exit_code in {1, 2}, done.stderr.count("\n")) == (True, 1), done.stderr


@pytest.mark.parametrize(
    "words", [["runs", "--limit", FOREIGN], ["show", FOREIGN], [FOREIGN], ["stop", "1", "--mode", FOREIGN]]
)
def test_foreign_text_in_a_wrong_use_ends_in_the_usual_way(words: list[str], home: Path) -> None:
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, type(done.exception)) == (2, SystemExit)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_output_that_knows_few_signs_shows_escapes(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0o022)
    try:
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", out)
        begin_process()
        say("é 🙂 \ud800")
        show_table(["ä"], [["→ ok"]])
    finally:
        os.umask(before)
    out.flush()
    said = out.buffer.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined]
    assert r"\ud800" in said
    assert r"\u2192 ok" in said


def test_commands_speak_where_the_terminal_knows_ascii_alone(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MEMGEN_", "REDIS_"))}
    environment |= {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "MEMGEN_HOME": str(tmp_path / "é")}
    done = subprocess.run(
        [sys.executable, "-m", "backend", "runs"], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "there is no token here" in done.stderr


# disposable and damaged state


@pytest.mark.parametrize(
    "leftover",
    [
        *("zeros in the log", "another version's snapshot", "a foreign file", "a dangling link"),
        *("a damaged manifest", "zeros for a manifest", "a file for the folder", "a folder for the snapshot"),
    ],
)
def test_what_redis_left_keeps_no_server_from_starting(leftover: str, tmp_path: Path) -> None:
    folder = socket_path(tmp_path).parent
    (folder / "appendonlydir").mkdir()
    (folder / "appendonlydir" / "appendonly.aof.1.incr.aof").write_bytes(b"*1\r\n$4\r\nPING\r\n" + bytes(4096))
    (folder / "appendonlydir" / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
    for name in ("dump.rdb", "doorbells.rdb", "redis.sock"):
        if leftover == "a dangling link":
            (folder / name).symlink_to("nowhere")
        elif leftover == "another version's snapshot":
            (folder / name).write_bytes(b"REDIS9999" + bytes(100))
        elif leftover == "a foreign file":
            (folder / name).write_text("mine")
    if leftover == "a damaged manifest":
        (folder / "appendonlydir" / "appendonly.aof.manifest").write_text("garbage")
    elif leftover == "zeros for a manifest":
        (folder / "appendonlydir" / "appendonly.aof.manifest").write_bytes(bytes(512))
    elif leftover == "a file for the folder":
        shutil.rmtree(folder / "appendonlydir")
        (folder / "appendonlydir").write_text("mine")
    elif leftover == "a folder for the snapshot":
        (folder / "doorbells.rdb").mkdir()
    with redis_server(tmp_path) as (url, _):
        wait_until(lambda: redis_address.trouble(url) is None, 20, "Redis", pause=0.01)


def test_folder_where_the_socket_is_to_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "redis" / "redis.sock").mkdir(parents=True)
    with pytest.raises(BadInput, match="something else lies where the Redis socket is to be"):
        server_command(tmp_path)


@pytest.mark.parametrize("also_folder", [False, True])
def test_removed_socket_is_noticed_and_mended(
    also_folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend.launcher.service_process, "LOOK_SECONDS", 0.01)
    url = redis_address.of_socket(socket_path(tmp_path))
    spec = ServiceSpec(
        "redis",
        server_command(tmp_path),
        {},
        ready=lambda: redis_address.trouble(url) is None,
        prepare=lambda: prepare(tmp_path),
        stays_ready=True,
    )
    service = ServiceProcess(spec, tmp_path / "services")
    service.start()
    doorbell = Doorbell(url)
    said = []
    try:
        wait_until(spec.ready, 20, "Redis", pause=0.01)
        service.ready_now()
        assert doorbell.ring() == "ok"
        socket_path(tmp_path).unlink()
        if also_folder:
            (tmp_path / "redis").rmdir()
        assert doorbell.state() != "ok", "a connection made earlier lives on and tells nothing"
        assert doorbell.ring() != "ok"
        wait_until(lambda: said.append(service.tend()) or (spec.ready() and any(said)), 30, "a new Redis", pause=0.01)
        wait_until(lambda: doorbell.ring() == "ok", 10, "a ring", pause=0.01)
    finally:
        service.stop()
        doorbell.close()
    assert any(line and "can't be reached" in line for line in said)


@pytest.mark.parametrize(
    "content", [b"", bytes(30), b"\xff", b"http://h:99999", b"file:///etc/passwd", b"http://h?x#y"]
)
def test_damaged_address_file_moves_no_supervisor(content: bytes, home: Path) -> None:
    (home / "backend").mkdir()
    (home / "backend" / "url").write_bytes(content)
    with Client("http://127.0.0.1:1", "t") as client:
        looking: Any = SimpleNamespace(_settings=WorkerSettings.read(), _client=client)
        Supervisor._look_for_backend(looking)
        assert client.url == "http://127.0.0.1:1"


def test_read_only_home_stays_so_and_is_refused(home: Path) -> None:
    home.chmod(0o555)
    if os.geteuid() == 0:  # whom no mode stops
        open_home(home)
    else:
        with pytest.raises(BadInput, match="Permission denied"):
            open_home(home)
    assert modes(home)["."] == 0o500


def test_idle_slot_looks_for_work_although_no_bell_rings(home: Path) -> None:
    looked = threading.Event()
    looks = []

    def start(slot: Slot, threads: int) -> int:
        looks.append(slot)
        if len(looks) == 3:
            looked.set()
        return 0

    runner = SlotRunner(Slot("cpu"), WorkerSettings(), 1, start=start, longest_silence=0.01)
    runner.start()
    assert looked.wait(20)
    runner.stop()


@pytest.mark.parametrize(
    "content", [b"", bytes(50), b"{", b"[]", b'{"services": 3}', b'{"services": {"x": {"pid": null}}}']
)
def test_damaged_list_of_services_is_thrown_away(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "stack.json").write_bytes(content)
    stack.end_left_over(tmp_path, lambda line: None)
    assert not (tmp_path / "services" / "stack.json").exists()


@pytest.mark.parametrize("content", ["", "\0\0", "abc", "-5"])
def test_damaged_lock_names_nobody(content: str, tmp_path: Path) -> None:
    with only_one.only_one(tmp_path, "a.lock", running="", way_out=""):
        (tmp_path / "a.lock").write_text(content)
        assert only_one.holder(tmp_path, "a.lock") is None


def test_services_are_told_the_secrets_that_they_need_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "MEMGEN_TOKEN": "token-of-users-" * 2,
        "MEMGEN_WORKER_TOKEN": "token-of-workers-" * 2,
        "HF_TOKEN": "hub-token",
        "MEMGEN_REDIS_PASSWORD": "redis-password",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    seen = {}
    for spec in stack.Stack(Settings.read(), say=say)._specs():
        command = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
        told = ServiceSpec(spec.name, command, spec.environment, spec.ready)
        service = ServiceProcess(told, home / "services")
        service.start()
        assert service._process is not None
        assert service._process.wait(20) == 0
        seen[spec.name] = {name for name in given if name in json.loads(service.log.read_text())}
    assert seen == {
        "redis": set(),
        "backend": {"MEMGEN_TOKEN", "MEMGEN_WORKER_TOKEN"},
        "worker": {"MEMGEN_WORKER_TOKEN", "HF_TOKEN"},
        "dashboard": {"MEMGEN_TOKEN"},
    }


def test_worker_is_healthy_while_the_backend_hears_it(home: Path) -> None:
    settings = WorkerSettings.read()
    assert worker.__main__.main(["--healthy"]) == 1
    heard = heard_file(settings.home, machine_name())
    heard.parent.mkdir()
    for content, seconds_ago, exit_code in (
        ("15.0\n", 0, 0),
        ("15.0\n", 50, 1),
        ("60\n", 50, 0),
        ("", 0, 1),
        ("x", 0, 1),
    ):
        heard.write_text(content)
        then = time.time() - seconds_ago
        os.utime(heard, (then, then))
        assert worker.__main__.main(["--healthy"]) == exit_code, (content, seconds_ago)


def test_server_binary_speaks_redis() -> None:
    assert os.access(server_binary(), os.X_OK)


@pytest.mark.parametrize("url", ["redis:secret@host", "secret@host", ":secret@host:6379/0", "redis:/:secret@host"])
def test_password_in_an_address_without_its_slashes_is_not_shown(url: str) -> None:
    assert redis_address.shown(url).startswith("***@host")
