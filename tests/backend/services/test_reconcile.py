"""Leases and the reconciler, with clocks that the test moves."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.settings import Settings
from memgen.contract.rundir import attempt_dir
from tests.backend.conftest import Backend, Held, check_problem


def wait_in_rounds(backend: Backend, seconds: float) -> None:
    """Time in which the reconciler turns every five seconds, as it does when it lives."""
    while seconds > 0:
        backend.clock.pass_time(min(5, seconds))
        backend.reconciler.round()
        seconds -= 5


@pytest.fixture
def attempt(backend: Backend) -> Held:
    """A claimed attempt, by a reconciler that has already turned once."""
    backend.reconciler.round()
    return backend.started()


def test_attempt_that_beats_is_never_lost(backend: Backend, attempt: Held) -> None:
    for _ in range(10):
        wait_in_rounds(backend, 30)
        assert attempt.beat().status_code == 200
    assert backend.run(1)["status"] == "running"


def test_attempt_that_does_not_beat_is_lost_after_its_lease_and_tried_again(backend: Backend, attempt: Held) -> None:
    attempt.say({"event": "phase", "name": "generate"})
    attempt.answer(0)
    wait_in_rounds(backend, 60)
    assert backend.run(1)["status"] == "running"
    wait_in_rounds(backend, 5)
    run = backend.run(1)
    assert (run["status"], run["cause"]) == ("queued", "lost")
    assert [(a["status"], a["cause"]) for a in run["attempts"]] == [("lost", "lost"), ("queued", None)]
    assert run["attempts"][1]["resumes"] == 1
    lost = next(e for e in backend.history(1) if e["to_status"] == "lost")
    assert (lost["actor"], lost["detail"]) == ("reconciler", "last heard of at generate on lab, slot cpu")


@pytest.mark.parametrize("is_lost", [False, True], ids=["killed", "lost"])
def test_checkpoint_that_was_saved_and_not_told_of_is_resumed_from(backend: Backend, is_lost: bool) -> None:
    attempt = backend.started(stage="weaver_sft", num_questions=8)
    for step in (2, 4):
        attempt_dir(backend.home, attempt.run_id, 1, "weaver_sft").checkpoint(step).mkdir(parents=True)
    if is_lost:
        wait_in_rounds(backend, 70)
    else:
        attempt.finish("failed", "killed")
        assert backend.run(1)["resume_reason"] == "Continues after step 4 of attempt 1."
        backend.user("POST", "/runs/1/resume", json={})
    assert backend.run(1)["attempts"][1]["resumes"] == 1


def test_reports_after_the_loss_are_stale_and_publish_nothing(backend: Backend, attempt: Held) -> None:
    wait_in_rounds(backend, 65)
    check_problem(attempt.beat(), 409, "stale_attempt")
    for stream in ("log", "events", "answers", "rollouts"):
        check_problem(attempt.send(stream, b"x\n"), 409, "stale_attempt")
    for outcome, cause in (("succeeded", "done"), ("failed", "error"), ("stopped", "stopped")):
        check_problem(attempt.finish(outcome, cause), 409, "stale_attempt")
    assert backend.run(1)["status"] == "queued"


def test_lost_attempts_are_tried_again_with_doubled_pauses_until_no_retry_is_left(
    backend: Backend, attempt: Held
) -> None:
    attempt.answer(0)
    for pause in (5, 10):
        wait_in_rounds(backend, 65)
        assert backend.claim() is None
        assert backend.run(1)["waits_for"] == f"A pause before the retry: {pause} s left."
        backend.clock.pass_time(pause)
        assert backend.held().resumes == 1
    wait_in_rounds(backend, 65)
    run = backend.run(1)
    assert (run["status"], run["cause"], run["num_attempts"], run["can_resume"]) == ("failed", "lost", 3, True)
    assert "not heard of" in run["cause_text"]


def test_resume_by_the_user_gives_all_retries_back(backend: Backend, attempt: Held) -> None:
    attempt.answer(0)
    for _ in range(3):
        wait_in_rounds(backend, 65)
        backend.clock.pass_time(10)
        backend.claim()
    assert backend.run(1)["status"] == "failed"
    assert backend.user("POST", "/runs/1/resume").status_code == 200
    backend.held()
    wait_in_rounds(backend, 65)
    assert backend.run(1)["status"] == "queued"


def test_no_retries_by_setting_means_failed_at_once(start: Callable[..., Backend]) -> None:
    backend = start(max_retries=0)
    backend.reconciler.round()
    backend.started()
    wait_in_rounds(backend, 65)
    assert (backend.run(1)["status"], backend.run(1)["cause"]) == ("failed", "lost")


def test_attempt_lost_while_stopping_is_cancelled(backend: Backend, attempt: Held) -> None:
    backend.stop(1)
    wait_in_rounds(backend, 65)
    run = backend.run(1)
    assert (run["status"], run["cause"], run["attempts"][0]["status"]) == ("cancelled", "stopped", "lost")
    assert backend.claim() is None


def test_backend_that_was_away_loses_no_run(backend: Backend, start: Callable[..., Backend]) -> None:
    attempt = backend.started()
    backend.clock.pass_time(3600)
    restarted = start(clock=backend.clock)
    restarted.reconciler.round()
    assert restarted.run(1)["status"] == "running"
    attempt.http = restarted.http
    assert attempt.beat().status_code == 200
    wait_in_rounds(restarted, 65)
    assert restarted.run(1)["status"] == "queued"


def test_reconciler_that_was_late_extends_leases_before_it_judges(backend: Backend, attempt: Held) -> None:
    backend.clock.pass_time(600)
    backend.reconciler.round()
    assert backend.run(1)["status"] == "running"
    wait_in_rounds(backend, 65)
    assert backend.run(1)["status"] == "queued"


def test_machine_that_slept_loses_no_run(backend: Backend, attempt: Held) -> None:
    backend.clock.now += 600  # the monotonic clock stands still meanwhile
    backend.reconciler.round()
    assert backend.run(1)["status"] == "running"
    wait_in_rounds(backend, 65)
    assert backend.run(1)["status"] == "queued"


def test_lease_that_an_earlier_start_gave_for_longer_is_cut_to_that_of_today(start: Callable[..., Backend]) -> None:
    earlier = start(lease_seconds=600)
    earlier.started()
    today = start(clock=earlier.clock, lease_seconds=60)
    today.reconciler.round()
    wait_in_rounds(today, 60)
    assert today.run(1)["attempts"][0]["status"] == "starting"
    wait_in_rounds(today, 5)
    assert today.run(1)["attempts"][0]["status"] == "lost"


def test_reconciler_rings_while_attempts_wait_and_not_before_their_pause_is_over(backend: Backend) -> None:
    rung: list[float] = []
    backend.reconciler._ring = lambda: rung.append(backend.clock.now)  # type: ignore[method-assign]
    backend.reconciler.round()
    assert rung == []
    backend.submit()
    backend.reconciler.round()
    assert len(rung) == 1
    backend.held()
    wait_in_rounds(backend, 65)
    assert len(rung) == 1  # the retry waits for its pause
    wait_in_rounds(backend, 10)
    assert len(rung) > 1


def announce(backend: Backend, boot_id: str) -> None:
    body = {"host": "lab", "boot_id": boot_id, "pid": 7, "slots": []}
    assert backend.worker("announce", json=body).status_code == 200


def test_attempt_of_a_machine_that_was_restarted_is_lost_without_waiting_for_its_lease(
    backend: Backend, attempt: Held
) -> None:
    wait_in_rounds(backend, 20)
    announce(backend, "after the boot")
    backend.reconciler.round()
    assert [one["status"] for one in backend.run(1)["attempts"]] == ["lost", "queued"]
    lost = next(e for e in backend.history(1) if e["to_status"] == "lost")
    assert lost["detail"] == "lab has been restarted since it was claimed"


def test_other_boot_id_of_a_host_whose_attempt_still_beats_loses_nothing(backend: Backend, attempt: Held) -> None:
    """Two machines of one name are a mistake, and no reason to lose a run."""
    for _ in range(5):
        wait_in_rounds(backend, 5)
        assert attempt.beat().status_code == 200
        announce(backend, "another machine")
        backend.reconciler.round()
    backend.clock.now -= 3600  # leaves the other machine's sign of life in the future
    backend.reconciler.round()
    assert [one["status"] for one in backend.run(1)["attempts"]] == ["starting"]


def test_clock_that_is_put_back_delays_neither_a_loss_nor_a_retry(backend: Backend, attempt: Held) -> None:
    backend.clock.now -= 3600
    wait_in_rounds(backend, 60)
    assert backend.run(1)["attempts"][0]["status"] == "starting"
    wait_in_rounds(backend, 10)
    assert [one["status"] for one in backend.run(1)["attempts"]] == ["lost", "queued"]
    backend.clock.now -= 3600
    wait_in_rounds(backend, 25)
    assert backend.claim() is not None


def test_what_a_lost_attempt_could_not_report_any_more_is_taken_from_its_folder(backend: Backend) -> None:
    backend.reconciler.round()
    attempt = backend.started(stage="weaver_sft", num_questions=None)
    folder = backend.home / "runs" / "1" / "attempts" / "1"
    folder.mkdir(parents=True)
    lines = [{"event": "metric", "name": "train/loss", "step": step, "value": 1.0} for step in (1, 2, 3)]
    lines.append({"event": "checkpoint", "step": 3, "path": "checkpoints/step-3"})
    attempt.say(lines[0])
    told = b"".join(json.dumps({"time": 1.0, **line}).encode() + b"\n" for line in lines)
    (folder / "events.jsonl").write_bytes(told + b'{"time": 1.0, "event": "met')
    (folder / "log.txt").write_bytes(b"step 1\nstep 2\n")
    attempt.send("log", b"step 1\n")
    wait_in_rounds(backend, 65)
    run = backend.run(1)
    assert (run["attempts"][0]["status"], run["attempts"][1]["resumes"]) == ("lost", 1)
    assert run["attempts"][0]["log_bytes"] == 14
    assert backend.get("/runs/1/metrics")["series"][0]["steps"] == [1, 2, 3]
    assert backend.get("/runs/1/log", attempt=1)["text"] == "step 1\nstep 2\n"
    wait_in_rounds(backend, 5)
    backend.held().finish("failed", "error")
    # the second never saved anything, so the first is what a third would go on from
    assert "step 3 of attempt 1" in backend.run(1)["resume_reason"]


def test_lost_run_keeps_its_place_in_the_queue(backend: Backend, attempt: Held) -> None:
    backend.clock.pass_time(1)
    younger = backend.submit()
    wait_in_rounds(backend, 75)
    assert [backend.held().run_id for _ in range(2)] == [attempt.run_id, younger]


def test_doorbell_is_not_rung_while_the_queue_is_paused(backend: Backend) -> None:
    rung: list[float] = []
    backend.reconciler._ring = lambda: rung.append(backend.clock.now)  # type: ignore[method-assign]
    backend.submit()
    backend.user("POST", "/queue/pause", json={"paused": True})
    backend.reconciler.round()
    assert rung == []
    backend.user("POST", "/queue/pause", json={"paused": False})
    backend.reconciler.round()
    assert len(rung) == 1


def test_trouble_with_files_keeps_no_lost_run_from_being_found_and_no_queued_one_from_being_rung_for(
    backend: Backend, attempt: Held, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("the disk is gone")

    rung: list[float] = []
    monkeypatch.setattr(backend.reconciler, "_ring", lambda: rung.append(backend.clock.now))
    monkeypatch.setattr("backend.services.children.settle", fail)
    monkeypatch.setattr(backend.context.disk, "measure", fail)
    for _ in range(20):
        backend.clock.pass_time(5)
        backend.reconciler.round()
    assert backend.run(1)["attempts"][0]["status"] == "lost"
    assert rung
    assert "the disk is gone" in caplog.text


def test_log_that_can_not_be_kept_keeps_no_run_from_being_found_lost(backend: Backend, attempt: Held) -> None:
    folder = backend.home / "runs" / "1" / "attempts" / "1"
    folder.mkdir(parents=True)
    (folder / "log.txt").write_bytes(b"its last words")
    (backend.home / "backend" / "attempts").write_text("no folder")
    wait_in_rounds(backend, 70)
    assert [one["status"] for one in backend.run(1)["attempts"]] == ["lost", "queued"]


def test_attempt_whose_trainer_never_spoke_was_never_running(backend: Backend, attempt: Held) -> None:
    attempt_dir(backend.home, attempt.run_id, 1, "evaluate").path.mkdir(parents=True)
    wait_in_rounds(backend, 70)
    told = [(e["to_status"], e["actor"]) for e in backend.history(1) if e["kind"] == "attempt"]
    assert told == [("starting", "worker lab"), ("lost", "reconciler")]


def test_lost_run_that_can_not_go_on_elsewhere_starts_anew_by_itself(backend: Backend, attempt: Held) -> None:
    attempt.answer(0)
    wait_in_rounds(backend, 75)
    second = backend.held()
    assert second.resumes == 1
    mismatch = {"code": "resume_mismatch", "message": "torch 1 -> 2", "way_out": "Retry."}
    second.finish("failed", "invalid_config", failure=mismatch)
    run = backend.run(1)
    assert (run["status"], run["failure"], run["attempts"][2]["resumes"]) == ("queued", None, None)
    assert "starts anew: torch 1 -> 2" in [event["detail"] for event in backend.history(1)]
    third = backend.held()
    third.finish("failed", "invalid_config", failure=mismatch)
    assert backend.run(1)["status"] == "failed"


def test_resume_that_a_user_asked_for_and_that_can_not_be_fails_with_the_reason(backend: Backend) -> None:
    held = backend.started()
    held.answer(0)
    held.finish("failed", "error")
    backend.user("POST", "/runs/1/resume")
    mismatch = {"code": "resume_mismatch", "message": "torch 1 -> 2", "way_out": "Retry."}
    backend.held().finish("failed", "invalid_config", failure=mismatch)
    assert (backend.run(1)["status"], backend.run(1)["failure"]["code"]) == ("failed", "resume_mismatch")


@pytest.mark.parametrize(("retries", "seconds"), [(0, 5), (3, 40), (20, 3600), (1000, 3600)])
def test_pause_before_a_retry_doubles_up_to_an_hour(home: Path, retries: int, seconds: float) -> None:
    assert Settings().retry_pause(retries) == seconds
