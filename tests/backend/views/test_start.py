"""Before a launch: which slots hold the run, and after which run it would start."""

from typing import Any

from tests.backend.conftest import MEMORY, SLOT, Backend

SMALL = SLOT | {"name": "small", "total_memory": 2**20}
OTHER = SLOT | {"name": "other"}


def checked(backend: Backend) -> dict[str, Any]:
    reply = backend.user("POST", "/preflight", json={"config": backend.config})
    assert reply.status_code == 200
    found: dict[str, Any] = reply.json()
    return found


def states(backend: Backend) -> dict[str, str]:
    return {one["slot"]: one["state"] for one in checked(backend)["slots"]}


def test_without_a_worker_a_run_starts_once_there_is_one(backend: Backend) -> None:
    reply = checked(backend)
    assert (reply["slots"], reply["starts"]) == ([], "Starts once a worker is alive.")


def test_each_slot_says_whether_it_holds_the_run_and_with_which_memory(backend: Backend) -> None:
    backend.announce(slots=[SLOT, SMALL, OTHER | {"free": [2**20]}])
    reply = checked(backend)
    assert reply["starts"] == "Starts at once."
    by_name = {one["slot"]: one for one in reply["slots"]}
    assert {name: one["state"] for name, one in by_name.items()} == {
        "cpu": "free",
        "small": "too_small",
        "other": "held",
    }
    assert (by_name["cpu"]["total_bytes"], by_name["small"]["total_bytes"]) == (MEMORY, 2**20)
    assert by_name["cpu"]["needed_bytes"] == by_name["small"]["needed_bytes"] == reply["memory_bytes"] > 2**20


def test_run_starts_after_the_one_that_the_slot_works_on_then_after_the_last_of_the_queue(backend: Backend) -> None:
    backend.announce()
    first = backend.started().run_id
    reply = checked(backend)
    assert (reply["slots"][0]["state"], reply["slots"][0]["run_id"]) == ("busy", first)
    assert reply["starts"] == f"Starts after run {first}, which slot cpu of lab works on."
    second = backend.submit()
    assert checked(backend)["starts"] == f"Starts after run {second}, which is queued."
    third = backend.submit()
    assert checked(backend)["starts"] == f"Starts after run {third}, the last of 2 in the queue."


def test_runs_of_a_lower_priority_come_later(backend: Backend) -> None:
    backend.announce()
    run_id = backend.submit()
    backend.user("POST", f"/runs/{run_id}/priority", json={"priority": -1})
    assert checked(backend)["starts"] == "Starts at once."


def test_slot_that_takes_no_work_starts_nothing(backend: Backend) -> None:
    reason = {"code": "card_lost", "message": "It failed."}
    backend.announce(slots=[SLOT | {"sick": {"reason": reason, "seconds": 1.0, "asked_again_in": 9.0}}])
    assert states(backend) == {"cpu": "sick"}
    assert checked(backend)["starts"] == "No slot can take it now."


def test_paused_queue_starts_nothing(backend: Backend) -> None:
    backend.announce()
    backend.user("POST", "/queue/pause", json={"paused": True})
    assert checked(backend)["starts"] == "The queue is paused: it starts once the queue goes on."
