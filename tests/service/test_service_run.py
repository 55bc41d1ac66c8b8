"""The whole way with real parts: Redis, backend, Celery worker, supervisor, the real trainer on a tiny model."""

import os
import signal

from memgen.contract.answers import read_answers
from memgen.contract.status import AttemptStatus, Cause, RunStatus
from tests.conftest import TINY
from tests.running_stack import RunningStack, is_alive, wait_until

LONG = {
    "stage": "evaluate",
    "preset": TINY,
    "data": "wordproblems",
    "num_questions": 16,
    "batch_size": 2,
    "max_completion_length": 96,
}


def launch(stack: RunningStack, **changes: object) -> int:
    with stack.client() as client:
        return client.submit(LONG | changes).id


def answered(stack: RunningStack, run_id: int, n: int) -> None:
    stack.run_when(run_id, lambda run: run.summary.get("num_questions", 0) >= n, 60, f"{n} answers of run {run_id}")


def check_published(stack: RunningStack, run_id: int, n: int) -> None:
    """The answer file of product.md's path has each question once and a summary, and the links point at it."""
    path = stack.home / "evaluate" / "wordproblems" / "qwen2-242k" / str(run_id) / "evaluate" / "answer.json"
    wait_until(path.exists, 10, f"published output of run {run_id}")
    answers, summary = read_answers(path)
    assert len({answer.id for answer in answers}) == len(answers) == n
    assert summary is not None
    link = path.parents[2] / "evaluate"
    wait_until(lambda: link.exists() and link.resolve() == path.parent.resolve(), 10, "the newest-run link")
    with stack.client() as client:
        assert client.answers(run_id, limit=1).counts["all"] == n
        assert client.run(run_id).output == str(path.parent.relative_to(stack.home))


def test_command_line_launches_and_follows_a_run_to_its_end(stack: RunningStack) -> None:
    done = stack.command(
        "launch", "--preset", TINY, "--data", "wordproblems", "--num-questions", "4",
        "--set", "max_completion_length=16", "--note", "from the command line", "--wait",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "succeeded, accuracy" in done.stdout
    assert "from the command" in stack.command("runs").stdout
    assert "Did you mean" in stack.command("launch", "--preset", TINY + "x").stderr
    assert stack.command("show", "999999").returncode == 2


def test_run_survives_kill_of_backend_worker_and_redis(stack: RunningStack) -> None:
    run_id = launch(stack)
    answered(stack, run_id, 2)
    for service in ("backend", "worker", "redis"):
        stack.kill_service(service)
    run = stack.run_ended(run_id)
    assert run.status == RunStatus.SUCCEEDED
    assert [attempt.status for attempt in run.attempts] == [AttemptStatus.SUCCEEDED]
    check_published(stack, run_id, 16)
    trainers_log = (stack.home / "logs" / f"{run_id}.log").read_bytes()
    backends_log = (stack.home / "backend" / "attempts" / f"{run_id}-1.log").read_bytes()
    assert backends_log == trainers_log
    assert trainers_log.count(b"wordproblems:") == 16


def test_stopped_run_is_resumed_with_each_question_once(stack: RunningStack) -> None:
    run_id = launch(stack)
    answered(stack, run_id, 4)
    assert stack.command("stop", str(run_id)).returncode == 0
    run = stack.run_ended(run_id, 30)
    assert (run.status, run.cause, run.can_resume) == (RunStatus.CANCELLED, Cause.STOPPED, True)
    kept = run.summary["num_questions"]
    assert stack.command("resume", str(run_id)).returncode == 0
    run = stack.run_ended(run_id)
    assert [attempt.status for attempt in run.attempts] == [AttemptStatus.STOPPED, AttemptStatus.SUCCEEDED]
    check_published(stack, run_id, 16)
    with stack.client() as client:
        assert f"resumed: {kept:.0f} of 16" in client.log(run_id, attempt=2).text


def test_killed_supervisor_takes_its_trainer_along_and_the_run_goes_on(stack: RunningStack) -> None:
    run_id = launch(stack)
    answered(stack, run_id, 4)
    pids = stack.supervisor(run_id, 1)
    os.kill(pids["pid"], signal.SIGKILL)
    wait_until(lambda: not is_alive(pids["trainer_pid"]), 5, "death of the trainer")
    run = stack.run_ended(run_id)
    assert run.status == RunStatus.SUCCEEDED
    assert [attempt.status for attempt in run.attempts] == [AttemptStatus.LOST, AttemptStatus.SUCCEEDED]
    check_published(stack, run_id, 16)


def test_killed_trainer_fails_the_run_and_says_why(stack: RunningStack) -> None:
    run_id = launch(stack)
    answered(stack, run_id, 2)
    os.kill(stack.supervisor(run_id, 1)["trainer_pid"], signal.SIGKILL)
    run = stack.run_ended(run_id, 30)
    assert (run.status, run.cause, run.exit_code, run.can_resume) == (RunStatus.FAILED, Cause.KILLED, -9, True)


def test_queued_run_says_what_it_waits_for_and_starts_by_itself(stack: RunningStack) -> None:
    first, second = launch(stack), launch(stack, num_questions=2)
    answered(stack, first, 1)
    with stack.client() as client:
        waits = client.run(second).waits_for
        assert waits is not None
        assert f"busy with run {first}" in waits
        client.stop(first)
    assert stack.run_ended(second).status == RunStatus.SUCCEEDED


def test_bad_data_folder_fails_before_anything_is_written(stack: RunningStack) -> None:
    with stack.client() as client:
        reply = client.preflight(LONG | {"num_questions": 2000})
        assert not reply.ok
        assert reply.problems[0].field == "num_questions"
        assert client.preflight(LONG).ok
