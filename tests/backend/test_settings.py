"""Settings, tokens, and how the command line refuses what can't work."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from backend.launcher.only_one import only_one
from backend.settings import Settings
from memgen.contract.errors import BadInput
from tests.backend.conftest import Backend
from tests.ports import free_port
from tests.warm_python import warm_python

TOKEN = "a-long-secret-of-this-house"


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [warm_python(), "-m", "backend", *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_tokens_are_private_different_and_the_same_after_a_restart(start: Callable[..., Backend]) -> None:
    first = start()
    paths = [first.home / "backend" / name for name in ("token", "worker-token")]
    assert [path.stat().st_mode & 0o777 for path in paths] == [0o600, 0o600]
    assert [path.read_text().strip() for path in paths] == [first.context.user_token, first.context.worker_token]
    assert first.context.user_token != first.context.worker_token
    assert min(len(path.read_text()) for path in paths) > 30
    paths[0].chmod(0o644)
    second = start()
    assert (second.context.user_token, second.context.worker_token) == (
        first.context.user_token,
        first.context.worker_token,
    )
    assert paths[0].stat().st_mode & 0o777 == 0o600


def test_tokens_of_the_settings_win_and_are_not_written(home: Path) -> None:
    settings = Settings(home=home, token=TOKEN, worker_token=TOKEN[::-1])
    assert (settings.user_token(), settings.workers_token()) == (TOKEN, TOKEN[::-1])
    assert not (home / "backend").exists()


def test_home_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings(home=Path("data")).home == tmp_path / "data"


@pytest.mark.parametrize(
    ("url", "known"), [("", True), ("unix:///a.sock", True), ("http://x", False), ("nonsense", False)]
)
def test_redis_url_needs_a_known_scheme(monkeypatch: pytest.MonkeyPatch, url: str, known: bool) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    if known:
        assert Settings().redis_url == (url or "redis://127.0.0.1:6379/0")
    else:
        with pytest.raises(ValidationError):
            Settings()


@pytest.mark.parametrize(("name", "value"), [("MEMGEN_PORT", "abc"), ("REDIS_URL", "nonsense")])
def test_bad_setting_ends_the_service_with_one_clear_line(home: Path, name: str, value: str) -> None:
    done = command("serve", **{name: value})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {name}: ")
    assert repr(value) in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("MEMGEN_PASS_ON", "WANDB_MODE,HF_TOKEN", "HF_TOKEN"),
        ("MEMGEN_ALLOWED_HOSTS", "lab.example,http://lab", "http://lab"),
        ("MEMGEN_DASHBOARD_ALLOWED_HOSTS", "http://lab", "http://lab"),
        ("MEMGEN_PROXIES", "10.0.0.1,gateway", "gateway"),
    ],
)
def test_launcher_refuses_what_a_service_would_before_it_starts_one(
    home: Path, name: str, value: str, named: str
) -> None:
    ports = {"MEMGEN_PORT": str(free_port()), "MEMGEN_DASHBOARD_PORT": str(free_port())}
    done = command("up", **{name: value}, **ports)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {name}: ")
    assert repr(named) in done.stderr
    assert "starting" not in done.stdout


def test_port_in_use_ends_the_service_and_is_named(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = command("serve", MEMGEN_PORT=str(port))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: MEMGEN_PORT: 127.0.0.1 port {port} can't be used (Address already in use)")
    assert "Traceback" not in done.stderr


def test_second_backend_on_a_home_is_refused(home: Path) -> None:
    with only_one(home, "backend.lock", running="", way_out=""):
        done = command("serve", MEMGEN_PORT=str(free_port()))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: MEMGEN_HOME: another backend serves this folder already")
    assert not (home / "backend" / "memgen.db").exists()


def test_command_without_a_service_says_how_to_start_it(home: Path) -> None:
    done = command("runs")
    assert done.returncode == 2
    assert "there is no token here" in done.stderr
    assert "make up" in done.stderr
    port = free_port()
    done = command("runs", MEMGEN_TOKEN=TOKEN, MEMGEN_PORT=str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: The backend at http://127.0.0.1:{port} does not answer")
    assert "make up" in done.stderr


def test_home_that_is_a_file_and_a_damaged_database_end_the_service_with_the_way_out(home: Path) -> None:
    (home / "file").write_text("")
    done = command("serve", MEMGEN_HOME=str(home / "file"), MEMGEN_PORT=str(free_port()))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert done.stderr.startswith("error: MEMGEN_HOME: the home folder can't be used")
    (home / "backend").mkdir()
    (home / "backend" / "memgen.db").write_bytes(b"not a database" * 100)
    done = command("serve", MEMGEN_PORT=str(free_port()))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "memgen.db" in done.stderr
    assert "backup" in done.stderr


def test_beats_must_come_within_a_lease(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGEN_LEASE_SECONDS", "5")
    with pytest.raises(BadInput, match="a lease must hold two beats, and these come every 5 s"):
        Settings()
