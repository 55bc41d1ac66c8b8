"""Stopping in every state, and starting again."""

import pytest

from tests.backend.conftest import Backend, Held, check_problem


def again(backend: Backend, how: str, run_id: int = 1):
    return backend.user("POST", f"/runs/{run_id}/{how}")


def stopped(backend: Backend, mode: str) -> Held:
    """A run with one answer that was stopped on request."""
    attempt = backend.started()
    attempt.answer(0)
    backend.stop(attempt.run_id, mode)
    attempt.finish("stopped", "stopped", exit_code=3)
    return attempt


def test_queued_run_is_cancelled_at_once_and_never_handed_out(backend: Backend) -> None:
    run_id = backend.submit()
    run = backend.stop(run_id).json()
    assert (run["status"], run["cause"], run["attempts"][0]["status"]) == ("cancelled", "stopped", "stopped")
    assert backend.claim() is None


@pytest.mark.parametrize("has_reported", [False, True])
def test_live_run_is_stopping_until_its_attempt_ends(backend: Backend, has_reported: bool) -> None:
    attempt = backend.started()
    if has_reported:
        attempt.say({"event": "phase", "name": "load"})
    assert attempt.beat().json()["stop"] is None
    assert backend.stop(1).json()["status"] == "stopping"
    assert attempt.beat().json()["stop"] == "save"
    attempt.finish("stopped", "stopped", exit_code=3)
    run = backend.run(1)
    assert (run["status"], run["cause"], run["cause_text"]) == ("cancelled", "stopped", "stopped on request")


def test_stop_can_be_made_harsher_but_not_milder(backend: Backend) -> None:
    attempt = backend.started()
    told = []
    for mode in ("save", "discard", "save", "force", "discard"):
        assert backend.stop(1, mode).json()["status"] == "stopping"
        told.append(attempt.beat().json()["stop"])
    assert told == ["save", "discard", "discard", "force", "force"]
    assert sum(e["to_status"] == "stopping" for e in backend.history(1)) == 1


def test_unknown_mode_is_refused(backend: Backend) -> None:
    backend.submit()
    check_problem(backend.stop(1, "kindly"), 422, "invalid_request")


@pytest.mark.parametrize(("outcome", "cause"), [("succeeded", "done"), ("failed", "error"), ("stopped", "stopped")])
def test_ended_run_cannot_be_stopped(backend: Backend, outcome: str, cause: str) -> None:
    backend.started().finish(outcome, cause)
    check_problem(backend.stop(1), 409, "run_ended")


@pytest.mark.parametrize(("outcome", "cause"), [("succeeded", "done"), ("failed", "error")])
def test_trainer_that_ends_by_itself_before_it_sees_the_stop_ends_as_it_did(
    backend: Backend, outcome: str, cause: str
) -> None:
    attempt = backend.started()
    backend.stop(1)
    attempt.finish(outcome, cause)
    assert backend.run(1)["status"] == outcome


def test_resume_takes_the_last_attempt_that_has_answers(backend: Backend) -> None:
    attempt = backend.started()
    attempt.answer(0, 1)
    attempt.finish("failed", "error", traceback="t")
    run = backend.run(1)
    assert (run["can_resume"], run["resume_reason"]) == (True, "Goes on after 2 answers of attempt 1.")
    run = again(backend, "resume").json()
    assert (run["status"], run["cause"], run["ended_at"], run["traceback"]) == ("queued", None, None, None)
    second = backend.held()
    assert (second.number, second.resumes) == (2, 1)
    second.finish("failed", "error")
    assert again(backend, "resume").status_code == 200
    third = backend.held()
    assert (third.number, third.resumes) == (3, 1)  # the second had no answers
    third.answer(0, 1, 2)
    third.finish("failed", "error")
    assert backend.run(1)["resume_reason"] == "Goes on after 3 answers of attempt 3."
    assert backend.get("/runs/1/answers")["counts"]["all"] == 3


def test_retry_starts_from_nothing(backend: Backend) -> None:
    stopped(backend, "save")
    assert again(backend, "retry").json()["status"] == "queued"
    assert backend.held().resumes is None


def test_answers_of_a_discarded_attempt_are_not_those_of_the_retried_run(backend: Backend) -> None:
    attempt = backend.started()
    attempt.answer(0, 1)
    attempt.finish("failed", "error")
    again(backend, "retry")
    assert backend.get("/runs/1/answers")["counts"]["all"] == 2  # until the next attempt begins
    second = backend.held()
    assert (backend.get("/runs/1/answers")["items"], backend.get("/runs/1/answers")["counts"]["all"]) == ([], 0)
    second.answer(0)
    assert backend.get("/runs/1/answers")["counts"]["all"] == 1


def test_warnings_are_told_once_and_not_from_before_a_retry(backend: Backend) -> None:
    attempt = backend.started()
    for message in ("first", "second", "first"):
        attempt.say({"event": "warning", "code": "c", "message": message})
    attempt.finish("failed", "error")
    assert backend.run(1)["warnings"] == ["first", "second"]
    again(backend, "retry")
    backend.held().say({"event": "warning", "code": "c", "message": "third"})
    assert backend.run(1)["warnings"] == ["third"]


def test_saved_stop_is_resumable_and_a_discarded_one_is_not(backend: Backend) -> None:
    stopped(backend, "save")
    assert backend.run(1)["can_resume"]
    second = stopped(backend, "discard")
    assert not backend.run(second.run_id)["can_resume"]
    problem = check_problem(again(backend, "resume", second.run_id), 409, "nothing_to_resume")
    assert "discarded" in problem["way_out"]
    assert again(backend, "retry", second.run_id).status_code == 200


def test_discard_of_a_run_that_waits_for_its_next_attempt_leaves_nothing_to_resume(backend: Backend) -> None:
    stopped(backend, "save")
    again(backend, "resume")
    assert backend.stop(1, "discard").json()["status"] == "cancelled"
    check_problem(again(backend, "resume"), 409, "nothing_to_resume")


def test_run_without_answers_has_nothing_to_resume(backend: Backend) -> None:
    backend.started().finish("failed", "error")
    problem = check_problem(again(backend, "resume"), 409, "nothing_to_resume")
    assert "Nothing was saved" in problem["way_out"]


@pytest.mark.parametrize("how", ["resume", "retry"])
def test_only_failed_and_cancelled_runs_start_again(backend: Backend, how: str) -> None:
    backend.submit()
    check_problem(again(backend, how), 409, "not_restartable")
    attempt = backend.held()
    check_problem(again(backend, how), 409, "not_restartable")
    backend.stop(1)
    check_problem(again(backend, how), 409, "not_restartable")
    attempt.finish()
    check_problem(again(backend, how), 409, "not_restartable")
    assert backend.run(1)["num_attempts"] == 1


def test_attempt_that_started_afresh_and_died_does_not_bring_back_what_was_before_it(backend: Backend) -> None:
    first = backend.started()
    first.answer(0)
    first.finish("failed", "error")
    again(backend, "retry")
    backend.held().finish("failed", "error")
    check_problem(again(backend, "resume"), 409, "nothing_to_resume")


def test_retry_that_never_started_leaves_the_progress_before_it(backend: Backend) -> None:
    first = backend.started()
    first.answer(0)
    first.finish("failed", "error")
    again(backend, "retry")
    backend.stop(first.run_id)
    again(backend, "resume")
    assert backend.held().resumes == 1
