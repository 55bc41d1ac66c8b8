"""What the product's doctor finds: homes, tokens, Redis and ports that are real, backends and users stood in for."""

import errno
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from backend.api.schemas import HealthOut, SlotOut, WorkerOut
from backend.commands import cli
from backend.commands.doctor import folders, services
from backend.commands.doctor.visit import core_findings, product_findings
from backend.launcher.only_one import only_one
from backend.launcher.redis_server import prepare, server_binary, server_command, socket_path
from backend.serving import redis_address
from backend.settings import Settings
from memgen.contract.errors import BadInput
from memgen.contract.problem import Problem
from memgen.contract.service_files import LAUNCHER_LOCK
from memgen.doctor.finding import Finding, Verdict, look
from tests.ports import free_port
from tests.running_stack import wait_until

TOKEN = "only-for-tests-0123456789"
NOW = datetime(2026, 11, 27, 15, 0, tzinfo=UTC)


def fails_with(number: int) -> object:
    def write(_: Path) -> None:
        raise OSError(number, os.strerror(number))

    return write


def home_finding(home: Path, group: str = "", **stand_ins: object) -> Finding:
    [found] = look("home", lambda: folders.home(home, group, **stand_ins))  # type: ignore[arg-type]
    return found


def product(home: Path) -> dict[str, Finding]:
    """All that is said of the service, by subject."""
    return {one.subject: one for one in product_findings(os.environ)}


# the home


@pytest.mark.parametrize(("mode", "extra"), [(0o755, "0055"), (0o777, "0077"), (0o750, "0050"), (0o701, "0001")])
def test_home_that_others_may_enter_is_an_error_with_its_way_out(home: Path, mode: int, extra: str) -> None:
    home.chmod(mode)
    found = home_finding(home)
    assert found.verdict is Verdict.ERROR
    assert extra in found.seen
    assert f"chmod 700 {home}" in found.way_out
    assert home.stat().st_mode & 0o777 == mode  # which doctor leaves to its owner


def test_home_is_well_if_it_is_its_owners_alone_or_the_named_groups_too(home: Path) -> None:
    home.chmod(0o700)
    assert home_finding(home).verdict is Verdict.OK
    home.chmod(0o750)
    assert home_finding(home, group="lab").verdict is Verdict.OK
    home.chmod(0o770)
    assert home_finding(home, group="lab").verdict is Verdict.ERROR


@pytest.mark.parametrize(
    ("stand_ins", "words"),
    [
        ({"write": fails_with(errno.EROFS)}, "Read-only file system"),
        ({"write": fails_with(errno.ENOSPC)}, "No space left on device"),
        ({"user": os.geteuid() + 1}, "it belongs to the user with id"),
    ],
)
def test_home_on_a_read_only_or_full_disk_or_of_another_user_is_an_error(
    home: Path, stand_ins: dict[str, object], words: str
) -> None:
    home.chmod(0o700)
    found = home_finding(home, **stand_ins)
    assert found.verdict is Verdict.ERROR
    assert words in found.seen
    assert found.way_out


def test_home_that_is_a_file_or_the_systems_is_an_error_and_one_that_is_not_there_is_well(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert home_finding(tmp_path / "file").verdict is Verdict.ERROR
    assert home_finding(Path("/usr")).verdict is Verdict.ERROR
    assert home_finding(tmp_path / "new").verdict is Verdict.OK
    assert not (tmp_path / "new").exists()


def test_token_that_others_may_read_is_an_error_and_no_other_check_closes_it(home: Path, capfd) -> None:
    home.chmod(0o700)
    file = home / "backend" / "token"
    file.parent.mkdir()
    file.write_text(TOKEN)
    file.chmod(0o644)
    found = product(home)
    assert found["tokens"].verdict is Verdict.ERROR
    assert found["services"].verdict is Verdict.NOT_LOOKED_AT
    assert file.stat().st_mode & 0o777 == 0o644
    assert TOKEN not in str(found)
    file.chmod(0o600)
    assert folders.tokens(home).verdict is Verdict.OK


def test_folders_whose_files_may_be_named_must_be_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = folders.named_folders([tmp_path, tmp_path / "file", tmp_path / "missing"])
    assert [one.verdict for one in found] == [Verdict.OK, Verdict.ERROR, Verdict.ERROR]
    assert "is not a folder" in found[1].seen
    assert "is not there" in found[2].seen


def test_disk_whose_clock_is_far_from_ours_is_a_warning(tmp_path: Path) -> None:
    assert folders.disk_clock(tmp_path)[0].verdict is Verdict.OK
    assert folders.disk_clock(tmp_path, now=lambda: 0.0)[0].verdict is Verdict.WARNING
    assert folders.disk_clock(tmp_path / "missing") == []


# Redis


def test_machine_without_a_redis_server_is_an_error_that_says_how_to_get_one() -> None:
    def binary() -> Path:
        return server_binary(find=lambda _: None, package="no_such_package")

    [found] = look("Redis", lambda: services.redis(None, binary))
    assert found.verdict is Verdict.ERROR
    assert "apt install redis-server" in found.way_out
    assert services.redis(None).verdict is Verdict.OK


def test_redis_that_does_not_answer_is_an_error_without_its_password() -> None:
    url = f"redis://:secret@127.0.0.1:{free_port()}/0"
    [found] = look("Redis", lambda: services.redis(url))
    assert found.verdict is Verdict.ERROR
    assert "no Redis server answers there" in found.seen
    assert "secret" not in found.model_dump_json()


def test_redis_that_wants_another_password_is_an_error_that_says_how_to_write_one(home: Path) -> None:
    prepare(home)
    place = redis_address.of_socket(socket_path(home))
    with subprocess.Popen([*server_command(home), "--requirepass", "right"], stdout=subprocess.DEVNULL) as server:
        try:
            wait_until(socket_path(home).exists, 20, "start of Redis")
            [found] = look("Redis", lambda: services.redis(redis_address.with_password(place, "wrong-one")))
            right = services.redis(redis_address.with_password(place, "right"))
        finally:
            server.terminate()
    assert found.verdict is Verdict.ERROR
    assert "refuses the password" in found.seen
    assert "wrong-one" not in found.model_dump_json()
    assert right.verdict is Verdict.OK


# ports


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def port_finding(number: int, ours: set[int], who: services.Listener = services.listening) -> Finding:
    return services.port("port: backend", "127.0.0.1", number, "MEMGEN_PORT", ours, who)


def test_port_in_use_is_an_error_that_names_the_process_that_has_it(taken: int) -> None:
    found = port_finding(taken, ours=set())
    assert found.verdict is Verdict.ERROR
    assert f"(process {os.getpid()})" in found.seen
    assert "MEMGEN_PORT=N" in found.way_out


def test_port_of_a_process_of_another_user_is_an_error_without_its_name(taken: int) -> None:
    assert "a process that is not this user's" in port_finding(taken, set(), who=lambda _: None).seen


def test_port_of_this_homes_own_service_and_a_free_one_are_well(taken: int) -> None:
    assert port_finding(taken, ours={os.getpid()}).verdict is Verdict.OK
    assert port_finding(free_port(), ours=set()).verdict is Verdict.OK


def test_backend_and_dashboard_can_not_share_a_port(home: Path) -> None:
    [found] = services.ports(Settings(home=home, port=8000, dashboard_port=8000), set())
    assert found.verdict is Verdict.ERROR


def test_address_that_is_not_this_machines_is_an_error(home: Path) -> None:
    found = look("ports", lambda: services.ports(Settings(home=home, host="203.0.113.7"), set()))
    assert found[0].verdict is Verdict.ERROR
    assert "MEMGEN_HOST" in found[0].seen


# services


def health(**changes: object) -> HealthOut:
    usual = {
        "status": "ok",
        "version": "0.1.0",
        "database": "ok",
        "broker": "ok",
        "reconciler_age_seconds": 2.0,
        "workers_alive": 1,
        "home_free_bytes": 10**9,
    }
    return HealthOut.model_validate(usual | changes)


def worker(*, alive: bool = True) -> WorkerOut:
    slot = SlotOut(name="cpu", device="cpu", gpus=[], total_memory=1, run_id=None)
    return WorkerOut(host="lab-7", alive=alive, last_seen=NOW, slots=[slot])


def test_backend_that_can_not_reach_redis_or_whose_reconciler_is_stuck_is_an_error() -> None:
    assert services.backend(health(), "http://x").verdict is Verdict.OK
    found = services.backend(health(status="degraded", broker="refused", reconciler_age_seconds=90.0), "http://x")
    assert found.verdict is Verdict.ERROR
    assert "Redis refused; the reconciler had its last round 90 s ago" in found.seen


def test_service_without_a_living_worker_is_an_error() -> None:
    assert services.at_work([], NOW.timestamp())[0].verdict is Verdict.ERROR
    assert services.at_work([worker(alive=False)], NOW.timestamp())[0].verdict is Verdict.ERROR
    [found] = services.at_work([worker()], NOW.timestamp())
    assert (found.verdict, found.seen) == (Verdict.OK, "1 at work, with the slots cpu (cpu)")


def test_machine_that_is_given_no_work_is_named_with_the_reason() -> None:
    refusal = Problem(code="other_version", message="machine lab-7 has version 9.9", way_out="Install version 0.1.")
    [_, found] = services.at_work([worker().model_copy(update={"refusal": refusal})], NOW.timestamp())
    assert (found.verdict, found.way_out) == (Verdict.ERROR, "Install version 0.1.")
    assert found.seen == "machine lab-7 has version 9.9: it is given no work"
    [_, found] = services.at_work([worker().model_copy(update={"drained": True})], NOW.timestamp())
    assert (found.verdict, "lab-7" in found.seen) == (Verdict.WARNING, True)


def test_machine_whose_clock_is_wrong_is_a_warning() -> None:
    [_, found] = services.at_work([worker().model_copy(update={"clock_ahead": -3600.0})], NOW.timestamp())
    assert found.seen == "the clock of lab-7 is 3600 s behind the backend's"


def test_clock_of_the_backend_that_is_far_from_ours_is_a_warning() -> None:
    assert services.at_work([worker()], NOW.timestamp() + 3600)[1].verdict is Verdict.WARNING


def test_launcher_that_runs_without_a_backend_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGEN_TOKEN", TOKEN)
    settings = Settings(home=home, port=free_port())
    assert services.stack(settings)[0].verdict is Verdict.OK
    with only_one(home, LAUNCHER_LOCK, running="", way_out=""):
        [found] = services.stack(settings)
    assert found.verdict is Verdict.ERROR
    assert f"process {os.getpid()}" in found.seen


# all of it


def test_setting_that_is_refused_is_an_error_and_the_rest_is_not_looked_at(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMGEN_PORT", "99999")
    found = product(home)
    assert found["settings"].verdict is Verdict.ERROR
    assert "MEMGEN_PORT" in found["settings"].seen
    assert found["service"].verdict is Verdict.NOT_LOOKED_AT


def test_command_says_all_of_it_and_changes_nothing(
    home: Path, taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.chmod(0o755)
    empty = tmp_path / "rows"
    empty.mkdir()
    settings = {
        "MEMGEN_PORT": str(taken),
        "MEMGEN_DASHBOARD_PORT": str(free_port()),
        "REDIS_URL": f"redis://:only-a-secret@127.0.0.1:{free_port()}/0",
        "MEMGEN_GSM8K_DIR": str(empty),
        "HF_TOKEN": "hf_only_a_secret",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "doctor.json"
    done = CliRunner().invoke(cli.app, ["doctor", "--json", str(file)])
    assert done.exit_code == 1, done.output
    told = json.loads(file.read_text())
    wrong = {one["subject"] for one in told["findings"] if one["verdict"] == "error"}
    assert {"home", "data: gsm8k", "Redis", "port: backend"} <= wrong
    assert "secret" not in done.output + file.read_text()
    assert f"(process {os.getpid()})" in done.output
    assert list(home.iterdir()) == []
    assert home.stat().st_mode & 0o777 == 0o755


def test_json_file_without_a_folder_is_refused_before_anything_is_looked_at(home: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, ["doctor", "--json", str(tmp_path / "no" / "file.json")])
    assert done.exit_code == 2
    assert "its folder is not there" in done.output


def test_core_that_can_not_be_asked_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMGEN_PASS_ON", "not a name!")
    [found], card = core_findings(gpu=False, minutes=1)
    assert (found.verdict, card) == (Verdict.ERROR, {})


def test_stack_of_another_machine_is_not_looked_at(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(*_: object) -> int:
        raise BadInput("other_machine", "it runs on another machine", way_out="Run the command there.")

    monkeypatch.setattr(services, "holder", elsewhere)
    [found] = services.stack(Settings(home=home, port=free_port()))
    assert found.verdict is Verdict.NOT_LOOKED_AT
