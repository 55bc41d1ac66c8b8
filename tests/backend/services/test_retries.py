"""Runs that their card or a lack of memory ended: another attempt by itself, and a clear end."""

import pytest

from tests.backend.conftest import VERSIONS, Backend, Held

CARD = {"code": "card_failed", "message": "GPU 0 does not answer", "way_out": "Restart the machine."}
MEMORY = {"code": "out_of_memory", "message": "no room", "way_out": "Lower batch_size."}


def end_by_card(held: Held) -> None:
    assert held.finish("failed", "card", failure=CARD).status_code == 200


def end_by_memory(held: Held) -> None:
    assert held.finish("failed", "out_of_memory", failure=MEMORY).status_code == 200


def test_run_that_its_card_ended_goes_on_at_once_where_it_was_and_keeps_its_place(backend: Backend) -> None:
    held = backend.started()
    backend.clock.pass_time(1)
    backend.submit()
    held.answer(0)
    end_by_card(held)
    run = backend.run(1)
    assert (run["status"], run["cause"], run["failure"]) == ("queued", "card", None)
    assert [one["id"] for one in backend.get("/queue")["items"]] == [1, 2]
    assert "tried again in 0 s: GPU 0 does not answer" in [one["detail"] for one in backend.history(1)]
    again = backend.held()
    assert (again.run_id, again.number, again.resumes) == (1, 2, 1)


def test_retries_after_a_card_are_bounded_and_the_end_says_why(backend: Backend) -> None:
    backend.submit()
    for _ in range(3):
        end_by_card(backend.held())
    run = backend.run(1)
    assert (run["status"], run["cause"], len(run["attempts"])) == ("failed", "card", 3)
    assert run["failure"]["way_out"] == "Restart the machine."
    assert run["cause_text"] == "the GPU or its driver failed"


def test_retries_of_lost_and_failed_attempts_are_counted_together(backend: Backend) -> None:
    end_by_card(backend.started())
    backend.held()
    for _ in range(15):
        backend.clock.pass_time(5)
        backend.reconciler.round()
    backend.clock.pass_time(10)
    end_by_card(backend.held())
    run = backend.run(1)
    assert [one["status"] for one in run["attempts"]] == ["failed", "lost", "failed"]
    assert run["status"] == "failed"


def test_run_without_memory_is_tried_again_after_a_pause(backend: Backend) -> None:
    held = backend.started()
    held.answer(0)
    end_by_memory(held)
    assert backend.run(1)["waits_for"] == "A pause before the retry: 5 s left."
    assert backend.claim() is None
    backend.clock.pass_time(5)
    assert backend.held().resumes == 1


def test_run_without_memory_twice_running_has_ended_with_a_way_out(backend: Backend) -> None:
    end_by_memory(backend.started())
    backend.clock.pass_time(5)
    end_by_memory(backend.held())
    run = backend.run(1)
    assert (run["status"], run["cause"]) == ("failed", "out_of_memory")
    assert run["failure"]["message"] == "Memory ran out in two attempts running. The last said: no room"
    assert run["failure"]["way_out"] == "Lower batch_size."


def test_memory_and_card_by_turns_end_when_the_retries_are_used_up(backend: Backend) -> None:
    backend.submit()
    for end in (end_by_memory, end_by_card, end_by_memory):
        end(backend.held())
        backend.clock.pass_time(60)
    assert [one["cause"] for one in backend.run(1)["attempts"]] == ["out_of_memory", "card", "out_of_memory"]
    assert backend.run(1)["status"] == "failed"


@pytest.mark.parametrize("end", [end_by_card, end_by_memory])
def test_run_that_was_to_stop_is_not_tried_again(backend: Backend, end) -> None:
    held = backend.started()
    assert backend.stop(1).status_code == 200
    end(held)
    assert (backend.run(1)["status"], len(backend.run(1)["attempts"])) == ("failed", 1)


def test_end_that_is_told_twice_makes_one_attempt(backend: Backend) -> None:
    held = backend.started()
    end_by_card(held)
    end_by_card(held)
    assert len(backend.run(1)["attempts"]) == 2


def test_retry_on_another_card_that_can_not_go_on_starts_anew(backend: Backend) -> None:
    held = backend.started()
    held.answer(0)
    end_by_card(held)
    mismatch = {"code": "resume_mismatch", "message": "H100 -> A100", "way_out": "Retry."}
    backend.held().finish("failed", "invalid_config", failure=mismatch)
    run = backend.run(1)
    assert (run["status"], run["attempts"][2]["resumes"]) == ("queued", None)


def test_look_tells_whether_a_claim_would_get_something_and_claims_nothing(backend: Backend) -> None:
    def has_work(free_memory: int) -> bool:
        slot = {"name": "cpu", "device": "cpu", "gpus": [], "total_memory": 2**40}
        body = {"host": "lab", "boot_id": "b", "pid": 7, "slot": slot, "free_memory": free_memory, "versions": VERSIONS}
        reply = backend.worker("look", json=body)
        assert reply.status_code == 200, reply.text
        return bool(reply.json()["has_work"])

    assert not has_work(2**40)
    backend.submit()
    assert has_work(2**40)
    assert not has_work(1)
    assert backend.run(1)["status"] == "queued"
    backend.user("POST", "/queue/pause", json={"paused": True})
    assert not has_work(2**40)
