"""Whether a slot is given work: machines of another version, drained ones, those that work on as much as they may."""

from collections.abc import Callable
from typing import Any

import pytest

from memgen import __version__
from tests.backend.conftest import MEMORY, SLOT, VERSIONS, Backend, check_problem

CLAIM = {"host": "lab", "boot_id": "b", "pid": 7, "slot": SLOT, "free_memory": MEMORY}
EARLIER = (
    f"machine lab has a version before {__version__} of MemGen Studio, which is that of the backend",
    "other_version",
    None,
)
OTHER = (
    f"machine lab has version 9.9 of MemGen Studio, and the backend has {__version__}",
    "other_version",
    VERSIONS | {"memgen": "9.9", "of_tomorrow": 1},
)
OTHER_API = ("machine lab speaks version 7 of the workers' API, and the backend 1", "other_api", VERSIONS | {"api": 7})
TWO = [SLOT | {"name": "cpu0"}, SLOT | {"name": "cpu1"}]


def waits_for(backend: Backend, run_id: int) -> str:
    return str(backend.run(run_id)["waits_for"])


def drain(backend: Backend, host: str = "lab", slot: str | None = None, *, drained: bool = True) -> Any:
    return backend.user("POST", "/workers/drain", json={"host": host, "slot": slot, "drained": drained})


@pytest.fixture
def well(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """A backend whose Redis answers and whose reconciler turns."""
    monkeypatch.setattr(backend.context.doorbell, "state", lambda: "ok")
    backend.reconciler.round()
    return backend


@pytest.mark.parametrize(("words", "code", "versions"), [EARLIER, OTHER, OTHER_API])
def test_worker_of_another_version_is_refused_by_name_wherever_somebody_looks(
    well: Backend, words: str, code: str, versions: dict[str, Any] | None
) -> None:
    run_id = well.submit()
    sign = {"host": "lab", "boot_id": "b", "pid": 7, "slots": [SLOT], "versions": versions, "of_tomorrow": 1}
    told = well.worker("announce", json=sign).json()["refusal"]
    assert (told["code"], told["message"]) == (code, words)
    for route in ("claim", "look"):
        problem = check_problem(well.worker(route, json=CLAIM | {"versions": versions}), 409, code)
        assert problem["title"] == f"{words[:1].upper()}{words[1:]}."
    (worker,) = well.get("/workers")["items"]
    assert (worker["alive"], worker["refusal"], worker["slots"][0]["closed"]) == (True, told, told)
    assert waits_for(well, run_id) == f"{words[:1].upper()}{words[1:]}. {told['way_out']}"
    health = well.get("/health")
    assert (health["status"], health["workers_alive"], health["refusals"]) == ("degraded", 0, [told])
    reply = well.user("POST", "/preflight", json={"config": well.config}).json()
    assert (reply["slots"][0]["state"], waits_for(well, run_id) in reply["warnings"]) == ("closed", True)
    well.announce()
    assert well.get("/health")["status"] == "ok"
    assert well.held().run_id == run_id


def test_run_under_way_on_a_machine_that_is_upgraded_or_not_goes_on(backend: Backend) -> None:
    held = backend.started()
    backend.announce(versions=VERSIONS | {"memgen": "9.9"})
    assert held.beat().status_code == 200
    held.answer(*range(6))
    assert held.finish(result={"accuracy": 1}).status_code == 200
    assert backend.run(held.run_id)["status"] == "succeeded"


def test_other_torch_is_told_and_no_reason_to_refuse(backend: Backend) -> None:
    packages = {"torch": "2.0", "transformers": "4.0"}
    backend.submit()
    backend.announce(versions=VERSIONS | packages)
    (worker,) = backend.get("/workers")["items"]
    assert (worker["refusal"], worker["versions"]) == (None, VERSIONS | packages)
    assert backend.claim(versions=VERSIONS | packages) is not None


def test_drained_machine_finishes_what_it_has_and_takes_nothing_new_over_restarts(
    well: Backend, start: Callable[..., Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    held, waiting = well.started(), well.submit()
    well.announce()
    (worker,) = drain(well).json()["items"]
    assert (worker["drained"], worker["slots"][0]["closed"]["code"]) == (True, "drained")
    assert held.beat().status_code == 200
    held.finish("failed", "error")
    assert well.claim() is None
    assert waits_for(well, waiting) == (
        "Machine lab is drained: it finishes what it has and takes nothing new. "
        "Undo it by `memgen-studio undrain lab` or a button of the queue page."
    )
    again = start(well.clock)
    monkeypatch.setattr(again.context.doorbell, "state", lambda: "ok")
    again.announce()
    assert again.claim() is None
    assert drain(again, drained=False).json()["items"][0]["drained"] is False
    assert again.held().run_id == waiting


def test_drained_slot_leaves_the_other_ones_their_work(well: Backend) -> None:
    first, second = well.submit(), well.submit()
    well.announce(slots=TWO)
    drain(well, slot="cpu0")
    assert well.claim(slot="cpu0") is None
    assert well.held(slot="cpu1").run_id == first
    assert waits_for(well, second) == f"Slot cpu1 of lab is busy with run {first}."
    drain(well, slot="cpu1")
    assert waits_for(well, second).startswith("All slots that are large enough are drained")
    drain(well)
    problem = check_problem(drain(well, slot="cpu0", drained=False), 409, "machine_drained")
    assert "All of lab is drained" in problem["title"]
    drain(well, drained=False)  # all of it, each slot included
    assert well.held(slot="cpu0").run_id == second


def test_only_what_has_announced_itself_can_be_drained(backend: Backend) -> None:
    backend.announce()
    problem = check_problem(drain(backend, "moon"), 404, "no_such_machine")
    assert problem["way_out"] == "There are: lab."
    check_problem(drain(backend, slot="7"), 404, "no_such_slot")
    assert drain(backend, "moon", drained=False).status_code == 200  # nothing was said of it


def test_machine_that_is_renamed_stays_drained(backend: Backend) -> None:
    boot = f"{'1' * 16}/a"
    sign = {"boot_id": boot, "pid": 7, "slots": [SLOT], "versions": VERSIONS}
    backend.worker("announce", json=sign | {"host": "before"})
    drain(backend, "before")
    backend.worker("announce", json=sign | {"host": "after"})
    assert [(one["host"], one["drained"]) for one in backend.get("/workers")["items"]] == [("after", True)]


def test_machine_works_on_as_many_runs_as_it_may_whatever_slots_it_has(well: Backend) -> None:
    first, second = well.submit(), well.submit()
    limits = {"most_runs": 1, "memory_share": 0.5}
    well.announce(slots=TWO, limits=limits)
    assert well.get("/workers")["items"][0]["limits"] == limits
    held = well.held(slot="cpu0", limits=limits)
    assert well.claim(slot="cpu1", limits=limits) is None
    assert waits_for(well, second) == "Machine lab works on as many runs as it may (1, by MEMGEN_MOST_RUNS)."
    held.finish("failed", "error")
    assert (held.run_id, well.held(slot="cpu1", limits=limits).run_id) == (first, second)


def test_session_is_opened_neither_on_a_drained_machine_nor_beyond_its_limit(well: Backend) -> None:
    column = {name: well.config[name] for name in ("stage", "preset", "data", "max_completion_length")}
    well.announce(slots=TWO)
    drain(well)
    opened = well.user("POST", "/try", json={"columns": [column]}).json()
    claim = CLAIM | {"versions": VERSIONS, "limits": {"most_runs": 1}}
    assert well.worker("claim", json=claim | {"slot": TWO[0]}).json()["session"] is None
    assert "drained" in well.get(f"/try/{opened['id']}")["says"]
    drain(well, drained=False)
    well.submit()
    assert well.worker("claim", json=claim | {"slot": TWO[0]}).json()["attempt"] is not None
    assert well.worker("claim", json=claim | {"slot": TWO[1]}).json()["session"] is None


def test_session_on_a_machine_at_its_limit_gives_way_to_a_run_that_only_another_slot_holds(well: Backend) -> None:
    column = {name: well.config[name] for name in ("stage", "preset", "data", "max_completion_length")}
    small, large = SLOT | {"name": "cpu0", "total_memory": 2**30}, SLOT | {"name": "cpu1"}
    limits = {"most_runs": 1}
    well.announce(slots=[small, large], limits=limits)
    session_id = well.user("POST", "/try", json={"columns": [column]}).json()["id"]
    claim = CLAIM | {"versions": VERSIONS, "limits": limits, "slot": small}
    token = well.worker("claim", json=claim).json()["session"]["token"]
    run_id = well.submit(batch_size=512, max_completion_length=4096)
    assert well.claim(slot="cpu1", limits=limits) is None
    well.clock.pass_time(10)
    well.user("GET", f"/try/{session_id}")
    headers = {"Authorization": f"Bearer {token}"}
    well.http.post(f"/api/v1/worker/sessions/{session_id}/heartbeat", headers=headers)
    said = well.get(f"/try/{session_id}")
    assert (said["end"], said["gives_way_to"]) == ("gave_way", run_id)
