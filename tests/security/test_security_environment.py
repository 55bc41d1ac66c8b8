"""What a trainer may know of us, and what it may leave behind: through a real supervisor and a real backend."""

import ast
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.api.schemas import RunDetail
from backend.services.reconcile import _rest
from backend.serving.variables import SECRET
from memgen.contract.inheritance import KEPT_BACK
from memgen.contract.presets import DEMO_PRESET, dimensions_of
from memgen.contract.rundir import attempt_dir
from memgen.contract.status import RunStatus, StopMode
from memgen.model.fetch import fetched
from tests.conftest import GOLDEN
from tests.running_stack import is_alive, wait_until
from tests.worker.conftest import House, house
from tests.worker.test_supervisor import later, submit, work
from worker.reporter import Reporter
from worker.settings import Settings
from worker.slots import Slot, SlotLock

__all__ = ["house"]
SECRETS = {
    "MEMGEN_TOKEN": "of-users", "MEMGEN_WORKER_TOKEN": "of-workers", "HF_TOKEN": "hf_token",
    "HUGGING_FACE_HUB_TOKEN": "hf_other", "AWS_SECRET_ACCESS_KEY": "aws", "GITHUB_TOKEN": "gh",
    "REDIS_URL": "redis://:password@127.0.0.1:1/0", "SSH_AUTH_SOCK": "/ssh", "SOME_OTHER": "thing",
}  # fmt: skip
TELL = "open(out + '/seen.json', 'w').write(json.dumps(dict(os.environ)))\nanswer(0)\nanswer(1)\nfinish()\n"
FETCHER = """
import json, os, sys
out = sys.argv[3]
open(out + "/fetcher.json", "w").write(json.dumps(dict(os.environ)))
"""


def keep_secrets(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put secrets into the environment of the supervisor, which is this process."""
    token = house.settings.token()
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(house, "settings", house.settings.model_copy(update={"worker_token": token}))


def seen_by(house: House, run_id: int, name: str) -> dict[str, str]:
    path = attempt_dir(house.settings.home, run_id, 1, "evaluate").path / name
    found: dict[str, str] = json.loads(path.read_text())
    return found


def ended(house: House, run_id: int) -> RunDetail:
    run: RunDetail = house.user.run(run_id)
    assert run.ended_at is not None, run.status
    return run


def test_trainer_knows_no_secret_and_has_what_it_needs(
    house: House, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_secrets(house, monkeypatch)
    needed = {"HTTPS_PROXY": "http://proxy", "NCCL_DEBUG": "WARN", "LC_ALL": "C.UTF-8", "HF_ENDPOINT": "http://mirror"}
    added = {"MEMGEN_PASS_ON": "MY_*", "MY_SWITCH": "on"}
    for name, value in (needed | added | {"MEMGEN_GSM8K_DIR": ""}).items():
        monkeypatch.setenv(name, value)
    house.write_script(TELL)
    run_id = submit(house, tiny_config)
    work(house)
    assert ended(house, run_id).status == RunStatus.SUCCEEDED
    seen = seen_by(house, run_id, "seen.json")
    assert not set(SECRETS) & set(seen)
    assert not set(SECRETS.values()) & set(seen.values())
    assert seen.items() >= (needed | added).items()
    assert seen["MEMGEN_SLOT_LOCK"] == str(SlotLock(house.settings.home, Slot("cpu")).path)
    assert (seen["CUDA_VISIBLE_DEVICES"], seen["HF_HUB_DISABLE_IMPLICIT_TOKEN"]) == ("", "1")


def fetching(house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, then: str = "") -> None:
    """Let weights be fetched by a scripted process."""
    path = tmp_path / "fetcher.py"
    path.write_text(FETCHER + then)
    monkeypatch.setattr(Settings, "fetcher_command", property(lambda _: [sys.executable, str(path)]))


def test_process_that_fetches_weights_alone_has_the_hubs_token(
    house: House, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keep_secrets(house, monkeypatch)
    fetching(house, monkeypatch, tmp_path)
    house.write_script(TELL)
    run_id = submit(house, tiny_config | {"preset": DEMO_PRESET})
    work(house)
    assert ended(house, run_id).status == RunStatus.SUCCEEDED
    fetcher = seen_by(house, run_id, "fetcher.json")
    assert {name for name in SECRETS if name in fetcher} == {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}
    assert "HF_TOKEN" not in seen_by(house, run_id, "seen.json")


def test_real_fetcher_leaves_the_place_of_the_hubs_weights_for_the_trainer(
    house: House, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache, commit = tmp_path / "hub" / "models--org--tiny", "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(GOLDEN / "tiny_base", cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    dimensions = dimensions_of(json.loads((GOLDEN / "tiny_base" / "config.json").read_text())).model_dump()
    presets = tmp_path / "hub.json"
    presets.write_text(json.dumps([{"name": "org/tiny", "repo": "org/tiny", "dimensions": dimensions}]))
    monkeypatch.setenv("MEMGEN_PRESETS", str(presets))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(Settings, "fetcher_command", property(lambda _: [sys.executable, "-m", "memgen", "fetch"]))
    house.write_script(TELL)
    run_id = submit(house, tiny_config | {"preset": "org/tiny"})
    work(house)
    run = ended(house, run_id)
    assert run.status == RunStatus.SUCCEEDED, run.failure
    weights = fetched(attempt_dir(house.settings.home, run_id, 1, "evaluate"))
    assert weights is not None
    assert weights.identity == f"hub:org/tiny@{commit}"
    assert (weights.folder / "model.safetensors").exists()


def test_weights_that_can_not_be_fetched_fail_the_run_with_the_fetchers_words(
    house: House, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    event = {"event": "failed", "time": 1.0, "code": "model_unavailable", "message": "gone", "way_out": "Look."}
    line = json.dumps(json.dumps(event))
    fetching(house, monkeypatch, tmp_path, f"open(out + '/events.jsonl', 'w').write({line} + '\\n')\nsys.exit(2)\n")
    house.write_script(TELL)
    run_id = submit(house, tiny_config | {"preset": DEMO_PRESET})
    work(house)
    run = ended(house, run_id)
    assert run.failure is not None
    assert (run.status, run.failure.code, run.failure.message) == ("failed", "model_unavailable", "gone")
    assert not (attempt_dir(house.settings.home, run_id, 1, "evaluate").path / "seen.json").exists()


def test_stop_ends_a_fetch_at_once(
    house: House, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fetching(house, monkeypatch, tmp_path, "import signal\nsignal.alarm(600)\nsignal.pause()\n")
    run_id = submit(house, tiny_config | {"preset": DEMO_PRESET})
    fetcher = attempt_dir(house.settings.home, run_id, 1, "evaluate").path / "fetcher.json"
    later(fetcher.exists, lambda: house.user.stop(run_id))
    work(house)
    assert ended(house, run_id).status == RunStatus.CANCELLED


def test_setting_that_passes_a_token_on_starts_no_trainer(
    house: House, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMGEN_PASS_ON", "HF_TOKEN")
    run_id = submit(house, tiny_config)
    work(house)
    run = ended(house, run_id)
    assert run.failure is not None
    assert (run.status, run.failure.code) == ("failed", "not_started")
    assert "MEMGEN_PASS_ON" in run.failure.message


def test_machine_that_is_renamed_while_a_trainer_runs_gets_no_second_one(
    house: House, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write_script("answer(0)\nwait_for_stop()\nsys.exit(3)\n")
    first, second = submit(house, tiny_config), submit(house, tiny_config)
    tried: list[int] = []

    def rename_and_try() -> None:
        monkeypatch.setattr("platform.node", lambda: "another-name")
        tried.append(work(house))
        house.user.stop(first)

    monkeypatch.setattr("signal.signal", lambda *_: None)  # the second supervisor is not in the main thread
    thread = later(lambda: house.user.answers(first).counts["all"] == 1, rename_and_try)
    work(house)
    thread.join(20)
    assert tried == [0]
    assert house.user.run(second).num_attempts in {0, 1}
    assert house.user.run(second).status == RunStatus.QUEUED


PLANTS = {
    "result nested 2,000 deep": """open(out + '/result.json', 'w').write('{"a":' * 2000 + '1' + '}' * 2000)""",
    "result is a pipe": "os.remove(out + '/result.json'); os.mkfifo(out + '/result.json')",
    "result of wrong types": """open(out + '/result.json', 'w').write('[NaN, "\\\\ud800"]')""",
    "environment is a folder": "os.mkdir(out + '/environment.json')",
    "events are a pipe": "os.remove(out + '/events.jsonl'); os.mkfifo(out + '/events.jsonl')",
    "events are a link": "os.remove(out + '/events.jsonl'); os.symlink('/etc/passwd', out + '/events.jsonl')",
    "events are a folder": "os.remove(out + '/events.jsonl'); os.mkdir(out + '/events.jsonl')",
    "event without an end": "open(out + '/events.jsonl', 'ab').truncate(2**35)",
    "answers are a pipe": "os.remove(out + '/evaluate/answer.json'); os.mkfifo(out + '/evaluate/answer.json')",
    "log is a pipe": "os.remove(out + '/log.txt'); os.mkfifo(out + '/log.txt')",
    "log is a link": "os.remove(out + '/log.txt'); os.symlink('/dev/zero', out + '/log.txt')",
    "output is a file": "import shutil; shutil.rmtree(out + '/evaluate'); open(out + '/evaluate', 'w').write('x')",
    "output is a link": "os.rename(out + '/evaluate', out + '/e'); os.symlink('e', out + '/evaluate')",
    "folder is gone": "import shutil; shutil.rmtree(out)",
    "folder is a file": "import shutil; shutil.rmtree(out); open(out, 'w').write('x')",
    "folder is a pipe": "import shutil; shutil.rmtree(out); os.mkfifo(out)",
}


def test_nothing_that_a_trainer_leaves_kills_or_holds_the_supervisor(
    house: House, tiny_config: dict[str, object]
) -> None:
    for what, plant in PLANTS.items():
        house.write_script(f"answer(0)\nanswer(1)\nfinish()\n{plant}\n")
        run_id = submit(house, tiny_config)
        work(house)
        run = ended(house, run_id)
        assert (run.status, run.num_attempts) == (RunStatus.FAILED, 1), what
        assert run.failure is not None, what
        assert run.failure.message, what
        assert run.output is None, what


def test_junk_in_events_and_answers_is_skipped_and_the_run_succeeds(
    house: House, tiny_config: dict[str, object]
) -> None:
    lines = ["[" * 5000, "null", '"x"', "{}", '{"event": 7}', '{"event": "metric", "name": "\\\\ud800"}', "\\x00\\xff"]
    junk = "".join(f"{line}\\n" for line in lines)
    house.write_script(
        f"open(out + '/events.jsonl', 'ab').write({junk!r}.encode().decode('unicode_escape').encode('latin-1'))\n"
        f"answer(0)\nopen(out + '/evaluate/answer.json', 'ab').write(b'[[[[\\n\\xff\\n{{}}\\n')\nanswer(1)\nfinish()\n"
    )
    run_id = submit(house, tiny_config)
    work(house)
    assert ended(house, run_id).status == RunStatus.SUCCEEDED
    assert house.user.answers(run_id).counts["all"] == 2


def test_file_with_a_hole_is_reported_up_to_a_limit(
    house: House, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.reporter.MOST_BYTES", 3 * 2**20)
    house.write_script("os.truncate(out + '/log.txt', 2**40)\nanswer(0)\nanswer(1)\nfinish()\n")
    run_id = submit(house, tiny_config)
    work(house)
    assert ended(house, run_id).status == RunStatus.SUCCEEDED
    assert house.user.log(run_id).size == 3 * 2**20


def test_end_that_the_backend_refuses_is_told_in_short(
    house: House, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.verdict.FinishRequest", _Unchecked)
    house.write_script("event(event='failed', code='c', message='m')\nsys.exit(1)\n")
    run_id = submit(house, tiny_config)
    work(house)
    run = ended(house, run_id)
    assert run.failure is not None
    assert run.failure.code == "unreadable_end"


def _Unchecked(**fields: object) -> object:  # stands for a class
    from backend.api.schemas import FinishRequest

    if getattr(fields.get("failure"), "code", "") == "c":
        fields["traceback"] = "t" * 50_000  # more than the backend takes
    return FinishRequest.model_construct(**fields)


def test_run_whose_reports_the_backend_can_not_take_is_ended_by_force(
    house: House, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.api.client import ApiError, Client
    from backend.api.schemas import ProblemReply

    def fails(*_: object, **__: object) -> int:
        raise ApiError(ProblemReply(message="broken", status=500, code="unknown_error"))

    monkeypatch.setattr(Client, "send_stream", fails)
    house.write_script("answer(0)\nanswer(1)\nfinish()\n")
    run_id = submit(house, tiny_config)
    folder = attempt_dir(house.settings.home, run_id, 1, "evaluate")
    later(folder.result.exists, lambda: house.user.stop(run_id, StopMode.FORCE))
    work(house)
    assert ended(house, run_id).num_attempts == 1


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_backend_does_not_wait_for_what_a_lost_attempt_left(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "events.jsonl")
    assert _rest(tmp_path / "events.jsonl", 0) == b""


def test_trainer_whose_folder_can_not_be_written_to_is_not_left_running(
    house: House, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker import supervisor

    real = supervisor.write_json
    pids: list[int] = []

    def write(path: Path, data: dict[str, int]) -> None:
        if path.name == "supervisor.json":
            pids.append(data["trainer_pid"])
            raise OSError(28, "No space left on device")
        real(path, data)

    monkeypatch.setattr(supervisor, "write_json", write)
    house.write_script("time.sleep(600)\n")
    run_id = submit(house, tiny_config)
    work(house)
    assert ended(house, run_id).status == RunStatus.FAILED
    wait_until(lambda: not is_alive(pids[0]), 5, "end of the trainer")


def test_reporter_names_what_it_can_not_report(tmp_path: Path) -> None:
    class Silent:
        def send_stream(self, _: int, __: str, offset: int, data: bytes, clock: float | None = None) -> int:
            return offset + len(data)

    os.mkfifo(tmp_path / "log.txt")
    (tmp_path / "events.jsonl").write_bytes(b"x" * (6 * 2**20))
    reporter = Reporter(
        Silent(),  # type: ignore[arg-type]
        1,
        log=tmp_path / "log.txt",
        events=tmp_path / "events.jsonl",
        answers=tmp_path / "gone" / "answer.json",
        rollouts=tmp_path / "rollouts.jsonl",
    )
    assert reporter.report()
    assert [problem.split(" can't")[0] for problem in reporter.problems()] == ["events.jsonl", "log.txt"]
    (tmp_path / "log.txt").unlink()
    (tmp_path / "events.jsonl").write_bytes(b"x\n")
    assert reporter.report()
    assert reporter.problems() == []


def test_no_process_is_started_with_the_whole_environment() -> None:
    """Of all places that start a process only the demo hands everything on: to the launcher, as a terminal does."""
    root = Path(__file__).parents[2]
    bare: set[str] = set()
    sources = [path for name in ("memgen", "backend", "worker", "dashboard") for path in (root / name).rglob("*.py")]
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("subprocess."):
                environment = next((word.value for word in node.keywords if word.arg == "env"), None)
                if environment is None or "inherit" not in ast.unparse(environment):
                    bare.add(path.relative_to(root).as_posix())
    assert bare == {"backend/commands/demo.py"}


def test_every_setting_that_is_secret_is_kept_back_from_trainers_whatever_the_operator_adds() -> None:
    assert {f"MEMGEN_{name.upper()}" for name in SECRET} <= KEPT_BACK
