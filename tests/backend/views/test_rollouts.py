"""The rollouts of a training as the API shows them: filtered, paged by step, each step once over all attempts."""

import json
from typing import Any

import pytest

from backend.store.models import Rollout
from memgen.contract.rundir import attempt_dir
from tests.backend.conftest import Backend, Held, check_problem, rollout_line

TRAINING: dict[str, object] = {"stage": "weaver_grpo", "num_questions": 8, "batch_size": 8}


@pytest.fixture
def attempt(backend: Backend) -> Held:
    held = backend.started(**TRAINING)
    held.say({"event": "phase", "name": "train"})
    return held


def send(held: Held, *lines: bytes) -> None:
    assert held.send("rollouts", b"".join(lines)).status_code == 200


def lose(backend: Backend) -> None:
    """No beat comes any more, until the attempt is lost and the pause before the next one is over."""
    for _ in range(16):
        backend.clock.pass_time(5)
        backend.reconciler.round()


def steps(reply: dict[str, Any]) -> list[int]:
    return [one["step"] for one in reply["steps"]]


def test_step_tells_its_rewards_and_its_groups_in_full(backend: Backend, attempt: Held) -> None:
    send(attempt, rollout_line(1, 0, [1, 0], truncated=1), rollout_line(1, 1, [1, 1]), rollout_line(2, 0, [0, 0]))
    reply = backend.get("/runs/1/rollouts")
    assert reply["steps"] == [
        {"step": 1, "groups": 2, "matching": 2, "reward": 0.75, "without_variance": 0.5, "truncated": 0.25,
         "boxed_wrong": 0.25},
        {"step": 2, "groups": 1, "matching": 1, "reward": 0.0, "without_variance": 1.0, "truncated": 0.0,
         "boxed_wrong": 1.0},
    ]  # fmt: skip
    assert (reply["step"], [group["place"] for group in reply["groups"]]) == (1, [0, 1])
    first = reply["groups"][0]["completions"][0]
    assert (first["rewards"], first["advantage"], first["extracted"]) == ({"accuracy": 1.0}, 0.5, "5")
    assert first["augmentations"][0]["probability"] == 0.75
    assert backend.get("/runs/1/rollouts", newest="true")["step"] == 2


@pytest.mark.parametrize(
    ("show", "expected", "groups"),
    [("all", [1, 2, 3], [0, 1]), ("without_variance", [1, 2], [1]), ("truncated", [3], []), ("boxed_wrong", [1], [0])],
)
def test_filter_lets_groups_through_and_steps_that_have_one(
    backend: Backend, attempt: Held, show: str, expected: list[int], groups: list[int]
) -> None:
    send(
        attempt,
        rollout_line(1, 0, [1, 0]), rollout_line(1, 1, [1, 1]), rollout_line(2, 0, [1, 1, 1]),
        rollout_line(3, 0, [0, 1], truncated=1),
    )  # fmt: skip
    reply = backend.get("/runs/1/rollouts", show=show, step=1)
    assert (steps(reply), reply["total"], reply["step"]) == (expected, len(expected), 1)
    assert [group["place"] for group in reply["groups"]] == groups
    assert reply["counts"] == {"all": 4, "without_variance": 2, "truncated": 1, "boxed_wrong": 1}
    check_problem(backend.user("GET", "/runs/1/rollouts", params={"show": "good"}), 422, "invalid_request")


@pytest.mark.parametrize(("newest", "expected"), [("false", [[1, 2], [3, 4], [5]]), ("true", [[5, 4], [3, 2], [1]])])
def test_steps_come_page_by_page(backend: Backend, attempt: Held, newest: str, expected: list[list[int]]) -> None:
    send(attempt, *(rollout_line(step, 0, [1, 0]) for step in range(1, 6)))
    pages, cursor = [], ""
    while cursor is not None:
        page = backend.get("/runs/1/rollouts", newest=newest, limit=2, cursor=cursor)
        pages.append(steps(page))
        assert page["step"] == pages[-1][0]
        cursor = page["next_cursor"]
    assert pages == expected


def test_resumed_attempt_repeats_no_step_and_loses_none(backend: Backend, attempt: Held) -> None:
    taken_over = [rollout_line(step, 0, [1, 0], text="first") for step in (1, 2)]
    send(attempt, *taken_over, rollout_line(3, 0, [0, 0], text="first"))
    attempt.say({"event": "checkpoint", "step": 2, "path": "checkpoints/step-2"})
    lose(backend)
    second = backend.held()
    assert second.resumes == 1
    assert steps(backend.get("/runs/1/rollouts")) == [1, 2, 3], "what was there stays until it is done again"
    send(second, *taken_over, rollout_line(3, 0, [1, 0], text="second"), rollout_line(4, 0, [1, 0], text="second"))
    reply = backend.get("/runs/1/rollouts", step=3)
    assert steps(reply) == [1, 2, 3, 4]
    assert [group["completions"][0]["completion"] for group in reply["groups"]] == ["second 0"]


def test_retry_from_the_start_shows_nothing_of_before(backend: Backend, attempt: Held) -> None:
    send(attempt, rollout_line(1, 0, [1, 0]), rollout_line(2, 0, [1, 0]))
    attempt.finish("failed", "error")
    assert steps(backend.get("/runs/1/rollouts")) == [1, 2]
    assert backend.user("POST", "/runs/1/retry").status_code == 200
    send(backend.held(), rollout_line(1, 0, [0, 0]))
    reply = backend.get("/runs/1/rollouts")
    assert (steps(reply), reply["steps"][0]["reward"]) == ([1], 0.0)


def test_lines_that_are_no_rollouts_are_skipped(backend: Backend, attempt: Held) -> None:
    good = json.loads(rollout_line(1, 0, [1, 0]))
    hostile = [
        {"step": 2**70}, {"step": 0}, {"place": -1}, {"completions": []}, {"question": "\ud800"},
        {"completions": [good["completions"][0] | {"rewards": {"accuracy": 1e300}}]},
    ]  # fmt: skip
    lines = [json.dumps(good | {"step": 2} | changes).encode() + b"\n" for changes in hostile]
    send(attempt, b"[" * 100_000 + b"\n", b"nonsense\n", *lines, rollout_line(1, 0, [1, 0]))
    assert steps(backend.get("/runs/1/rollouts")) == [1]


def test_what_a_lost_attempt_could_not_report_is_taken_from_its_folder(backend: Backend, attempt: Held) -> None:
    folder = attempt_dir(backend.home, 1, 1, "weaver_grpo")
    folder.path.mkdir(parents=True)
    folder.rollouts.write_bytes(rollout_line(1, 0, [1, 0]) + rollout_line(2, 0, [1, 0]) + b'{"step": 3')
    send(attempt, rollout_line(1, 0, [1, 0]))
    lose(backend)
    assert steps(backend.get("/runs/1/rollouts")) == [1, 2]


def test_rollouts_go_with_their_run(backend: Backend, attempt: Held) -> None:
    send(attempt, rollout_line(1, 0, [1, 0]))
    attempt.finish("failed", "error")
    assert backend.user("DELETE", "/runs/1", params={"confirm": "true"}).status_code == 200
    with backend.context.database.read() as session:
        assert session.get(Rollout, (1, 1, 0)) is None
    check_problem(backend.user("GET", "/runs/1/rollouts"), 404, "run_not_found")
