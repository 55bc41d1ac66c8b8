"""The container files, read as YAML: what each service may do and see. No container engine is needed."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend.launcher.redis_server import server_binary
from backend.serving import redis_address
from backend.settings import Settings
from tests.running_stack import wait_until

ROOT = Path(__file__).parents[3]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_service_can_write_gain_and_listen_as_little_as_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "cap_add" not in service
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service["healthcheck"]["test"]


def test_each_service_sees_only_its_secrets() -> None:
    assert {name: set(service["secrets"]) for name, service in SERVICES.items()} == {
        "redis": {"memgen_redis_password"},
        "backend": {"memgen_token", "memgen_worker_token", "memgen_redis_password"},
        "worker": {"memgen_worker_token", "memgen_redis_password"},
        "dashboard": {"memgen_token"},
    }
    assert set(COMPOSE["secrets"]) == {"memgen_token", "memgen_worker_token", "memgen_redis_password"}
    assert [name for name, service in SERVICES.items() if "volumes" in service] == ["backend", "worker"]
    assert "TOKEN" not in str(SERVICES["dashboard"]["environment"])


def test_secrets_stay_out_of_git_and_of_images() -> None:
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert "secrets/" in (ROOT / ".dockerignore").read_text().splitlines()


def test_settings_of_the_compose_file_are_read_from_its_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in SERVICES["backend"]["environment"].items():
        monkeypatch.setenv(name, "" if value.startswith("$") else value)
    monkeypatch.setenv("MEMGEN_SECRETS", str(tmp_path))
    for number, name in enumerate(COMPOSE["secrets"]):
        (tmp_path / name).write_text(f"{number}abcdef" * 4 + "\n")
    settings = Settings.read()
    assert (settings.user_token(), settings.workers_token()) == ("0abcdef" * 4, "1abcdef" * 4)
    assert settings.redis_url == f"redis://:{'2abcdef' * 4}@redis:6379/0"
    assert "222" not in redis_address.shown(settings.redis_url)


def test_redis_of_the_compose_file_asks_for_the_password_and_shows_it_to_no_process_list(tmp_path: Path) -> None:
    (tmp_path / "memgen_redis_password").write_text("5e" * 24 + "\n")
    script = SERVICES["redis"]["command"][2].replace("$$", "$").replace("/run/secrets", str(tmp_path))
    socket = tmp_path / "r.sock"
    script = script.replace("redis-server -", f"{server_binary()} - --port 0 --unixsocket {socket}")
    url = redis_address.of_socket(socket)
    with subprocess.Popen(["sh", "-c", script], cwd=tmp_path, stdout=subprocess.DEVNULL) as server:
        try:
            wait_until(socket.exists, 20, "start of Redis")
            assert redis_address.is_refusal(redis_address.trouble(url))
            assert redis_address.trouble(redis_address.with_password(url, "5e" * 24)) is None
            assert b"5e5e" not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
        finally:
            server.terminate()
