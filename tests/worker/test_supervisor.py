"""A supervisor with a real backend, real processes and a scripted trainer."""

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from backend.api.schemas import RunDetail, SlotReport
from backend.services import fit
from memgen.contract.rundir import attempt_dir
from memgen.contract.status import AttemptStatus, Cause, RunStatus, StopMode
from tests.checkpoints import write_checkpoint
from tests.running_stack import is_alive, wait_until
from tests.worker.conftest import House
from worker.slots import Slot, SlotLock
from worker.strays import MARK
from worker.supervisor import EXIT_IDLE, EXIT_WORKED, supervise

CPU = Slot("cpu")


def submit(house: House, tiny_config: dict[str, object]) -> int:
    return house.user.submit(tiny_config | {"num_questions": 2}).id


def work(house: House) -> int:
    return supervise(house.settings, CPU, 1)


def later(condition: Callable[[], bool], action: Callable[[], object]) -> threading.Thread:
    """Do something in a thread as soon as a condition holds."""

    def wait() -> None:
        wait_until(condition, 20, "what the test waits for")
        action()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def has_answers(house: House, run_id: int, n: int) -> Callable[[], bool]:
    return lambda: house.user.answers(run_id).counts["all"] >= n


def trainer_pid(house: House, run_id: int, number: int = 1) -> int:
    import json

    return int(
        json.loads((attempt_dir(house.settings.home, run_id, number, "evaluate").path / "supervisor.json").read_text())[
            "trainer_pid"
        ]
    )


def test_nothing_to_do_is_told_by_the_exit_code(house: House) -> None:
    assert work(house) == EXIT_IDLE


def test_finished_run_is_published_with_log_byte_for_byte(house: House, tiny_config: dict[str, object]) -> None:
    house.write_script(
        "print('héllo ' * 50_000, end='')\nanswer(0)\nanswer(1)\n"
        "event(event='metric', name='eval/accuracy', step=2, value=1.0)\nfinish()\n"
    )
    run_id = submit(house, tiny_config)
    assert work(house) == EXIT_WORKED
    run: RunDetail = house.user.run(run_id)
    assert (run.status, run.cause) == (RunStatus.SUCCEEDED, Cause.DONE)
    assert run.output is not None
    answers = house.settings.home / run.output / "answer.json"
    assert answers.read_bytes().count(b"\n") == 2
    newest = answers.parent.parent.parent / "evaluate"
    assert newest.is_symlink()
    assert (
        newest.resolve() == answers.parent.resolve() == attempt_dir(house.settings.home, run_id, 1, "evaluate").output
    )
    log = (house.settings.home / "logs" / f"{run_id}.log").read_bytes()
    assert log == ("héllo " * 50_000).encode()
    piece = house.user.log(run_id, offset=0, limit=2**20)
    assert piece.text.encode() == log
    assert house.user.metrics(run_id).series[0].values == [1.0]


def test_training_hands_its_checkpoint_on_with_its_end_and_its_child_is_told_where_it_lies(
    house: House, tiny_config: dict[str, object]
) -> None:
    made = write_checkpoint(house.settings.home.parent / "made")
    house.write_script(f"import shutil\nshutil.copytree({str(made)!r}, out + '/weaver_sft')\nfinish()\n")
    shared = {name: tiny_config[name] for name in ("preset", "data")}
    training = house.user.submit(shared | {"stage": "weaver_sft", "num_questions": 8}).id
    work(house)
    assert house.user.run(training).status is RunStatus.SUCCEEDED, house.user.run(training).failure
    child = house.user.submit(tiny_config | {"setting": "weaver", "checkpoint": str(training)}).id
    house.write_script("print(open(out + '/init_from.json').read())\n")
    work(house)
    assert f"runs/{training}/attempts/1/weaver_sft" in house.user.log(child, offset=0, limit=2**20).text


@pytest.mark.parametrize(
    ("placement", "slot", "visible", "processes"),
    [("parallel", "0,3", "0,3", 2), ("parallel", "0,2,3", "0,2", 2), ("spread", "0,3", "0,3", 0)],
)
def test_one_process_per_gpu_where_each_gpu_holds_the_run_and_has_a_row(
    placement: str,
    slot: str,
    visible: str,
    processes: int,
    house: House,
    tiny_config: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def report(own: Slot, _limits: object = None) -> SlotReport:
        each = [2**40] * len(own.gpus)
        return SlotReport(
            name=own.name, device="cuda", gpus=own.gpus, total_memory=sum(each), gpu_memory=each, free=each
        )

    monkeypatch.setattr(Slot, "report", report)
    monkeypatch.setattr(fit, "place", lambda *_: placement)
    house.write_script("print(sys.argv, os.environ['CUDA_VISIBLE_DEVICES'])\nanswer(0)\nanswer(1)\nfinish()\n")
    run_id = submit(house, tiny_config)
    assert supervise(house.settings, Slot(slot), 1) == EXIT_WORKED
    said = house.user.log(run_id, offset=0, limit=2**20).text
    assert said.endswith(f"] {visible}\n")
    assert (f"'--num-processes', '{processes}'" in said) is (processes > 0)
    assert ("--num-processes" in said) is (processes > 0)


def test_error_is_told_with_its_traceback(house: House, tiny_config: dict[str, object]) -> None:
    house.write_script("raise ZeroDivisionError('no such number')\n")
    run_id = submit(house, tiny_config)
    work(house)
    run = house.user.run(run_id)
    assert (run.status, run.cause, run.exit_code) == (RunStatus.FAILED, Cause.ERROR, 1)
    assert run.failure is not None
    assert "no such number" in run.failure.message
    assert run.traceback is not None
    assert run.traceback.startswith("Traceback (most recent call last)")
    assert run.output is None
    assert not (house.settings.home / "evaluate").exists()


def test_bad_input_of_the_trainer_keeps_field_value_and_way_out(house: House, tiny_config: dict[str, object]) -> None:
    house.write_script(
        "event(event='failed', code='prompt_too_long', message='m', field='f', value='7', way_out='w')\nsys.exit(2)\n"
    )
    run_id = submit(house, tiny_config)
    work(house)
    run = house.user.run(run_id)
    assert (run.status, run.cause) == (RunStatus.FAILED, Cause.INVALID_CONFIG)
    assert run.failure is not None
    assert (run.failure.code, run.failure.field, run.failure.value) == ("prompt_too_long", "f", "7")


def test_rank_that_was_killed_is_told_as_killed(house: House, tiny_config: dict[str, object]) -> None:
    house.write_script("event(event='failed', code='killed', message='process 1', way_out='w')\nsys.exit(1)\n")
    run_id = submit(house, tiny_config)
    work(house)
    run = house.user.run(run_id)
    assert (run.status, run.cause) == (RunStatus.FAILED, Cause.KILLED)


def test_killed_trainer_is_told_with_its_signal(house: House, tiny_config: dict[str, object]) -> None:
    house.write_script("os.kill(os.getpid(), signal.SIGKILL)\n")
    run_id = submit(house, tiny_config)
    work(house)
    run = house.user.run(run_id)
    assert (run.status, run.cause, run.exit_code) == (RunStatus.FAILED, Cause.KILLED, -9)
    assert run.failure is not None
    assert "SIGKILL" in run.failure.message
    assert run.failure.way_out.startswith("Resume the run, if somebody killed it.")
    assert "Launch it again with fewer rows at the same time" in run.failure.way_out


def test_save_and_stop_is_obeyed_and_the_run_goes_on_where_it_was(house: House, tiny_config: dict[str, object]) -> None:
    house.write_script("answer(0)\nwait_for_stop()\nsys.exit(3)\n")
    run_id = submit(house, tiny_config)
    later(has_answers(house, run_id, 1), lambda: house.user.stop(run_id))
    work(house)
    run = house.user.run(run_id)
    assert (run.status, run.can_resume) == (RunStatus.CANCELLED, True)

    house.write_script("assert resume.endswith('attempts/1'), resume\nanswer(0)\nanswer(1)\nfinish()\n")
    house.user.resume(run_id)
    work(house)
    run = house.user.run(run_id)
    assert run.status == RunStatus.SUCCEEDED
    assert [attempt.status for attempt in run.attempts] == [AttemptStatus.STOPPED, AttemptStatus.SUCCEEDED]
    assert run.attempts[1].resumes == 1


def test_run_that_another_machine_was_to_resume_begins_anew_there_and_says_why(
    house: House, tiny_config: dict[str, object], tmp_path: Path
) -> None:
    house.write_script("answer(0)\nwait_for_stop()\nsys.exit(3)\n")
    run_id = submit(house, tiny_config)
    later(has_answers(house, run_id, 1), lambda: house.user.stop(run_id))
    work(house)
    house.write_script("assert resume is None\nanswer(0)\nanswer(1)\nfinish()\n")
    house.user.resume(run_id)
    other = {"home": tmp_path / "other-home", "worker_token": house.settings.token()}
    supervise(house.settings.model_copy(update=other), CPU, 1)
    run = house.user.run(run_id)
    assert (run.status, run.attempts[1].resumes) == (RunStatus.SUCCEEDED, 1)
    (warning,) = run.warnings
    assert warning.startswith("attempt 1 was to be resumed, and what it saved is on the disk of another machine")


def test_discarded_run_has_nothing_to_resume(house: House, tiny_config: dict[str, object]) -> None:
    house.write_script("answer(0)\nwait_for_stop()\nsys.exit(3)\n")
    run_id = submit(house, tiny_config)
    later(has_answers(house, run_id, 1), lambda: house.user.stop(run_id, StopMode.DISCARD))
    work(house)
    run = house.user.run(run_id)
    assert (run.status, run.can_resume) == (RunStatus.CANCELLED, False)


@pytest.mark.parametrize("mode", [StopMode.SAVE, StopMode.FORCE])
def test_trainer_that_ignores_every_request_is_killed_with_its_children(
    house: House, tiny_config: dict[str, object], tmp_path: Path, mode: StopMode
) -> None:
    child_file = tmp_path / "child"
    house.write_script(
        "import subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(child_file)!r}, 'w').write(str(child.pid))\nanswer(0)\ntime.sleep(600)\n"
    )
    run_id = submit(house, tiny_config)
    later(has_answers(house, run_id, 1), lambda: house.user.stop(run_id, mode))
    work(house)
    assert house.user.run(run_id).status == RunStatus.CANCELLED
    for pid in (trainer_pid(house, run_id), int(child_file.read_text())):
        assert not is_alive(pid)


def test_attempt_that_lost_its_lease_publishes_nothing_and_its_trainer_ends(
    house: House, tiny_config: dict[str, object]
) -> None:
    house.write_script("answer(0)\nanswer(1)\nfinish()\ntime.sleep(600)\n")
    run_id = submit(house, tiny_config)

    def take_the_lease_away() -> None:
        with house.context.database.write() as session:
            from backend.services.ingest import live_attempts

            for attempt in live_attempts(session):
                attempt.lease_until = 1.0
                session.add(attempt)

    def lost() -> bool:
        take_the_lease_away()
        return any(attempt.status == AttemptStatus.LOST for attempt in house.user.run(run_id).attempts)

    thread = later(has_answers(house, run_id, 2), lambda: None)
    taker = later(lambda: not thread.is_alive() and lost(), lambda: None)
    assert work(house) == EXIT_WORKED
    taker.join(30)
    run = house.user.run(run_id)
    assert [attempt.status for attempt in run.attempts] == [AttemptStatus.LOST, AttemptStatus.QUEUED]
    assert not is_alive(trainer_pid(house, run_id))
    assert not (house.settings.home / "evaluate").exists()


def test_slot_that_somebody_holds_is_left_alone(house: House, tiny_config: dict[str, object]) -> None:
    run_id = submit(house, tiny_config)
    lock = SlotLock(house.settings.home, CPU)
    assert lock.take()
    assert work(house) == EXIT_IDLE
    lock.release()
    assert house.user.run(run_id).status == RunStatus.QUEUED


def test_end_waits_for_a_backend_that_is_away(house: House, tiny_config: dict[str, object], monkeypatch) -> None:
    from backend.api.client import Client, Unreachable

    house.write_script("answer(0)\nanswer(1)\nfinish()\n")
    run_id = submit(house, tiny_config)
    calls = {"finish": 0}
    real = Client.finish

    def flaky(self: Client, *arguments: object) -> object:
        calls["finish"] += 1
        if calls["finish"] < 3:
            raise Unreachable("http://away", "ConnectError")
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Client, "finish", flaky)
    work(house)
    assert calls["finish"] == 3
    assert house.user.run(run_id).status == RunStatus.SUCCEEDED
    assert (house.settings.home / "logs" / f"{run_id}.log").is_symlink()


def test_what_an_earlier_trainer_left_behind_is_ended_before_the_next_claim(
    house: House, tiny_config: dict[str, object], tmp_path: Path
) -> None:
    lock = SlotLock(house.settings.home, CPU)
    words = [sys.executable, "-c", "import signal; signal.alarm(600); signal.pause()"]
    mine, others = (
        subprocess.Popen(words, start_new_session=True, env={**os.environ, MARK: str(path)})
        for path in (lock.path, lock.path.with_name("slot-0.lock"))
    )
    try:
        assert work(house) == EXIT_IDLE
        assert not is_alive(mine.pid)
        assert others.poll() is None, "another slot's trainers are none of our business"
    finally:
        for process in (mine, others):
            process.kill()
            process.wait()


def test_failure_on_a_full_disk_is_told_as_such(
    house: House, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write_script("raise OSError(28, 'No space left on device')")
    run_id = submit(house, tiny_config)
    monkeypatch.setattr("worker.verdict.LITTLE_DISK", 2**62)
    assert work(house) == EXIT_WORKED
    run = house.user.run(run_id)
    assert (run.status, run.cause) == (RunStatus.FAILED, Cause.ERROR)
    assert run.failure is not None
    assert (run.failure.code, "MB are left where it writes" in run.failure.message) == ("disk_full", True)
    assert run.traceback is not None
    assert "No space left" in run.traceback


def test_attempt_that_can_not_be_set_up_fails_and_says_why(house: House, tiny_config: dict[str, object]) -> None:
    run_id = submit(house, tiny_config)
    folder = attempt_dir(house.settings.home, run_id, 1, "evaluate").path
    folder.mkdir(parents=True)
    assert work(house) == EXIT_WORKED
    run = house.user.run(run_id)
    assert (run.status, run.cause) == (RunStatus.FAILED, Cause.ERROR)
    assert run.failure is not None
    assert run.failure.code == "not_started"
    assert str(folder) in run.failure.message


def test_strange_server_at_the_backends_address_ends_no_trainer(
    house: House, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own_is_back = tmp_path / "own backend is back"
    house.write_script(
        f"answer(0)\nwhile not os.path.exists({str(own_is_back)!r}):\n    time.sleep(0.01)\nanswer(1)\nfinish()\n"
    )
    run_id = submit(house, tiny_config)
    real, asked = httpx.Client.send, itertools.count()

    def send(self: httpx.Client, request: httpx.Request, **arguments: object) -> httpx.Response:
        if "/attempts/" in request.url.path:
            number = next(asked)
            if 2 < number < 6:
                return httpx.Response(401, json={"code": "wrong_token"}, request=request)
            if number == 6:
                own_is_back.touch()
        return real(self, request, **arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(httpx.Client, "send", send)
    assert work(house) == EXIT_WORKED
    run = house.user.run(run_id)
    assert (run.status, run.num_attempts) == (RunStatus.SUCCEEDED, 1)


def test_stop_on_a_full_disk_still_lets_the_trainer_save(
    house: House, tiny_config: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write_script(
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\nanswer(0)\nsignal.alarm(600)\nsignal.pause()\n"
    )
    run_id = submit(house, tiny_config)

    def stop() -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("worker.supervisor.write_json", full)
        house.user.stop(run_id)

    later(has_answers(house, run_id, 1), stop)
    assert work(house) == EXIT_WORKED
    run = house.user.run(run_id)
    assert (run.status, run.can_resume) == (RunStatus.CANCELLED, True)
