"""What past runs on a card tell of a plan."""

from typing import Any

import pytest

from memgen.contract.config import parse_config
from memgen.contract.peak import PEAK, PLAN
from memgen.contract.planner.memory import plan
from memgen.contract.presets import get_preset
from tests.backend.conftest import SLOT, Backend

GIB = 2**30
MODEL = "Qwen/Qwen2.5-1.5B-Instruct"
CARD = {"device": "cuda (NVIDIA H100 80GB HBM3)"}


def slot_of(memory: int) -> dict[str, Any]:
    return SLOT | {"name": "0", "device": "cuda", "gpus": [0], "total_memory": memory, "gpu_memory": [memory]}


def ran(backend: Backend, peak: float, **changes: object) -> None:
    """An evaluation that has ended on the card, of ten GiB that were planned."""
    backend.submit(preset=MODEL, **changes)
    held = backend.held(slot="0", gpus=[80 * GIB])
    held.finish(result={"num_questions": 1, PEAK: peak, PLAN: 10.0}, environment=CARD)


def preflight(backend: Backend, memory: int = 80 * GIB, **changes: object) -> dict[str, Any]:
    backend.announce(slots=[slot_of(memory)])
    config = backend.config | {"preset": MODEL} | changes
    reply: dict[str, Any] = backend.user("POST", "/preflight", json={"config": config}).json()
    return reply


def planned(backend: Backend) -> int:
    return plan(parse_config(backend.config | {"preset": MODEL}), get_preset(MODEL), "cuda").total


def test_preflight_says_how_good_plans_were_on_this_card_and_corrects_by_the_fullest(backend: Backend) -> None:
    assert preflight(backend)["memory_bytes"] == planned(backend)
    for peak in (9.9, 9.2, 9.7, 9.3, 9.5, 9.4):  # the first is too long ago
        ran(backend, peak)
    reply = preflight(backend)
    assert "On NVIDIA H100 80GB HBM3 the last 5 runs used 92-97 % of their plans." in reply["placement"]
    assert reply["memory_bytes"] < planned(backend)
    assert reply["memory_bytes"] == pytest.approx(0.97 * planned(backend), rel=0.01)
    other = preflight(backend, setting="weaver", checkpoint="1", max_completion_length=64)
    assert "of their plans" not in other["placement"], "a stage and setting of its own"


def test_slot_that_holds_the_plan_and_not_what_such_runs_took_is_warned_of(backend: Backend) -> None:
    ran(backend, 12.0)
    reply = preflight(backend, memory=planned(backend) + 2**20)
    assert "the last run used 120 % of its plan." in reply["placement"]
    assert reply["fits"]
    assert reply["memory_bytes"] > planned(backend)
    assert any("used 120 % of its plan there" in warning for warning in reply["warnings"])


def test_preflight_says_how_wide_a_run_would_be_on_each_slot(backend: Backend) -> None:
    backend.announce(slots=[SLOT, slot_of(24 * GIB)])
    config = {"stage": "evaluate", "preset": MODEL, "data": "wordproblems", "num_questions": 100}
    told = backend.user("POST", "/preflight", json={"config": config}).json()["placement"]
    assert told.endswith("At the same time: 8 on slot cpu, 100 on slot 0.")
    told = backend.user("POST", "/preflight", json={"config": config | {"batch_size": 4}}).json()["placement"]
    assert "At the same time" not in told
