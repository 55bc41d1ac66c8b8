"""The same key and body make one thing; many hands at once take each thing once."""

import shutil
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlmodel import select

from backend.services.idempotency import KEPT_SECONDS
from backend.store.models import Idempotency
from tests.backend.conftest import Backend, Held, check_problem


def test_same_key_and_body_is_the_same_run(backend: Backend) -> None:
    assert backend.submit(key="k") == backend.submit(key="k") == 1
    assert backend.submit(key="other") == 2
    assert backend.submit() == 3


def test_replay_is_answered_even_when_a_new_run_would_be_refused(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert backend.submit(key="k") == 1
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2, 1, 1))
    assert backend.submit(key="k") == 1
    body = {"config": backend.config}
    check_problem(backend.user("POST", "/runs", json=body, headers={"Idempotency-Key": "new"}), 422, "disk_full")


def test_same_key_with_another_body_is_refused(backend: Backend) -> None:
    backend.submit(key="k")
    body = {"config": backend.config | {"seed": 7}}
    reply = backend.user("POST", "/runs", json=body, headers={"Idempotency-Key": "k"})
    check_problem(reply, 422, "idempotency_key_reused")
    assert len(backend.get("/runs")["items"]) == 1


def test_key_of_a_refused_request_may_be_used_again(backend: Backend) -> None:
    body = {"config": backend.config | {"seed": -1}}
    check_problem(
        backend.user("POST", "/runs", json=body, headers={"Idempotency-Key": "k"}), 422, "invalid_config"
    )  # fmt: skip
    assert backend.submit(key="k") == 1


def test_replies_are_forgotten_after_a_month_two_with_each_new_key(backend: Backend) -> None:
    def kept() -> list[str]:
        with backend.context.database.read() as session:
            return sorted(one.key for one in session.exec(select(Idempotency)))

    for key in "abcd":
        backend.submit(key=key)
    backend.clock.pass_time(KEPT_SECONDS)
    assert backend.submit(key="a") == 1
    backend.clock.pass_time(1)
    backend.submit(key="e")
    assert kept() == ["c", "d", "e"]
    backend.submit(key="f")
    backend.submit(key="g")
    assert kept() == ["e", "f", "g"]
    assert backend.submit(key="e") == 5


def test_too_long_key_is_refused(backend: Backend) -> None:
    reply = backend.user("POST", "/runs", json={"config": backend.config}, headers={"Idempotency-Key": "k" * 201})
    check_problem(reply, 422, "invalid_request")


def test_stop_resume_and_retry_with_a_key_happen_once(backend: Backend) -> None:
    attempt = backend.started()
    attempt.answer(0)
    attempt.finish("failed", "error")
    key = {"Idempotency-Key": "k"}
    for _ in range(2):
        assert backend.user("POST", "/runs/1/resume", headers=key).json()["num_attempts"] == 2
    for _ in range(2):
        assert backend.user("POST", "/runs/1/stop", json={}, headers=key).json()["status"] == "cancelled"
    for _ in range(2):
        assert backend.user("POST", "/runs/1/retry", headers=key).json()["num_attempts"] == 3


def test_doubles_from_eight_threads_make_one_run(backend: Backend) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: backend.submit(key="k"), range(24)))
    assert set(ids) == {1}
    assert len(backend.get("/runs")["items"]) == 1


def test_eight_threads_that_claim_and_read_get_each_of_twenty_runs_once(backend: Backend) -> None:
    for _ in range(20):
        backend.submit()

    def work(number: int) -> list[Held]:
        mine = []
        while attempt := backend.claim(slot=f"{number}"):
            assert attempt.beat().status_code == 200
            attempt.answer(0)
            assert backend.get("/runs", limit=5)["items"]
            mine.append(attempt)
        return mine

    with ThreadPoolExecutor(8) as pool:
        claimed = [attempt for mine in pool.map(work, range(8)) for attempt in mine]
    assert sorted(attempt.run_id for attempt in claimed) == list(range(1, 21))
    assert len({attempt.token for attempt in claimed}) == 20
    assert {run["status"] for run in backend.get("/runs")["items"]} == {"running"}
