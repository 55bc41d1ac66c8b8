"""A real backend in a thread, and a scripted trainer that writes a run folder without importing torch."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.api.client import Client
from backend.http.context import Context
from backend.http.main import create_app
from backend.settings import Settings as BackendSettings
from tests.ports import free_port
from tests.serving import serving
from worker.settings import Settings

# Words after the folder are done one after the other.
SCRIPT = """
import json, os, signal, sys, time
config, out = sys.argv[2], sys.argv[4]
resume = sys.argv[6] if len(sys.argv) > 6 else None
n = json.load(open(config))["num_questions"]
def event(**fields):
    with open(out + "/events.jsonl", "a") as file:
        file.write(json.dumps({"time": time.time(), **fields}) + "\\n")
def answer(index):
    os.makedirs(out + "/evaluate", exist_ok=True)
    with open(out + "/evaluate/answer.json", "a") as file:
        file.write(json.dumps({"id": f"t:{index}", "index": index, "prompt": [], "solution": "",
                               "completion": "\\u00e9",
                               "metrics": {"accuracy": 1.0}, "completion_tokens": 1, "truncated": False,
                               "seconds": 0.1}) + "\\n")
def finish():
    open(out + "/result.json", "w").write(json.dumps({"num_questions": n, "accuracy": 1.0}))
def wait_for_stop():
    while not os.path.exists(out + "/stop.json"):
        time.sleep(0.01)
event(event="phase", name="generate")
"""


@dataclass
class House:
    """A backend to talk to, and what a supervisor needs."""

    user: Client
    settings: Settings
    write_script: Callable[[str], None]
    context: Context


@pytest.fixture
def house(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("REDIS_URL", "unix:///nowhere/redis.sock")
    port = free_port()
    backend = BackendSettings(
        port=port,
        lease_seconds=30,
        beat_seconds=0.1,
        reconcile_seconds=0.2,
        stop_grace_seconds=0.5,
        retry_pause_seconds=0,
    )
    app = create_app(backend)
    url = f"http://127.0.0.1:{port}"
    script = tmp_path / "trainer.py"
    monkeypatch.setenv("MEMGEN_BACKEND_URL", url)
    monkeypatch.setenv("MEMGEN_TRAINER", f"{sys.executable} {script}")
    monkeypatch.setenv("MEMGEN_POLL_SECONDS", "0.02")
    with serving(app, port), Client(url, backend.user_token()) as user:
        yield House(user, Settings(), lambda text: script.write_text(SCRIPT + text) and None, app.state.context)
