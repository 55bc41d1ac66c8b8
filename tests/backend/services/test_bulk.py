"""Many runs stopped or deleted at once: told before, done when confirmed, and each that can't be is named."""

from typing import Any

import pytest

from tests.backend.conftest import Backend, check_problem


def bulk(backend: Backend, what: str, runs: list[int], **more: Any) -> Any:
    headers = {"Idempotency-Key": key} if (key := more.pop("key", None)) else {}
    reply = backend.user("POST", f"/runs/{what}", json={"runs": runs, **more}, headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


def outcomes(reply: Any) -> dict[int, str]:
    """What becomes of each run; of those that stay as they are the code of the problem."""
    return {one["run_id"]: one["problem"]["code"] if one["problem"] else one["outcome"] for one in reply["items"]}


def statuses(backend: Backend) -> dict[int, str]:
    return {run["id"]: run["status"] for run in backend.get("/runs")["items"]}


def test_stop_is_told_and_then_done_with_each_run_as_its_status_asks(backend: Backend) -> None:
    steps = {name: step["run"]["id"] for name, step in backend.steps(backend.submit_pipeline()["id"]).items()}
    running, queued = backend.held().run_id, backend.submit()
    ended = backend.submit()
    backend.stop(ended)
    chosen = [queued, running, ended, 999, steps["weaver_sft"], queued]
    expected = {
        queued: "leaves the queue",
        running: "ends at its next step and keeps what is done",
        ended: "run_ended",
        999: "run_not_found",
        steps["weaver_sft"]: "leaves the queue",
    }
    before = statuses(backend)
    preview = bulk(backend, "stop", chosen)
    assert (preview["confirmed"], outcomes(preview)) == (False, expected)
    assert preview["also"] == ["4 more runs that wait for their checkpoints are skipped."]
    assert statuses(backend) == before
    done = bulk(backend, "stop", chosen, confirm=True)
    assert (done["confirmed"], outcomes(done), done["also"]) == (True, expected, preview["also"])
    after = statuses(backend)
    assert [after[one] for one in (queued, running, steps["weaver_sft"])] == ["cancelled", "stopping", "cancelled"]
    backend.reconciler.round()
    assert sum(status == "skipped" for status in statuses(backend).values()) == 4


def test_stop_of_a_waiting_run_says_that_it_does_not_start(backend: Backend) -> None:
    steps = backend.steps(backend.submit_pipeline()["id"])
    waiting = steps["weaver_eval"]["run"]["id"]
    assert outcomes(bulk(backend, "stop", [waiting], confirm=True)) == {waiting: "does not start"}
    assert statuses(backend)[waiting] == "cancelled"


def test_deletion_is_told_and_then_done_and_what_can_not_be_deleted_stays(backend: Backend) -> None:
    backend.submit_pipeline()
    done = [backend.work() for _ in range(2)]
    backend.reconciler.round()
    children = [run_id for run_id, status in statuses(backend).items() if status == "queued"]
    alone = backend.submit()
    backend.stop(alone)
    chosen = [*done, alone, children[0], 999]
    preview = bulk(backend, "delete", chosen)
    training = done[1]
    expected = {done[0]: "goes with its files", training: "run_has_children", alone: "goes with its files",
                children[0]: "run_not_ended", 999: "run_not_found"}  # fmt: skip
    assert outcomes(preview) == expected
    assert (preview["confirmed"], preview["also"]) == (False, [])
    assert done[0] in statuses(backend)
    assert outcomes(bulk(backend, "delete", chosen, confirm=True)) == expected
    assert {done[0], alone}.isdisjoint(statuses(backend))
    assert {training, children[0]} <= statuses(backend).keys()


def test_deletion_of_trainings_says_how_many_checkpoints_and_bytes_go(backend: Backend) -> None:
    backend.submit(**{"stage": "weaver_sft", "num_questions": 8})
    training = backend.work()
    preview = bulk(backend, "delete", [training])
    assert preview["also"] == ["1 checkpoint goes with them: nothing can start from there any more."]
    assert preview["size_bytes"] > 0
    done = bulk(backend, "delete", [training], confirm=True)
    assert (done["size_bytes"], done["left"]) == (preview["size_bytes"], [])
    assert not (backend.home / "runs" / str(training)).exists()


@pytest.mark.parametrize("what", ["stop", "delete"])
def test_same_key_gets_the_same_reply_and_nothing_is_done_twice(backend: Backend, what: str) -> None:
    run_id = backend.submit()
    if what == "delete":
        backend.stop(run_id)
    first = bulk(backend, what, [run_id], confirm=True, key="k")
    assert bulk(backend, what, [run_id], confirm=True, key="k") == first
    other = backend.user("POST", f"/runs/{what}", json={"runs": [7], "confirm": True}, headers={"Idempotency-Key": "k"})
    check_problem(other, 422, "idempotency_key_reused")


def test_two_hundred_runs_are_stopped_and_deleted_by_one_request_each(backend: Backend) -> None:
    chosen = [backend.submit() for _ in range(200)]
    assert len(outcomes(bulk(backend, "stop", chosen, confirm=True))) == 200
    assert set(statuses(backend).values()) == {"cancelled"}
    assert bulk(backend, "delete", chosen, confirm=True)["left"] == []
    assert statuses(backend) == {}


@pytest.mark.parametrize("runs", [[], [0], list(range(1, 202)), ["x"], [2**63]])
def test_selection_out_of_bounds_is_refused(backend: Backend, runs: list[Any]) -> None:
    for what in ("stop", "delete"):
        check_problem(backend.user("POST", f"/runs/{what}", json={"runs": runs}), 422, "invalid_request")
