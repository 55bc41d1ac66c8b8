"""Machines are told apart by their ids, not by their names, which change and which several may share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.launcher.only_one import holder, only_one
from backend.settings import Settings
from memgen.contract.errors import BadInput
from tests.backend.conftest import MEMORY, SLOT, VERSIONS, Backend

MINE, OTHERS = "1" * 16, "2" * 16
Machines = dict[str, Any]


def announce(backend: Backend, host: str, boot: str) -> None:
    sign = {"host": host, "boot_id": boot, "pid": 7, "slots": [SLOT]}
    assert backend.worker("announce", json=sign).status_code == 200


def claim(backend: Backend, host: str, boot: str) -> int:
    backend.submit()
    request = {"host": host, "boot_id": boot, "pid": 7, "slot": SLOT, "free_memory": MEMORY, "versions": VERSIONS}
    return int(backend.worker("claim", json=request).json()["attempt"]["run_id"])


def machines(backend: Backend) -> Machines:
    return {worker["host"]: worker["slots"][0]["run_id"] for worker in backend.get("/workers")["items"]}


def test_machine_that_is_renamed_keeps_its_run_and_is_listed_once(backend: Backend) -> None:
    announce(backend, "before", f"{MINE}/a")
    run_id = claim(backend, "before", f"{MINE}/a")
    announce(backend, "after", f"{MINE}/a")
    assert machines(backend) == {"after": run_id}
    assert backend.run(run_id)["attempts"][0]["worker"] == "after"
    backend.clock.pass_time(20)
    announce(backend, "after", f"{MINE}/a")
    backend.reconciler.round()
    assert backend.run(run_id)["attempts"][0]["status"] == "starting"


def test_run_that_is_claimed_after_the_renaming_is_shown_with_the_worker_that_started_before(backend: Backend) -> None:
    announce(backend, "before", f"{MINE}/a")
    run_id = claim(backend, "after", f"{MINE}/a")
    assert machines(backend) == {"before": run_id}


def test_two_machines_of_one_name_are_both_listed_each_with_its_run(backend: Backend) -> None:
    announce(backend, "lab", f"{MINE}/a")
    announce(backend, "lab", f"{OTHERS}/a")
    first, second = claim(backend, "lab", f"{MINE}/a"), claim(backend, "lab", f"{OTHERS}/a")
    assert machines(backend) == {"lab": first, "lab (222222)": second}
    backend.clock.pass_time(70)  # the first is away, and the second keeps the name by which it is known
    announce(backend, "lab", f"{OTHERS}/a")
    backend.clock.pass_time(30)
    announce(backend, "lab", f"{OTHERS}/a")
    assert set(machines(backend)) == {"lab", "lab (222222)"}


def test_other_machine_of_the_same_name_is_no_restart(backend: Backend) -> None:
    """A supervisor may be quiet for some beats, e.g. on a busy disk: only its lease ends its run then."""
    backend.reconciler.round()
    run_id = claim(backend, "lab", f"{MINE}/a")
    seconds = Settings().beat_seconds * 4
    for _ in range(4):
        backend.clock.pass_time(seconds / 4)
        announce(backend, "lab", f"{OTHERS}/b")
        backend.reconciler.round()
    assert backend.run(run_id)["attempts"][0]["status"] == "starting"


def test_restart_under_another_name_is_a_restart(backend: Backend) -> None:
    backend.reconciler.round()
    run_id = claim(backend, "before", f"{MINE}/a")
    for _ in range(4):
        backend.clock.pass_time(Settings().beat_seconds)
        backend.reconciler.round()
    announce(backend, "after", f"{MINE}/b")
    backend.reconciler.round()
    assert [one["status"] for one in backend.run(run_id)["attempts"]] == ["lost", "queued"]


def test_process_of_another_machine_is_not_taken_for_one_of_this(home: Path) -> None:
    """Two machines may share a home: an id of the other's launcher is some other process here."""
    with only_one(home, "launcher.lock", running="", way_out=""):
        assert holder(home, "launcher.lock") == os.getpid()
        (home / "launcher.lock").write_text(f"{os.getpid()} {OTHERS}/a")
        with pytest.raises(BadInput, match="another machine") as caught:
            holder(home, "launcher.lock")
        assert caught.value.code == "other_machine"
        (home / "launcher.lock").write_text("junk")
        assert holder(home, "launcher.lock") is None
    assert holder(home, "launcher.lock") is None


def test_worker_is_told_when_to_announce_itself_and_counts_as_gone_after_four_times_as_long(
    start: Callable[..., Backend],
) -> None:
    backend = start(announce_seconds=2)
    backend.submit()
    sign = {"host": "lab", "boot_id": "b", "pid": 7, "slots": [SLOT], "versions": VERSIONS}
    assert backend.worker("announce", json=sign).json() == {"announce_seconds": 2, "refusal": None}
    backend.clock.pass_time(7.9)
    assert workers_alive(backend) == [True]
    backend.clock.pass_time(0.2)
    assert workers_alive(backend) == [False]
    assert backend.run(1)["waits_for"].startswith("No worker is alive")
    assert "No worker" in backend.user("POST", "/preflight", json={"config": backend.config}).json()["warnings"][0]


def workers_alive(backend: Backend) -> list[bool]:
    """Of each worker, as both routes say it."""
    alive = [one["alive"] for one in backend.get("/workers")["items"]]
    assert backend.get("/health")["workers_alive"] == sum(alive)
    return alive
