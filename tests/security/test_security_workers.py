"""What a worker may say of itself: nothing that is stored keeps others from reading."""

from typing import Any

import pytest

from backend.store.models import Worker
from tests.backend.conftest import MEMORY, SLOT, Backend, check_problem

GPU = {"name": "0", "device": "cuda", "gpus": [0], "total_memory": MEMORY}
SIGN = {"host": "lab", "boot_id": "b", "pid": 1}
LIES: dict[str, dict[str, Any]] = {
    "two figures for one device": SLOT | {"free": [0, 0]},
    "a GPU's memory on a CPU": SLOT | {"gpu_memory": [MEMORY]},
    "GPUs on a CPU": SLOT | {"gpus": [0]},
    "no GPUs": GPU | {"gpus": []},
    "a GPU twice": GPU | {"name": "0,0", "gpus": [0, 0]},
    "memory of more GPUs": GPU | {"gpu_memory": [1, 2]},
    "free memory of more GPUs": GPU | {"gpu_memory": [1], "free": [1, 2]},
    "free memory of fewer GPUs": GPU | {"gpus": [0, 1], "gpu_memory": [1, 2], "free": [1]},
    "negative memory": SLOT | {"total_memory": -1},
    "negative free memory": SLOT | {"free": [-1]},
    "memory beyond the database": SLOT | {"total_memory": 2**63},
    "free memory beyond the database": SLOT | {"free": [2**70]},
    "GPU number beyond the database": GPU | {"gpus": [2**63]},
    "negative GPU": GPU | {"gpus": [-1]},
    "a million GPUs": GPU | {"gpus": list(range(10_000))},
    "memory as text": SLOT | {"total_memory": "lots"},
    "memory as a list": SLOT | {"total_memory": []},
    "a name with a slash": SLOT | {"name": "../x"},
    "an empty name": SLOT | {"name": ""},
    "a name with a newline": SLOT | {"name": "cpu\n"},
    "an unknown device": SLOT | {"device": "tpu"},
}


def look_everywhere(backend: Backend) -> None:
    run_id = backend.submit()
    for path in ("/queue", "/runs", f"/runs/{run_id}", "/workers", "/pipelines", "/health"):
        backend.get(path)
    assert backend.user("POST", "/preflight", json={"config": backend.config}).status_code == 200
    for word in ("stop", "retry"):
        assert backend.user("POST", f"/runs/{run_id}/{word}", json={}).status_code == 200


@pytest.mark.parametrize("lie", LIES)
def test_announcement_that_makes_no_sense_is_refused_and_changes_nothing(backend: Backend, lie: str) -> None:
    check_problem(backend.worker("announce", json=SIGN | {"slots": [LIES[lie]]}), 422, "invalid_request")
    claim = SIGN | {"slot": LIES[lie], "free_memory": MEMORY, "free_gpu_memory": []}
    check_problem(backend.worker("claim", json=claim), 422, "invalid_request")
    assert backend.get("/workers")["items"] == []
    look_everywhere(backend)


@pytest.mark.parametrize(
    "changes",
    [
        {"slots": [SLOT, SLOT]},
        {"slots": [SLOT | {"name": f"cpu{n}"} for n in range(129)]},
        {"host": ""},
        {"host": "h" * 201},
        {"boot_id": "b" * 101},
        {"pid": -1},
        {"pid": 2**63},
        {"slots": None},
    ],
)
def test_worker_that_makes_no_sense_is_refused(backend: Backend, changes: dict[str, Any]) -> None:
    check_problem(backend.worker("announce", json=SIGN | {"slots": [SLOT]} | changes), 422, "invalid_request")
    assert backend.get("/workers")["items"] == []


@pytest.mark.parametrize("free", [[1, 2], [], [-1], [2**70]])
def test_claim_tells_what_is_free_on_each_gpu(backend: Backend, free: list[int]) -> None:
    slot = GPU | {"gpu_memory": [MEMORY]}
    backend.submit()
    claim = SIGN | {"slot": slot, "free_memory": MEMORY, "free_gpu_memory": free}
    check_problem(backend.worker("claim", json=claim), 422, "invalid_request")


@pytest.mark.parametrize("lie", LIES)
def test_slot_that_an_older_version_stored_is_left_out(backend: Backend, lie: str) -> None:
    row = Worker(host="lab", boot_id="b", pid=1, slots=[LIES[lie], SLOT | {"name": "good"}], last_seen=backend.clock())
    with backend.context.database.write() as session:
        session.add(row)
    [worker] = backend.get("/workers")["items"]
    assert [slot["name"] for slot in worker["slots"]] == ["good"]
    look_everywhere(backend)
